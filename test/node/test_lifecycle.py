"""Every transition does its work and undoes it."""

from __future__ import annotations

import numpy as np
import pytest
from harness import (
    ACTIVATE,
    CLEANUP,
    CONFIGURE,
    DEACTIVATE,
    LATCHED,
    SHUTDOWN,
    image_message,
)
from safetensors.torch import save_file
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo

from edgesegnet_ros import shipped

SMALL = {'input_size': '[64, 64]'}
LARGE = {'input_size': '[512, 512]'}
GREY = np.full((48, 64, 3), 128, np.uint8)


def test_whole_cycle(launch):
    client = launch(SMALL)
    assert client.state() == 'unconfigured'
    assert client.change_state(CONFIGURE)
    assert client.state() == 'inactive'
    client.subscribe(LabelInfo, 'segmentation/label_info', LATCHED)
    info = client.messages('segmentation/label_info')[0]
    assert [(c.class_id, c.class_name) for c in info.class_map][:4] == [
        (0, 'sky'),
        (1, 'building'),
        (2, 'pole'),
        (3, 'road'),
    ]
    assert len(info.class_map) == 11 and info.threshold == 0.0

    client.subscribe(Image, 'segmentation/mask')
    for round_ in range(2):
        assert client.change_state(ACTIVATE)
        assert client.state() == 'active'
        camera = client.publisher(Image, 'image')
        seen = len(client.received['segmentation/mask'])
        camera.publish(image_message(GREY, stamp=10 + round_))
        mask = client.messages('segmentation/mask', seen + 1)[-1]
        assert mask.header.stamp.sec == 10 + round_

        assert client.change_state(DEACTIVATE)
        assert client.state() == 'inactive'
        left = lambda camera=camera: not camera.get_subscription_count()  # noqa: E731
        client.wait(left, 'the camera to be left')
        client.node.destroy_publisher(camera)
    assert client.change_state(CLEANUP)
    assert client.state() == 'unconfigured'
    topic = client.target.namespace + '/segmentation/mask'
    client.wait(lambda: not client.node.count_publishers(topic), 'the outputs to be gone')
    assert client.change_state(CONFIGURE)
    assert client.change_state(SHUTDOWN['inactive'])
    assert client.state() == 'finalized'


def test_nothing_is_published_after_deactivate_has_answered(launch):
    client = launch(LARGE)
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    camera = client.publisher(Image, 'image')
    client.subscribe(Image, 'segmentation/mask')
    # Images keep coming, so that one is in the engine when deactivate is asked for.
    stream = client.node.create_timer(0.05, lambda: camera.publish(image_message(GREY, stamp=1)))
    client.messages('segmentation/mask', 2)
    assert client.change_state(DEACTIVATE)
    answered_at = len(client.received['segmentation/mask'])
    client.node.destroy_timer(stream)
    # An activation and one more frame give a stray mask the time to come first.
    assert client.change_state(ACTIVATE)
    camera_again = client.publisher(Image, 'image')
    client.repeat(
        lambda: camera_again.publish(image_message(GREY, stamp=99)),
        lambda: len(client.received['segmentation/mask']) > answered_at,
        'a mask',
    )
    masks = client.received['segmentation/mask'][answered_at:]
    assert {m.header.stamp.sec for m in masks} == {99}


def test_services_answer_while_it_infers_and_nothing_queues(launch):
    client = launch(LARGE)
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    camera = client.publisher(Image, 'image')
    client.subscribe(Image, 'segmentation/mask')
    # Many more images than it can infer: each waits for none, or is dropped for a newer one.
    stamps = iter(range(1, 10_000))
    stream = client.node.create_timer(
        0.02, lambda: camera.publish(image_message(GREY, stamp=next(stamps)))
    )
    client.messages('segmentation/mask', 1)
    for _ in range(5):
        assert client.state() == 'active'
        assert client.parameter('max_age_ms') == 0.0
    seen = client.messages('segmentation/mask', 4)
    client.node.destroy_timer(stream)
    sent = next(stamps) - 1
    seconds = [m.header.stamp.sec for m in seen]
    assert seconds == sorted(set(seconds)) and len(seconds) < sent
    values = client.diagnostics(
        lambda v: int(v['frames_out']) + int(v['frames_replaced']) == int(v['frames_in']),
        'every image is either segmented or replaced by a newer one',
    )
    assert int(values['frames_replaced']) > 0


@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'active'])
def test_shutdown_from_every_state(launch, state):
    client = launch(SMALL)
    if state != 'unconfigured':
        assert client.change_state(CONFIGURE)
    if state == 'active':
        assert client.change_state(ACTIVATE)
    assert client.change_state(SHUTDOWN[state])
    assert client.state() == 'finalized'


def test_an_invalid_request_is_refused_without_harm(launch):
    client = launch(SMALL)
    assert not client.change_state(ACTIVATE)
    assert not client.change_state(CLEANUP)
    assert not client.change_state(200)
    assert client.state() == 'unconfigured'
    assert client.change_state(CONFIGURE)
    assert not client.change_state(CONFIGURE)
    assert client.state() == 'inactive'


def test_autostart(launch):
    client = launch({**SMALL, 'autostart': 'true'})
    client.wait(lambda: client.state() == 'active', 'the node to be active')


def broken_weights(kind: str, folder) -> str:
    path = folder / 'broken.safetensors'
    if kind == 'truncated':
        path.write_bytes(shipped.find('models', 'edgesegnet-camvid11').read_bytes()[:100_000])
    elif kind == 'foreign':
        import torch

        save_file({'x': torch.zeros(2)}, str(path))
    return str(path)


@pytest.mark.parametrize(
    ('kind', 'sentence'),
    [
        ('missing', 'no such weights file; give `model`'),
        ('truncated', 'not a whole safetensors file'),
        ('foreign', 'not one of edgesegnet_ros/1'),
    ],
)
def test_configure_fails_on_bad_weights_and_works_once_mended(launch, tmp_path, kind, sentence):
    client = launch({**SMALL, 'model': broken_weights(kind, tmp_path)})
    assert not client.change_state(CONFIGURE)
    assert client.state() == 'unconfigured'
    assert sentence in client.target.log and 'Traceback' not in client.target.log
    assert client.set_parameter('model', 'edgesegnet-camvid11') == ''
    assert client.change_state(CONFIGURE)
    assert client.state() == 'inactive'


@pytest.mark.parametrize(
    ('name', 'wrong', 'right', 'sentence'),
    [
        ('classes', 'camvid32', 'camvid11', 'camvid32 has 32 classes'),
        ('device', 'cuda:63', 'cpu', "device 'cuda:63' is not there"),
        ('engine', 'tensorrt', 'torch', 'tensorrt'),
    ],
)
def test_configure_fails_for_incompatible_parameters(launch, name, wrong, right, sentence):
    client = launch({**SMALL, name: wrong})
    assert not client.change_state(CONFIGURE)
    assert client.state() == 'unconfigured'
    assert sentence in client.target.log and 'Traceback' not in client.target.log
    assert client.set_parameter(name, right) == ''
    assert client.change_state(CONFIGURE)

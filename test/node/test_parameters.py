"""Parameters: described, refused with name, value and what is allowed, live where promised."""

from __future__ import annotations

import numpy as np
import pytest
from harness import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, image_message, pixels_of
from rcl_interfaces.srv import DescribeParameters
from sensor_msgs.msg import Image

from edgesegnet_ros.engines.request import ENGINES
from edgesegnet_ros.interface.parameter_table import PARAMETERS

SMALL = {'input_size': '[64, 64]'}
NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def active(client):
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    return client


def test_each_is_declared_with_default_and_description(launch):
    # As declared; the harness has others.
    client = launch({'engine': 'auto', 'precision': 'auto', 'inference_timeout_s': '10.0'})
    names = [p.name for p in PARAMETERS]
    request = DescribeParameters.Request(names=names)
    described = client.call(DescribeParameters, 'describe_parameters', request, True).descriptors
    for parameter, descriptor in zip(PARAMETERS, described, strict=True):
        value = client.parameter(parameter.name)
        assert (list(value) if hasattr(value, 'tolist') else value) == parameter.default
        assert descriptor.description == parameter.description


REFUSED = [
    ('engine', 'cudnn', ', '.join(ENGINES)),
    ('precision', 'int4', 'auto, fp32, bf16, fp16, int8'),
    ('resize_mode', 'crop', 'stretch, letterbox'),
    ('output_resolution', 'half', 'input, network'),
    ('image_transport', 'theora', 'raw, compressed'),
    ('on_engine_failure', 'ignore', 'error, torch'),
    ('input_size', [250, 256], 'multiples of 16'),
    ('input_size', [256], 'multiples of 16'),
    ('model', '', 'a non-empty string'),
    ('unlabeled_below', 1.5, '1'),
    ('overlay_alpha', -0.5, '0'),
    ('max_rate_hz', -1.0, '0'),
    ('num_threads', -1, '0'),
    ('max_agems', 3.0, 'there is no parameter'),
]


def test_wrong_values_are_refused_with_name_value_and_allowed_values(launch):
    client = launch()
    for name, value, allowed in REFUSED:
        reason = client.set_parameter(name, value)
        assert name in reason and allowed in reason, reason
        shown = str(value).strip('[]') if allowed != 'there is no parameter' else name
        assert shown in reason, reason


def another(parameter, value):
    """A value of the same type that is not `value`."""
    if parameter.choices:
        return next(choice for choice in parameter.choices if choice != value)
    if isinstance(parameter.default, bool):
        return not value
    if isinstance(parameter.default, list):
        return [32, 32]
    return value + ('x' if isinstance(value, str) else 1)


def test_others_change_after_a_clean_up_only(launch):
    client = launch(SMALL)
    assert client.change_state(CONFIGURE)
    for parameter in PARAMETERS:
        if not parameter.live:
            value = client.parameter(parameter.name)
            assert client.set_parameter(parameter.name, value) == '', 'what it is already'
            reason = client.set_parameter(parameter.name, another(parameter, value))
            assert parameter.name in reason and 'clean up first' in reason
    assert client.change_state(CLEANUP)
    assert client.set_parameter('resize_mode', 'letterbox') == ''


@pytest.mark.parametrize(
    ('name', 'value'), [('engine', 'cudnn'), ('overlay_alpha', '2.0'), ('max_rate_hz', 'fast')]
)
def test_a_wrong_value_at_start_ends_the_node_with_a_sentence(tmp_path, name, value):
    import harness

    node = harness.NodeProcess({name: value}, {}, tmp_path / 'log')
    assert node.process.wait(60) == 2
    assert name in node.log and value.rstrip('0.') in node.log and 'Traceback' not in node.log


def test_groups_change_while_it_runs(launch):
    client = active(launch(SMALL))
    camera = client.publisher(Image, 'image')
    assert 'soft' in client.set_parameter('groups', ['drivable', 'soft'])
    assert client.set_parameter('group.soft.classes', ['tree', 'sky']) == ''
    assert client.set_parameter('groups', ['drivable', 'soft']) == ''
    client.subscribe(Image, 'segmentation/mask')
    client.subscribe(Image, 'segmentation/masks/soft')
    camera.publish(image_message(NOISE, stamp=1))
    soft = pixels_of(client.messages('segmentation/masks/soft')[0])
    mask = pixels_of(client.messages('segmentation/mask')[0])
    assert np.array_equal(soft == 255, np.isin(mask, (0, 5)))
    gone = client.target.namespace + '/segmentation/masks/dynamic'
    client.wait(lambda: not client.node.count_publishers(gone), 'dynamic to be closed')
    # What was set stays over a deactivation.
    assert client.change_state(DEACTIVATE) and client.change_state(ACTIVATE)
    camera.publish(image_message(NOISE, stamp=2))
    client.wait_until_heard(camera)
    camera.publish(image_message(NOISE, stamp=3))
    client.messages('segmentation/masks/soft', 2)


def test_unlabeled_below_and_overlay_alpha_change_while_it_runs(launch):
    client = active(launch(SMALL))
    camera = client.publisher(Image, 'image')
    client.subscribe(Image, 'segmentation/mask')
    client.subscribe(Image, 'segmentation/overlay')
    camera.publish(image_message(NOISE, stamp=1))
    assert (pixels_of(client.messages('segmentation/mask')[0]) < 11).all()
    client.messages('segmentation/overlay', 1)
    assert client.set_parameter('unlabeled_below', 1.0) == ''
    assert client.set_parameter('overlay_alpha', 1.0) == ''
    camera.publish(image_message(NOISE, stamp=2))
    mask = pixels_of(client.messages('segmentation/mask', 2)[1])
    assert (mask == 255).any()
    overlay = pixels_of(client.messages('segmentation/overlay', 2)[1])
    assert np.array_equal(overlay[mask == 255][:, ::-1], NOISE[mask == 255])


def test_lazy_counts_frames_without_a_subscriber(launch):
    client = active(launch(SMALL))
    camera = client.publisher(Image, 'image')
    camera.publish(image_message(NOISE))
    values = client.diagnostics(lambda v: v['frames_unseen'] == '1', 'an unseen frame')
    assert values['frames_out'] == '0' and 'no output has a subscriber' in values['message']
    assert client.set_parameter('lazy', False) == ''
    camera.publish(image_message(NOISE))
    client.diagnostics(lambda v: v['frames_out'] == '1', 'a frame inferred for nobody')


def test_max_age_drops_old_images_and_those_without_a_stamp(launch):
    client = active(launch(SMALL))
    camera = client.publisher(Image, 'image')
    client.subscribe(Image, 'segmentation/mask')
    assert client.set_parameter('max_age_ms', 60_000.0) == ''
    camera.publish(image_message(NOISE, stamp=1))  # 1970
    client.diagnostics(lambda v: v['frames_too_old'] == '1', 'the old image')
    unstamped = image_message(NOISE, stamp=0)
    unstamped.header.stamp.nanosec = 0
    camera.publish(unstamped)
    client.diagnostics(lambda v: v['frames_too_old'] == '2', 'the image without a stamp')
    fresh = image_message(NOISE)
    fresh.header.stamp = client.node.get_clock().now().to_msg()
    camera.publish(fresh)
    assert client.messages('segmentation/mask')[0].header.stamp == fresh.header.stamp
    assert len(client.received['segmentation/mask']) == 1


def test_max_rate_drops_the_rest(launch):
    client = active(launch(SMALL))
    camera = client.publisher(Image, 'image')
    client.subscribe(Image, 'segmentation/mask')
    assert client.set_parameter('max_rate_hz', 0.01) == ''
    camera.publish(image_message(NOISE, stamp=1))
    client.messages('segmentation/mask')
    camera.publish(image_message(NOISE, stamp=2))
    client.diagnostics(lambda v: v['frames_over_rate'] == '1', 'the image beyond the rate')
    assert client.set_parameter('max_rate_hz', 0.0) == ''
    camera.publish(image_message(NOISE, stamp=3))
    masks = client.messages('segmentation/mask', 2)
    assert [m.header.stamp.sec for m in masks] == [1, 3]

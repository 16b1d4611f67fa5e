"""Whatever a camera sends: counted, said once, and the next good frame is served."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest
import rclpy
from harness import ACTIVATE, CONFIGURE, image_message, pixels_of
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import Image

from edgesegnet_ros.engines.request import EngineError

SMALL = {'engine': 'torch', 'input_size': '[64, 64]', 'num_threads': '1'}
NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def short_data():
    message = image_message(NOISE)
    message.data = message.data[:-1]
    return message


def zero_sized():
    message = image_message(NOISE)
    message.height = 0
    return message


def unknown_encoding():
    message = image_message(NOISE)
    message.encoding = '32FC7'
    return message


def small_step():
    message = image_message(NOISE)
    message.step = 10
    return message


def odd_yuv():
    return image_message(NOISE[:, :63, :2], 'yuv422')


UNUSABLE = (
    (short_data, 'short_data', 'height x step is 9216'),
    (zero_sized, 'empty', '64x0 pixels'),
    (unknown_encoding, 'encoding', "encoding '32FC7'; known are rgb8"),
    (small_step, 'step', 'a step of 10 bytes'),
    (odd_yuv, 'undecodable', 'could not be converted'),
)


def test_unusable_images(launch):
    client = launch(SMALL)
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    client.subscribe(Image, 'segmentation/mask')
    camera = client.publisher(Image, 'image')
    for done, (make, kind, sentence) in enumerate(UNUSABLE):
        began = time.monotonic()
        for count in (1, 2):
            camera.publish(make())
            values = client.diagnostics(
                lambda v, kind=kind, count=count: v.get(f'frames_bad_{kind}') == str(count),
                f'{count} {kind}',
            )
        assert values['frames_bad'] == values['frames_in'] == str(2 * done + 2)
        said = client.target.log.count(sentence)
        assert said == 1 or time.monotonic() > began + 10.0, client.target.log
    camera.publish(image_message(NOISE, stamp=9))
    masks = client.messages('segmentation/mask')
    assert [m.header.stamp.sec for m in masks] == [9]


def test_a_resolution_that_changes_in_mid_stream(launch):
    client = launch(SMALL)
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    client.subscribe(Image, 'segmentation/mask')
    camera = client.publisher(Image, 'image')
    sizes = [(48, 64), (100, 30), (48, 64)]
    for number, size in enumerate(sizes):
        camera.publish(image_message(np.resize(NOISE, size + (3,)), stamp=number + 1))
        mask = client.messages('segmentation/mask', number + 1)[-1]
        assert pixels_of(mask).shape == size
    assert 'images changed from 64x48 to 30x100' in client.target.log


def test_a_camera_that_stops_and_comes_back(launch):
    client = launch(SMALL)
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    client.subscribe(Image, 'segmentation/mask')
    camera = client.publisher(Image, 'image')
    camera.publish(image_message(NOISE, stamp=1))
    client.messages('segmentation/mask', 1)
    client.node.destroy_publisher(camera)
    values = client.diagnostics(lambda v: v['level'] == b'\x03', 'stale outputs')
    assert 'no image on' in values['message'] and values['image_publishers'] == '0'
    camera = client.publisher(Image, 'image')
    camera.publish(image_message(NOISE, stamp=2))
    client.messages('segmentation/mask', 2)
    client.diagnostics(lambda v: v['level'] == b'\x00', 'health again')
    assert client.target.log.count('no image on') >= 1 and 'images are back' in client.target.log


def test_memory_does_not_grow(launch):
    client = launch({**SMALL, 'max_rate_hz': '0.0'})
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    for topic in ('mask', 'overlay', 'confidence'):
        client.subscribe(Image, f'segmentation/{topic}')
    camera = client.publisher(Image, 'image')
    image = image_message(np.resize(NOISE, (240, 320, 3)))
    resident = {}
    masks = client.received['segmentation/mask']
    for frame in range(1, 351):
        before = len(masks)
        camera.publish(image)
        try:
            client.wait(lambda before=before: len(masks) > before, 'a mask', 1.0)
        except AssertionError:
            assert client.target.process.poll() is None  # a best-effort image was lost
        if frame in (50, 350):
            resident[frame] = client.target.rss_kb()
        for topic in client.received.values():
            if len(topic) > 100:
                del topic[:]
    # An input or an output of each frame would be more than 20 MB.
    assert resident[350] < 1.02 * resident[50], resident


def in_process_node(monkeypatch, failure, parameters):
    """A node in this process, and an event from whose setting on its engine fails."""
    from edgesegnet_ros.engines import pytorch
    from edgesegnet_ros.node.segmentation_node import SegmentationNode

    fails = threading.Event()
    infer = pytorch.TorchEngine.infer

    def failing(self, *arguments):
        if fails.is_set():
            raise failure
        infer(self, *arguments)

    monkeypatch.setattr(pytorch.TorchEngine, 'infer', failing)
    context = Context()
    rclpy.init(
        context=context,
        args=[
            '--ros-args',
            *(
                word
                for name, value in {'precision': 'fp32', **parameters}.items()
                for word in ('-p', f'{name}:={value}')
            ),
        ],
    )
    node = SegmentationNode(
        context=context, namespace=f'/failing_{os.getpid()}', enable_rosout=False
    )
    return context, node, fails


@pytest.mark.parametrize('failure', [EngineError('out of memory'), ValueError('a bug')])
def test_an_engine_that_fails_ends_in_unconfigured_with_an_error(monkeypatch, failure):
    context, node, fails = in_process_node(monkeypatch, failure, SMALL)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    reports = []
    monkeypatch.setattr(node._reporter.publisher, 'publish', reports.append)
    thread = threading.Thread(target=executor.spin, daemon=True)
    try:
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        node.set_parameters([rclpy.Parameter('lazy', value=False)])
        fails.set()
        node._on_image(image_message(NOISE))
        thread.start()
        deadline = time.monotonic() + 60
        # An earlier report may come from the middle of the clean-up.
        while not (reports and 'configure the node again' in reports[-1].status[0].message):
            assert time.monotonic() < deadline
            threading.Event().wait(0.05)
        status = reports[-1].status[0]
        assert status.level == b'\x02' and str(failure) in status.message
        assert {v.key: v.value for v in status.values}['state'] == 'unconfigured'
        monkeypatch.undo()
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)

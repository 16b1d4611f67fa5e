"""Processes that are killed, stopped or doubled, as real ones."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import harness
import numpy as np
from faults import covers
from harness import ACTIVATE, CONFIGURE, image_message
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

SMALL = {'input_size': '[64, 64]', 'num_threads': '1', 'lazy': 'false'}
GREY = np.full((48, 64, 3), 128, np.uint8)
SUBSCRIBER = """
import sys, rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
rclpy.init()
node = Node('stalls', namespace=sys.argv[1])
node.create_subscription(Image, 'segmentation/mask', lambda m: print('mask', flush=True), 10)
rclpy.spin(node)
"""


def active(client):
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    return client


def test_killed_while_it_configures_and_started_again(launch, tmp_path):
    covers('kill-node')
    parameters = {**SMALL, 'engine_cache': str(tmp_path / 'cache'), 'autostart': 'true'}
    chance = random.Random(0)
    for _ in range(2):
        node = harness.NodeProcess(parameters, {}, tmp_path / 'killed.log')
        time.sleep(chance.uniform(0.5, 3.0))  # any moment will do
        node.process.kill()
        assert node.process.wait(10) == -signal.SIGKILL
    client = launch(parameters)
    client.wait(lambda: client.state() == 'active', 'the node to be active')
    left = [file for file in (tmp_path / 'cache').rglob('*') if 'partial' in file.name]
    assert not left


def test_signals_subscribers_and_qos_under_load(launch, tmp_path):
    covers('sigterm-under-load')
    covers('stalled-subscriber')
    covers('incompatible-qos')
    client = active(launch(SMALL))
    client.subscribe(Image, 'segmentation/mask')
    camera = client.publisher(Image, 'image')

    latched = QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )
    client.subscribe(Image, 'segmentation/color', latched, matched=False)
    remedy = 'segmentation/color.publisher.durability'
    client.wait(lambda: remedy in client.target.log, 'a warning with the remedy')

    stalls = subprocess.Popen(
        [sys.executable, '-c', SUBSCRIBER, client.target.namespace], stdout=subprocess.PIPE
    )
    try:
        client.repeat(
            lambda: camera.publish(image_message(GREY)),
            lambda: os.set_blocking(stalls.stdout.fileno(), False) or stalls.stdout.read(),
            'the other subscriber to receive masks',
            1.0,
        )
        stalls.send_signal(signal.SIGSTOP)
        masks = client.received['segmentation/mask']
        for _ in range(30):  # more than the depth of anything
            before = len(masks)
            client.repeat(
                lambda: camera.publish(image_message(GREY)),
                lambda before=before: len(masks) > before,
                'a mask beside the stopped subscriber',
                2.0,
            )
        values = client.diagnostics(lambda v: 'publish_ms_p95' in v, 'times')
        assert float(values['publish_ms_p50']) < 50.0
    finally:
        stalls.kill()
        stalls.wait(10)

    stream = client.node.create_timer(0.0025, lambda: camera.publish(image_message(GREY)))
    before = len(masks)
    client.wait(lambda: len(masks) > before + 5, 'masks under load')
    client.target.process.send_signal(signal.SIGTERM)
    assert client.target.process.wait(15) == 0, client.target.log
    client.node.destroy_timer(stream)
    assert 'Traceback' not in client.target.log and 'RCLError' not in client.target.log


def test_two_nodes_under_one_name(launch, tmp_path):
    covers('same-name')
    # A service's request would reach both of them.
    first = launch({**SMALL, 'autostart': 'true'})
    log = tmp_path / 'second.log'
    parameters = {**SMALL, 'num_threads': '0', 'autostart': 'true'}
    node = harness.NodeProcess(parameters, {}, log, first.target.namespace)
    try:
        first.wait(lambda: 'active: waiting' in first.target.log, 'the first node to be active')
        camera = first.publisher(Image, 'image', matched=False)
        first.subscribe(Image, 'segmentation/mask', matched=False)
        masks = first.received['segmentation/mask']
        first.repeat(lambda: camera.publish(image_message(GREY)), lambda: masks, 'a mask', 1.0)
        # Each of them gets its share of the cores.
        first.wait(lambda: 'active: waiting' in node.log, 'the second node to be active')
        assert 'on this machine: this one uses' in node.log
    finally:
        status = node.stop()
    assert status == 0


def test_a_configure_that_never_returns(launch, tmp_path):
    """The class file is a pipe that nobody writes to, like a file on a lost network disk."""
    covers('blocked-configure')
    pipe = tmp_path / 'classes.yaml'
    os.mkfifo(pipe)
    client = launch({**SMALL, 'classes': str(pipe)})
    client.wait(lambda: client.state() == 'unconfigured', 'the node')
    service = client.node.create_client(
        ChangeState, f'{client.target.namespace}/edgesegnet/change_state'
    )
    client.wait(service.service_is_ready, 'change_state')
    configuring = service.call_async(ChangeState.Request(transition=Transition(id=CONFIGURE)))
    client.wait(lambda: client.state() == 'configuring', 'configuring')
    started = time.monotonic()
    for _ in range(20):
        assert client.state() == 'configuring'
    took_s = (time.monotonic() - started) / 20
    client.diagnostics(lambda v: 'opening the engine' in v['message'], 'what it waits for')
    assert not client.change_state(CONFIGURE), 'a second configure'
    assert not configuring.done() and took_s < 1.0
    client.target.process.send_signal(signal.SIGINT)
    assert client.target.process.wait(20) == 0


BOMB = """
import struct
from edgesegnet_ros.node import segmentation_node  # sets OpenCV's limit before it is loaded
from edgesegnet_ros.data.encodings import ImageMessageError, compressed_to_rgb
from sensor_msgs.msg import CompressedImage
side = 32000
head = struct.pack('<2sIHHI', b'BM', 54, 0, 0, 54)
info = struct.pack('<IiiHHIIiiII', 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
message = CompressedImage(format='bmp')
message.data.frombytes(head + info)
try:
    compressed_to_rgb(message)
except ImageMessageError as error:
    print(error.kind)
"""


def test_wrong_ros_arguments_and_a_bomb_of_another_format():
    covers('ros-arguments')
    covers('other-format-bomb')
    node = [sys.executable, '-m', 'edgesegnet_ros.node.segmentation_node', '--ros-args']
    running = [
        subprocess.Popen([*node, *words], stderr=subprocess.PIPE, text=True)
        for words in (['-p', 'engine'], ['--bogus'])
    ]
    bomb = subprocess.run([sys.executable, '-c', BOMB], capture_output=True, text=True)
    assert bomb.stdout == 'undecodable\n', bomb.stderr
    for process, word in zip(running, ('-p engine', '--bogus'), strict=True):
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 2 and word in said and 'Traceback' not in said, said

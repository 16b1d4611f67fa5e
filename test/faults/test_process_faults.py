"""Processes that are killed, stopped or doubled, as real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import harness
import numpy as np
import psutil
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


def test_signals_and_qos_under_load(launch):
    covers('sigterm-under-load')
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

    masks = client.received['segmentation/mask']
    stream = client.node.create_timer(0.0025, lambda: camera.publish(image_message(GREY)))
    before = len(masks)
    client.wait(lambda: len(masks) > before + 5, 'masks under load')
    client.target.process.send_signal(signal.SIGTERM)
    assert client.target.process.wait(15) == 0, client.target.log
    client.node.destroy_timer(stream)
    assert 'Traceback' not in client.target.log and 'RCLError' not in client.target.log


def test_a_reader_that_stalls_or_dies_delays_no_frame_and_keeps_no_memory(in_process):
    covers('stalled-subscriber')
    node = in_process().active()
    publish, times_ms = node.node._outputs.publish, []

    def timed(*arguments) -> None:
        began = time.perf_counter()
        publish(*arguments)
        times_ms.append(1e3 * (time.perf_counter() - began))

    node.node._outputs.publish = timed
    space = node.node.get_namespace()
    masks: list = []
    topic = f'{space}/segmentation/mask'
    node.do(node.node.create_subscription, Image, topic, masks.append, 10)
    node.wait(lambda: 'mask' in node.node._outputs.wanted(), 'the subscription')
    image = image_message(np.resize(GREY, (480, 640, 3)))

    def published_ms(count: int) -> float:
        """Time of a publication in which the machine did nothing else, in ms.

        That is the fastest tenth: a reader that holds the publisher up does so each time.
        """
        times_ms.clear()
        for number in range(count):
            node.send(image)
            node.wait(lambda number=number: len(times_ms) > number, 'a publication')
            masks.clear()
        return float(np.percentile(times_ms, 10))

    alone = published_ms(40)
    reader = subprocess.Popen([sys.executable, '-c', SUBSCRIBER, space], stdout=subprocess.PIPE)
    os.set_blocking(reader.stdout.fileno(), False)
    try:
        node.wait(lambda: published_ms(1) and reader.stdout.read(), 'masks at the reader')
        beside = published_ms(40)
        reader.send_signal(signal.SIGSTOP)
        published_ms(5)
        before = psutil.Process().memory_info().rss
        stalled = published_ms(60)
        grown = psutil.Process().memory_info().rss - before
    finally:
        reader.kill()
        reader.wait(30)
    dead = published_ms(60)
    print(
        f'publication: {alone:.2f} ms alone, {beside:.2f} ms beside a reader, {stalled:.2f} ms '
        f'beside a stopped one, {dead:.2f} ms after its death; {grown / 1e6:+.1f} MB'
    )
    assert max(stalled, dead) < max(alone, beside) + 1.0
    assert grown < 20 * 480 * 640, 'sixty masks were published'


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


def answer_s(client, state: str) -> float:
    """Seconds that an answer takes at best: what a busy machine adds is not the node's."""
    times = []
    for _ in range(20):
        began = time.monotonic()
        assert client.state() == state
        times.append(time.monotonic() - began)
    return min(times)


def test_a_configure_that_never_returns(launch, tmp_path):
    """The class file is a pipe that nobody writes to, like a file on a lost network disk."""
    covers('blocked-configure')
    pipe = tmp_path / 'classes.yaml'
    os.mkfifo(pipe)
    client = launch({**SMALL, 'classes': str(pipe)})
    began = time.monotonic()
    client.wait(lambda: client.state() == 'unconfigured', 'the node')
    start_s = time.monotonic() - began
    idle_s = answer_s(client, 'unconfigured')
    service = client.node.create_client(
        ChangeState, f'{client.target.namespace}/edgesegnet/change_state'
    )
    client.wait(service.service_is_ready, 'change_state')
    configuring = service.call_async(ChangeState.Request(transition=Transition(id=CONFIGURE)))
    client.wait(lambda: client.state() == 'configuring', 'configuring')
    waiting_s = answer_s(client, 'configuring')
    client.diagnostics(lambda v: 'opening the engine' in v['message'], 'what it waits for')
    assert not client.change_state(CONFIGURE), 'a second configure'
    assert not configuring.done()
    assert waiting_s < idle_s + 0.1
    client.target.process.send_signal(signal.SIGINT)
    # On a machine that is busy, all takes longer, as the start did.
    assert client.target.process.wait(2.0 + 2.0 * start_s) == 0


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

"""Player, collector and graph probe as real processes over DDS."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip('rclpy')

import rclpy
from edgesegnet_ros.msg import ClassMask, ClassMasks
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from edgesegnet_ros.data.bag import BagWriter, ImageFrame, write_image_bag
from edgesegnet_ros.data.encodings import to_rgb
from edgesegnet_ros.data.sources import START_NS
from edgesegnet_ros.demo.domain import free_domain, ros_environment
from edgesegnet_ros.node.images import to_message

TIMEOUT_S = 120.0
SIZE = (48, 64)


def wait(condition, what: str, timeout_s: float = TIMEOUT_S, step=lambda: time.sleep(0.02)):
    end = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f'waited {timeout_s:g} s for {what}'
        step()


def picture(seed: int, size=SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def start(executable: str, *arguments: str, log: Path) -> subprocess.Popen:
    with log.open('w') as file:
        return subprocess.Popen(
            [sys.executable, '-m', f'edgesegnet_ros.node.{executable}', *arguments],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env=ros_environment(DOMAIN),
        )


DOMAIN = free_domain()


@pytest.fixture
def graph(monkeypatch):
    """This process in the children's domain, with their transport; its nodes end with the test.

    One that lived on would be matched by the next test's processes, which share its domain.
    """
    for name, value in ros_environment(DOMAIN).items():
        monkeypatch.setenv(name, value)
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    yield context
    for listener in Listener.alive:
        listener.destroy_node()
    Listener.alive.clear()
    rclpy.try_shutdown(context=context)


class Listener(Node):
    """Keeps what it hears, and may answer."""

    alive: ClassVar[list[Listener]] = []

    def __init__(self, context, name='listener') -> None:
        super().__init__(name, context=context)
        self.alive.append(self)
        self.executor_ = rclpy.executors.SingleThreadedExecutor(context=context)
        self.executor_.add_node(self)
        self.heard: dict[str, list] = {}

    def hear(self, type_, topic, then=lambda message: None) -> None:
        messages = self.heard.setdefault(topic, [])

        def keep(message):
            messages.append(message)
            then(message)

        self.create_subscription(type_, topic, keep, QoSProfile(depth=50))

    def spin(self) -> None:
        self.executor_.spin_once(timeout_sec=0.05)


class StandIn(Listener):
    """Segments like the node would, with labels that are known: the image's red channel."""

    def __init__(self, context, deaf_to: set[int]) -> None:
        super().__init__(context, 'edgesegnet')
        self._deaf_to = deaf_to
        qos = QoSProfile(depth=50)
        self._mask = self.create_publisher(Image, 'segmentation/mask', qos)
        self._overlay = self.create_publisher(Image, 'segmentation/overlay', qos)
        self._groups = self.create_publisher(ClassMasks, 'segmentation/class_masks', qos)
        self.hear(Image, 'image', self._segment)

    def _segment(self, message: Image) -> None:
        number = message.header.stamp.nanosec // 100_000_000
        if number in self._deaf_to:
            self._deaf_to.remove(number)
            return
        mask = np.ascontiguousarray(to_rgb(message)[..., 0])
        road = to_message((mask == 3).astype(np.uint8) * 255, 'mono8', message.header)
        self._mask.publish(to_message(mask, 'mono8', message.header))
        self._overlay.publish(to_message(to_rgb(message), 'rgb8', message.header))
        self._groups.publish(
            ClassMasks(
                header=message.header, masks=[ClassMask(name='drivable', class_ids=[3], mask=road)]
            )
        )


def labelled_frames() -> list[ImageFrame]:
    """Three frames whose predictions (red) are right in all, three quarters, half the pixels."""
    frames = []
    for i in range(3):
        labels = np.tile(np.arange(8, dtype=np.uint8) % (3 + i), (8, 1))
        labels[0] = 255
        image = np.zeros((8, 8, 3), np.uint8)
        image[..., 0] = labels
        image[:, : 2 * i, 0] = 9
        frames.append(ImageFrame(image, labels, START_NS + i * 100_000_000))
    return frames


@pytest.mark.node
def test_lock_step_scores_each_image_once_though_one_is_lost(tmp_path, graph):
    write_image_bag(tmp_path / 'bag', labelled_frames())
    node = StandIn(graph, deaf_to={1})
    collector = start('collector', '--out', str(tmp_path), '--labels', log=tmp_path / 'c.log')
    player = start(
        'bag_player',
        str(tmp_path / 'bag'),
        '--progress',
        '--rate',
        '0',
        '--wait-for',
        'image=2',
        '--wait-for',
        'labels',
        '--lock-step',
        'collected',
        '--answer-timeout',
        '2',
        log=tmp_path / 'p.log',
    )
    try:
        wait(lambda: player.poll() is not None, 'the player to end', step=node.spin)
        assert player.returncode == 0, (tmp_path / 'p.log').read_text()
        collector.send_signal(signal.SIGINT)
        assert collector.wait(30) == 0, (tmp_path / 'c.log').read_text()
    finally:
        player.kill(), collector.kill()
    events = [json.loads(line) for line in player.stdout]
    assert events[0] == {'event': 'matched', 'total': 3}
    assert [event['published'] for event in events[1:-1]] == [1, 2, 3]
    assert events[-1]['published'] == 3 and events[-1]['unanswered'] == 0
    assert events[-1]['republished'] >= 1
    collected = json.loads((tmp_path / 'collected.json').read_text())
    assert collected['frames_out'] == collected['frames_scored'] == 3
    # 7 labelled rows of 8 pixels in each; of them 0, 2 and 4 columns are wrong.
    assert collected['pixel_accuracy'] == pytest.approx((56 + 42 + 28) / 168)
    with np.load(tmp_path / 'pictures.npz') as pictures:
        # The last frame has the most classes.
        expected = labelled_frames()[2]
        np.testing.assert_array_equal(pictures['image'], expected.image)
        np.testing.assert_array_equal(pictures['labels'], expected.labels)
        np.testing.assert_array_equal(pictures['mask'], expected.image[..., 0])
        np.testing.assert_array_equal(pictures['group_drivable'] > 0, expected.image[..., 0] == 3)


@pytest.mark.node
def test_player_publishes_image_camera_info_labels_and_clock(tmp_path, graph):
    from edgesegnet_ros.data.street.camera import PinholeCamera

    camera = PinholeCamera.dash(SIZE, 1.4)
    stamps = [START_NS + i * 300_000_000 for i in range(3)]
    with BagWriter(tmp_path / 'bag', camera=camera) as bag:
        for i, stamp in enumerate(stamps):
            bag.write(ImageFrame(picture(i), np.full(SIZE, i, np.uint8), stamp))
    listener = Listener(graph)
    listener.hear(Image, 'image')
    listener.hear(Image, 'labels')
    listener.hear(CameraInfo, 'camera_info')
    listener.hear(Clock, '/clock')
    player = start(
        'bag_player',
        str(tmp_path / 'bag'),
        '--frame-id',
        'front',
        '--wait-for',
        'image',
        '--wait-for',
        'labels',
        '--wait-for',
        'camera_info',
        log=tmp_path / 'p.log',
    )
    try:
        topics = ('image', 'labels', 'camera_info')
        wait(
            lambda: all(len(listener.heard[topic]) == 3 for topic in topics),
            'three frames',
            step=listener.spin,
        )
        assert player.wait(30) == 0, (tmp_path / 'p.log').read_text()
    finally:
        player.kill()
    for i, stamp in enumerate(stamps):
        for topic in topics:
            header: Header = listener.heard[topic][i].header
            assert header.stamp.sec * 10**9 + header.stamp.nanosec == stamp
            assert header.frame_id == 'front'
        image = listener.heard['image'][i]
        assert (image.encoding, image.step) == ('rgb8', 3 * SIZE[1])
        np.testing.assert_array_equal(to_rgb(image), picture(i))
        assert set(listener.heard['labels'][i].data) == {i}
        assert listener.heard['labels'][i].encoding == 'mono8'
        assert listener.heard['camera_info'][i].k[0] == pytest.approx(camera.focal)
    times = [m.clock.sec * 10**9 + m.clock.nanosec for m in listener.heard['/clock']]
    assert times == sorted(times) and times[-1] <= stamps[-1]
    # Between frames the recording's time goes on.
    assert len(times) > 6


@pytest.mark.node
def test_player_and_probe_name_what_is_missing(tmp_path):
    write_image_bag(tmp_path / 'bag', [ImageFrame(picture(0), None, START_NS)])
    log = tmp_path / 'log'
    player = start(
        'bag_player',
        str(tmp_path / 'bag'),
        '--wait-for',
        'image',
        '--wait-timeout',
        '0.5',
        '--ros-args',
        '-r',
        'image:=deserted',
        log=log,
    )
    assert player.wait(60) == 1
    assert 'no subscribers within 0.5 s: /deserted has 0 of 1' in log.read_text()
    probe = start(
        'graph_probe',
        '--node',
        'nobody',
        '--lifecycle',
        'x=active',
        '--subscribers',
        '/t=1',
        '--timeout',
        '0.5',
        log=log,
    )
    assert probe.wait(60) == 1
    assert (
        'after 0.5 s: node /nobody is not there; /t has 0 of 1 subscribers; node /x is not '
        'answering, not active'
    ) in log.read_text()
    for arguments, sentence in (
        ((), 'nothing to wait for'),
        (('--lifecycle', 'x=awake'), 'expected NODE=unconfigured|'),
    ):
        assert start('graph_probe', *arguments, log=log).wait(60) == 2
        assert sentence in log.read_text()
    assert start('bag_player', '/no/such', log=log).wait(60) == 2
    assert '/no/such: no such file or folder' in log.read_text()
    assert 'Traceback' not in log.read_text()

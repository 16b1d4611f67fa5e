"""Processes that are killed while they write, and disks that are full."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys

import cv2
import harness
import numpy as np
import pytest
from faults import covers
from harness import CLEANUP, CONFIGURE
from sensor_msgs.msg import Image

from edgesegnet_ros.data.bag import ImageFrame, write_image_bag
from edgesegnet_ros.data.sources import START_NS, open_source
from edgesegnet_ros.demo.domain import ros_environment
from edgesegnet_ros.evaluation.replay.label_maps import LabelMaps

SMALL = {'input_size': '[64, 64]', 'num_threads': '1', 'lazy': 'false'}
WRITER = """
import itertools, sys
import numpy as np
from edgesegnet_ros.data.bag import BagWriter, ImageFrame
path, storage, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
with BagWriter(path, storage=storage, force=True) as bag:
    for number in itertools.count() if count < 0 else range(count):
        bag.write(ImageFrame(noise, None, 10**18 + number * 10**8))
        print(number, flush=True)
"""


def frames(count: int) -> list[ImageFrame]:
    noise = np.random.default_rng(0)
    return [
        ImageFrame(noise.integers(0, 255, (48, 64, 3), np.uint8), None, START_NS + number * 10**8)
        for number in range(count)
    ]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_killed_writer_leaves_the_bag_that_was_there(tmp_path, storage):
    covers('kill-writer')
    bag = tmp_path / 'bag'
    write_image_bag(bag, frames(3), storage=storage)
    words = [sys.executable, '-c', WRITER, str(bag), storage]
    writer = subprocess.Popen([*words, '-1'], stdout=subprocess.PIPE, text=True)
    last = str(random.randrange(200))
    for line in writer.stdout:
        if line.strip() == last:
            break
    writer.kill()
    assert writer.wait(30) == -signal.SIGKILL
    assert len(list(open_source(str(bag)))) == 3
    assert subprocess.run([*words, '5'], stdout=subprocess.DEVNULL).returncode == 0
    assert len(list(open_source(str(bag)))) == 5
    assert list(tmp_path.iterdir()) == [bag]


def test_node_player_and_collector_are_killed_and_started_again(tmp_path):
    covers('kill-pipeline')
    bag, out = tmp_path / 'bag', tmp_path / 'out'
    write_image_bag(bag, frames(12))
    content = {file.name: file.read_bytes() for file in bag.iterdir()}
    domain = int(os.environ['ROS_DOMAIN_ID'])
    started: list[subprocess.Popen] = []

    def play(space: str, *more: str):
        """Player, collector and node, and a client once all of them are there."""

        def start(executable: str, *words: str) -> subprocess.Popen:
            command = [sys.executable, '-m', f'edgesegnet_ros.node.{executable}', *words]
            log = (tmp_path / f'{executable}.log').open('w')
            with log:
                process = subprocess.Popen(
                    [*command, '--ros-args', '-r', f'__ns:={space}'],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=ros_environment(domain),
                )
            started.append(process)
            return process

        collector = start('collector', '--out', str(out), '--record')
        node = harness.NodeProcess({**SMALL, 'autostart': 'true'}, {}, tmp_path / 'log', space)
        started.append(node.process)
        client = harness.Client(node)
        client.subscribe(Image, 'segmentation/mask')
        topic = f'{space}/segmentation/mask'
        client.wait(lambda: client.node.count_subscribers(topic) == 2, 'the collector')
        return collector, start('bag_player', str(bag), '--wait-for', 'image', *more), client

    try:
        # Each time in a namespace of its own: those that are killed stay in the graph for a while.
        collector, player, client = play(f'/killed_{os.getpid()}', '--loop')
        client.messages('segmentation/mask', random.randrange(1, 8))
        for process in random.sample([collector, player, client.target.process], 3):
            process.kill()
            assert process.wait(30) == -signal.SIGKILL
        client.close()
        whole = ('collected.json', 'masks.zip')
        assert not [name for name in whole if (out / name).exists()]
        assert content == {file.name: file.read_bytes() for file in bag.iterdir()}

        collector, player, client = play(f'/again_{os.getpid()}')
        client.wait(lambda: player.poll() is not None, 'the player to end')
        assert player.returncode == 0, (tmp_path / 'bag_player.log').read_text()
        collector.send_signal(signal.SIGINT)
        assert collector.wait(60) == 0 and client.target.stop() == 0
        client.close()
        masks = LabelMaps(out / 'masks.zip')
        collected = json.loads((out / 'collected.json').read_text())
        assert len(masks) == collected['frames_out'] > 0
    finally:
        for process in started:
            process.kill()
            process.wait(30)


def test_an_engine_is_built_again_after_a_kill_and_after_a_full_disk(launch, tmp_path):
    """The disk is full for files above 100 kB, by the limit that the kernel has for a process."""
    pytest.importorskip('openvino')
    covers('full-disk')
    covers('kill-node')
    cache = tmp_path / 'cache'
    images = tmp_path / 'images'  # a few, since the proof is not what is tested
    images.mkdir()
    for number, frame in enumerate(frames(2)):
        cv2.imwrite(str(images / f'{number}.png'), frame.image)
    parameters = {
        **SMALL,
        'engine': 'openvino',
        'engine_cache': str(cache),
        'parity_frames': str(images),
    }
    killed = harness.NodeProcess({**parameters, 'autostart': 'true'}, {}, tmp_path / 'killed.log')
    client = launch(parameters)
    client.wait(lambda: client.state() == 'unconfigured', 'the node')
    # Any moment will do; by now it has begun to build, has done so, or runs.
    killed.process.kill()
    assert killed.process.wait(30) == -signal.SIGKILL
    assert client.change_state(CONFIGURE), client.target.log
    assert client.change_state(CLEANUP)
    full = tmp_path / 'full'
    assert client.set_parameter('engine_cache', str(full)) == ''
    process = client.target.process.pid
    unlimited = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (100_000, unlimited[1]))
    assert not client.change_state(CONFIGURE)
    said = client.diagnostics(lambda v: v['level'] == b'\x02', 'an error')['message']
    assert str(full) in said and 'large' in said, said
    assert not [file for file in full.rglob('*') if file.stat().st_size >= 100_000]
    resource.prlimit(process, resource.RLIMIT_FSIZE, unlimited)
    assert client.change_state(CONFIGURE), client.target.log
    assert [file for file in full.rglob('*') if file.stat().st_size > 100_000]

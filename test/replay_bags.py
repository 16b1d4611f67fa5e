"""Small bags for the tests of replay, and the command that they are given to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from edgesegnet_ros import cli

TYPES = get_typestore(Stores.ROS2_HUMBLE)
IMAGE = 'sensor_msgs/msg/Image'
SIZE = (48, 64)
QUICK = (
    '--engine',
    'torch',
    '--precision',
    'fp32',
    '--num-threads',
    '1',
    '--input-size',
    '32x32',
    '--no-pictures',
    '--no-video',
    '--no-page',
)


def picture(value: int, size=SIZE) -> np.ndarray:
    """Smooth noise: what it shows does not matter, that each differs does."""
    rng = np.random.default_rng(value)
    coarse = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))


def truth(value: int, size=SIZE) -> np.ndarray:
    return np.full(size, value % 11, np.uint8)


def message(stamp_ns: int, pixels: np.ndarray, encoding: str = 'rgb8'):
    time = TYPES.types['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
    header = TYPES.types['std_msgs/msg/Header'](time, 'front')
    return TYPES.types[IMAGE](
        header,
        pixels.shape[0],
        pixels.shape[1],
        encoding,
        0,
        int(np.prod(pixels.shape[1:])),
        pixels.ravel(),
    )


def write(path: Path, messages, storage='mcap', compression=None):
    """messages: (topic, type, recorded ns, message)."""
    writer = Writer(path, version=8, storage_plugin=StoragePlugin[storage.upper()])
    if compression:
        writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for topic, kind, recorded, body in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
            writer.write(connections[topic], recorded, TYPES.serialize_cdr(body, kind))
    return path


def frames(count: int, first=0, labels=True, topic='/camera', size=SIZE):
    """Messages of a camera, ten a second from 1 s on, with labels."""
    out = []
    for n in range(first, first + count):
        stamp = 10**9 + n * 10**8
        out.append((f'{topic}/image', IMAGE, stamp, message(stamp, picture(n, size))))
        if labels:
            body = message(stamp, truth(n, size), 'mono8')
            out.append((f'{topic}/labels', IMAGE, stamp, body))
    return out


def replay(*words, out: Path, status: int | None = 0, quick=QUICK) -> dict:
    """Run the command; its JSON."""
    file = out / 'figures.json'
    got = cli.main(['replay', *map(str, words), *quick, '--out', str(out), '--json', str(file)])
    assert status is None or got == status
    return json.loads(file.read_text())


RULES = {'drivable': (False, 0.45), 'dynamic': (True, 0.6), 'obstacle': (True, 0.0)}
"""Of groups: whether uncertain pixels are inside, and the confidence below which they are."""


def rule_words() -> list[str]:
    """RULES as options of the command."""
    words = []
    for group, (inside, threshold) in RULES.items():
        words += ['--unlabeled-inside', group] if inside else []
        words += ['--min-confidence', f'{group}={threshold}'] if threshold else []
    return words


def written(bag: Path) -> dict[str, dict[int, object]]:
    """Last part of the topic -> stamp in ns -> message, of a bag that replay wrote."""
    from rosbags.highlevel import AnyReader

    found: dict[str, dict[int, object]] = {}
    with AnyReader([bag]) as reader:
        for connection, _, data in reader.messages():
            body = reader.deserialize(data, connection.msgtype)
            stamp = body.header.stamp
            topic = found.setdefault(connection.topic.rsplit('/', 1)[1], {})
            topic[stamp.sec * 10**9 + stamp.nanosec] = body
    return found


def kinds(result: dict) -> list[str]:
    return [problem['kind'] for problem in result['problems']]

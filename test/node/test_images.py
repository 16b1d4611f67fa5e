"""Image messages that are made here, and what node and replay make of the same messages."""

from __future__ import annotations

import tempfile
from array import array
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, given, settings
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from edgesegnet_ros.data.bag import BagFrames
from edgesegnet_ros.data.encodings import ENCODINGS, ImageMessageError
from edgesegnet_ros.node.image_size import check_size
from edgesegnet_ros.node.images import to_message
from edgesegnet_ros.node.worker import _converted

TYPES = get_typestore(Stores.ROS2_HUMBLE)
IMAGE = 'sensor_msgs/msg/Image'
PICTURE = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)


def test_a_message_made_here_has_its_bytes():
    header = Header(frame_id='camera')
    for encoding, pixels in (('rgb8', PICTURE), ('bgr8', PICTURE), ('mono8', PICTURE[..., 0])):
        message = to_message(pixels, encoding, header)
        assert message.step == 48 * (3 if pixels.ndim == 3 else 1)
        assert bytes(message.data) == pixels.tobytes()
        assert message.header.frame_id == 'camera'


def node_verdict(message):
    """What the node would segment, or why it would not."""
    try:
        check_size(message, 10**6)
        return _converted(message, False)
    except ImageMessageError as error:
        return str(error)


@st.composite
def images(draw):
    """Image messages as cameras and broken drivers send them."""
    encoding = draw(st.sampled_from([*ENCODINGS, 'rgb16', '32FC1', '']))
    height, width = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    known = ENCODINGS.get(encoding)
    step = width * (known.pixel_bytes if known else 3) + draw(st.sampled_from([0, 0, 0, 3, -1]))
    size = max(0, step) * height * (known.half_rows if known else 2) // 2
    size = max(0, size + draw(st.sampled_from([0, 0, 0, 0, 1, -1])))
    data = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 256, size, np.uint8)
    return height, width, encoding, draw(st.integers(0, 1)), max(0, step), data


def replayed(folder, sent):
    """What replay reads of a bag with these messages: an image or a reason each."""
    with Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection('/image', IMAGE, typestore=TYPES)
        for number, values in enumerate(sent, 1):
            stamp = TYPES.types['builtin_interfaces/msg/Time'](number, 0)
            header = TYPES.types['std_msgs/msg/Header'](stamp, 'camera')
            body = TYPES.types[IMAGE](header, *values)
            data = TYPES.serialize_cdr(body, IMAGE)
            writer.write(topic, number, data)
    problems = []
    verdicts = {f.number: f.image for f in BagFrames(folder, '/image', '', problems.append)}
    for problem in problems:
        if problem.kind == 'bad_image':
            verdicts[int(problem.where.rsplit(' ', 1)[1])] = problem.what
    return [verdicts[number] for number in range(len(sent))]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sent=st.lists(images(), min_size=20, max_size=40))
def test_node_and_replay_agree_on_every_image(sent):
    with tempfile.TemporaryDirectory() as folder:
        replays = replayed(Path(folder, 'bag'), sent)
    for values, replay in zip(sent, replays, strict=True):
        names = ('height', 'width', 'encoding', 'is_bigendian', 'step')
        message = Image(**dict(zip(names, values[:-1], strict=True)))
        message.data = array('B', values[-1].tobytes())
        verdict = node_verdict(message)
        if isinstance(verdict, str):
            assert isinstance(replay, str) and replay.endswith(verdict)
        else:
            np.testing.assert_array_equal(verdict, replay)

"""Bags that other tools write: read correctly, or problems are counted and named."""

import shutil
import sqlite3

import cv2
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from mcap.writer import Writer as McapWriter
from replay_bags import IMAGE, TYPES, frames, kinds, message, picture, replay, write
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.typesys import Stores, get_typestore

from edgesegnet_ros.data.bag import BagError, BagFrames
from edgesegnet_ros.data.sources import open_source
from edgesegnet_ros.evaluation.replay.bag_paths import find_bags

COMPRESSED = 'sensor_msgs/msg/CompressedImage'
IMAGE_TEXT, _ = TYPES.generate_msgdef(IMAGE)
ROS1 = get_typestore(Stores.ROS1_NOETIC)
NO_LABELS = ('--labels', '')


def read(path):
    """Images of a bag as far as it can be read, and what is wrong with it."""
    problems = []
    return list(BagFrames(path, on_problem=problems.append)), problems


def assert_shows(images, *numbers):
    assert len(images) == len(numbers)
    for frame, number in zip(images, numbers, strict=True):
        np.testing.assert_array_equal(frame.image, picture(number))


def compressed(stamp_ns, data, format_='png'):
    header = message(stamp_ns, np.zeros((1, 1, 3), np.uint8)).header
    return TYPES.types[COMPRESSED](header, format_, np.frombuffer(data, np.uint8))


def png(number):
    return cv2.imencode('.png', picture(number)[..., ::-1])[1].tobytes()


def other_mcap(path, profile, add):
    """An MCAP that rosbags would not write; add(writer, number) writes to a channel."""
    with path.open('wb') as file:
        writer = McapWriter(file)
        writer.start(profile=profile, library='test')
        add(writer)
        writer.finish()
    return path


def add_ros2_images(writer):
    schema = writer.register_schema(IMAGE, 'ros2msg', IMAGE_TEXT.encode())
    channel = writer.register_channel('/camera/image', 'cdr', schema)
    for n in (1, 2):
        data = bytes(TYPES.serialize_cdr(message(n, picture(n)), IMAGE))
        writer.add_message(channel, n, data, n)


# SQLite with a write-ahead log.


def test_an_sqlite_bag_with_a_write_ahead_log_is_read_completely(tmp_path):
    bag = write(tmp_path / 'bag', frames(3, labels=False), 'sqlite3')
    with sqlite3.connect(bag / 'bag.db3') as database:
        rows = database.execute('SELECT * FROM messages WHERE id > 1').fetchall()
        database.execute('DELETE FROM messages WHERE id > 1')
    database.execute('PRAGMA journal_mode=WAL')
    with database:
        database.executemany('INSERT INTO messages VALUES (?, ?, ?, ?)', rows)
    crashed = tmp_path / 'crashed'
    crashed.mkdir()
    for name in ('bag.db3', 'bag.db3-wal'):  # as they lie there when the recorder dies
        shutil.copy(bag / name, crashed / name)
    database.close()
    before = {file.name: file.read_bytes() for file in crashed.iterdir()}
    images, problems = read(crashed / 'bag.db3')
    assert_shows(images, 0, 1, 2)
    assert [p.kind for p in problems] == ['no_index'] and 'write-ahead log' in problems[0].what
    assert_shows(list(BagFrames(crashed / 'bag.db3')), 0, 1, 2)
    result = replay(crashed, *NO_LABELS, out=tmp_path / 'out')
    assert (result['frames_in'], result['frames_out']) == (3, 3)
    assert {file.name: file.read_bytes() for file in crashed.iterdir()} == before


# Bad images.


@pytest.fixture(scope='module')
def with_bad_images(tmp_path_factory):
    """Five images: the second has no bytes, the last is cut off."""
    jpeg = cv2.imencode('.jpg', picture(4))[1].tobytes()
    data = [png(0), b'', png(2), png(3), jpeg[: len(jpeg) // 2]]
    return write(
        tmp_path_factory.mktemp('bad') / 'bag',
        [
            ('/camera/image/compressed', COMPRESSED, n + 1, compressed(n + 1, each))
            for n, each in enumerate(data)
        ],
    )


def test_bad_images_are_counted_once_and_skipped(with_bad_images, tmp_path):
    result = replay(with_bad_images, *NO_LABELS, out=tmp_path / 'out', status=1)
    assert (result['frames_in'], result['frames_out'], result['dropped']) == (5, 3, 2)
    assert kinds(result) == ['bad_image'] and result['problems'][0]['frames'] == 2
    assert '0 bytes of format' in result['problems'][0]['what']


def test_the_player_continues_after_bad_images(with_bad_images):
    source = open_source(str(with_bad_images))
    assert [frame.stamp_ns for frame in source] == [1, 3, 4]
    assert source.skipped == 2 and '0 bytes of format' in source.reasons[0]


# Bags that hold more than images.


def test_an_mcap_without_a_profile_and_with_json_and_invalid_channels(tmp_path):
    def add(writer):
        json = writer.register_schema('Status', 'jsonschema', b'{"type": "object"}')
        channel = writer.register_channel('/status', 'json', json)
        writer.add_message(channel, 1, b'{}', 1)
        nonsense = writer.register_schema('a/msg/B', 'ros2msg', b'this is [no definition')
        writer.register_channel('/nonsense', 'cdr', nonsense)
        writer.register_channel('/without', 'json', 0)
        add_ros2_images(writer)

    for profile in ('', 'ros2'):
        images, problems = read(other_mcap(tmp_path / f'a{profile}.mcap', profile, add))
        assert_shows(images, 1, 2)
        assert not problems
    result = replay(tmp_path / 'a.mcap', *NO_LABELS, out=tmp_path / 'out')
    assert (result['frames_in'], result['frames_out'], result['topic']) == (2, 2, '/camera/image')


@pytest.mark.parametrize(
    'change',
    [
        "UPDATE message_definitions SET encoding = 'unknown' WHERE topic_type LIKE 'std%'",
        'UPDATE message_definitions SET encoded_message_definition = "no [definition" '
        "WHERE topic_type LIKE 'std%'",
        "UPDATE topics SET type_description_hash = 'RIHS01_0' WHERE type LIKE 'std%'",
        "UPDATE message_definitions SET type_description_hash = 'RIHS01_0'",
    ],
    ids=['unknown', 'unparsable', 'wrong-hash', 'all-hashes-wrong'],
)
def test_other_topics_do_not_affect_the_images(tmp_path, change):
    text = TYPES.types['std_msgs/msg/String']('hello')
    bag = write(
        tmp_path / 'bag',
        [('/chatter', 'std_msgs/msg/String', 1, text), *frames(2, labels=False)],
        'sqlite3',
    )
    with sqlite3.connect(bag / 'bag.db3') as database:
        assert database.execute(change).rowcount
    database.close()
    for path in (bag, bag / 'bag.db3'):
        assert_shows(list(BagFrames(path)), 0, 1)


def test_an_mcap_of_ros1(tmp_path):
    text, digest = ROS1.generate_msgdef(IMAGE)

    def add(writer):
        schema = writer.register_schema('sensor_msgs/Image', 'ros1msg', text.encode())
        channel = writer.register_channel('/camera/image', 'ros1', schema, {'md5sum': digest})
        for n in (1, 2):
            data = ROS1.serialize_ros1(ros1_image(n), IMAGE)
            writer.add_message(channel, n, bytes(data), n)

    images, problems = read(other_mcap(tmp_path / 'a.mcap', 'ros1', add))
    assert_shows(images, 1, 2)
    assert not problems and images[0].frame_id == 'front'


def ros1_image(number):
    stamp = ROS1.types['builtin_interfaces/msg/Time'](number, 0)
    header = ROS1.types['std_msgs/msg/Header'](number, stamp, 'front')
    pixels = picture(number)
    return ROS1.types[IMAGE](header, 48, 64, 'rgb8', 0, 192, pixels.ravel())


def foxglove_types():
    """foxglove.RawImage and CompressedImage, and their descriptors as an MCAP holds them."""
    file = descriptor_pb2.FileDescriptorProto(
        name='images.proto',
        package='foxglove',
        syntax='proto3',
        dependency=['google/protobuf/timestamp.proto'],
    )
    kinds_ = {'s': 9, 'b': 12, 'i': 7}
    fields = {
        'RawImage': (
            ('frame_id', 7, 's'),
            ('width', 2, 'i'),
            ('height', 3, 'i'),
            ('encoding', 4, 's'),
            ('step', 5, 'i'),
            ('data', 6, 'b'),
        ),
        'CompressedImage': (('frame_id', 4, 's'), ('data', 2, 'b'), ('format', 3, 's')),
    }
    for name, own in fields.items():
        kind = file.message_type.add(name=name)
        kind.field.add(
            name='timestamp',
            number=1,
            label=1,
            type=11,
            type_name='.google.protobuf.Timestamp',
        )
        for field, number, letter in own:
            kind.field.add(name=field, number=number, label=1, type=kinds_[letter])
    pool = descriptor_pool.DescriptorPool()
    stamp = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(stamp)
    pool.Add(stamp)
    pool.Add(file)
    classes = {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f'foxglove.{name}'))
        for name in fields
    }
    return classes, descriptor_pb2.FileDescriptorSet(file=[stamp, file]).SerializeToString()


def test_an_mcap_of_foxglove_protobuf(tmp_path):
    classes, descriptors = foxglove_types()

    def add(writer):
        for topic, name in (('/raw', 'RawImage'), ('/packed', 'CompressedImage')):
            schema = writer.register_schema(f'foxglove.{name}', 'protobuf', descriptors)
            channel = writer.register_channel(topic, 'protobuf', schema)
            for n in (1, 2):
                body = classes[name](frame_id='front')
                body.timestamp.seconds = n
                if name == 'RawImage':
                    body.width, body.height, body.step, body.encoding = 64, 48, 192, 'rgb8'
                    body.data = picture(n).tobytes()
                else:
                    body.format, body.data = 'png', png(n)
                writer.add_message(channel, n, body.SerializeToString(), n)

    bag = other_mcap(tmp_path / 'a.mcap', '', add)
    for topic in ('/raw', '/packed'):
        images = list(BagFrames(bag, topic))
        assert_shows(images, 1, 2)
        assert (images[1].stamp_ns, images[1].frame_id) == (2 * 10**9, 'front')
    result = replay(
        bag, '--topic', '/raw', '--write-bag', tmp_path / 'w', *NO_LABELS, out=tmp_path / 'out'
    )
    assert result['frames_out'] == 2
    assert_shows(list(BagFrames(tmp_path / 'w', '/raw')), 1, 2)


def test_a_folder_of_bags_skips_leftovers_of_tools_and_keeps_active_bags(tmp_path):
    write(tmp_path / 'one', frames(1))
    with Ros1Writer(tmp_path / 'two.bag') as writer:
        topic = writer.add_connection('/camera/image', IMAGE, typestore=ROS1)
        for n in (1, 2):
            writer.write(topic, n, ROS1.serialize_ros1(ros1_image(n), IMAGE))
    whole = (tmp_path / 'two.bag').read_bytes()
    # A recorder that dies has not written the index yet.
    (tmp_path / 'two.bag.active').write_bytes(whole[:-20])
    (tmp_path / 'two.bag').unlink()
    (tmp_path / '._two.bag').write_bytes(b'\0\5\x16\7')
    assert [bag.name for bag in find_bags([str(tmp_path)])] == ['one', 'two.bag.active']
    images, problems = read(tmp_path / 'two.bag.active')
    assert_shows(images, 1, 2)
    assert [p.kind for p in problems] == ['truncated']
    with pytest.raises(BagError, match='truncated'):
        BagFrames(tmp_path / 'two.bag.active')

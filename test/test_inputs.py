"""Bags, images and labels as the world writes them: read right, or counted and named.

One test for each kind of input that users of such tools have reported trouble with.
"""

from __future__ import annotations

import argparse
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

from edgesegnet_ros.data.bag import BagError, BagFrames, MessageBag, find_cameras
from edgesegnet_ros.data.bag.topic_reader import LABEL_INFO, LABEL_INFO_TEXT
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.sources import START_NS, SourceError, open_source
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.evaluation import figure2
from edgesegnet_ros.evaluation.replay.bag_paths import find_bags
from edgesegnet_ros.evaluation.replay.label_folder import LabelFolder
from edgesegnet_ros.evaluation.replay.result import ReplayError

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


def test_an_sqlite_bag_with_a_write_ahead_log_is_read_whole(tmp_path):
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


def test_the_player_goes_on_after_bad_images(with_bad_images):
    source = open_source(str(with_bad_images))
    assert [frame.stamp_ns for frame in source] == [1, 3, 4]
    assert source.skipped == 2 and '0 bytes of format' in source.reasons[0]


# Bags that hold more than images.


def test_an_mcap_of_no_profile_with_json_and_nonsense_beside_the_images(tmp_path):
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
def test_topics_that_are_not_needed_do_not_decide(tmp_path, change):
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


# Files that are not what their name says.


POINTER = b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n'


@pytest.mark.parametrize(
    ('name', 'content', 'sentence'),
    [
        ('a.mcap', POINTER, 'git lfs pull'),
        ('a.db3', b'', 'it is empty'),
        ('a.bag', POINTER, 'git lfs pull'),
        ('._a.mcap', b'\0\5\x16\7', 'as macOS writes them'),
        ('a.mcap', b'<!DOCTYPE html><html>', 'failed download'),
    ],
)
def test_a_file_that_is_no_bag_says_what_it_is(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    for tolerant in (None, lambda problem: None):
        with pytest.raises(BagError, match=sentence):
            BagFrames(tmp_path / name, on_problem=tolerant)


@pytest.mark.parametrize(
    ('name', 'content', 'sentence'),
    [('a.png', POINTER, 'git lfs pull'), ('a.mp4', POINTER, 'git lfs'), ('a.png', b'', 'empty')],
)
def test_an_image_or_video_that_is_none_says_what_it_is(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=sentence):
        list(open_source(str(tmp_path / name)))


def test_a_bag_that_cannot_be_opened_says_why(tmp_path):
    (tmp_path / 'a.mcap').write_bytes(b'\x89MCAP0\r\n' + bytes(100))
    with pytest.raises(BagError, match=r'nothing of it can be read \(a.mcap .*Unexpected record'):
        BagFrames(tmp_path / 'a.mcap', on_problem=lambda problem: None)


def test_a_folder_of_bags_leaves_out_what_tools_leave_there_and_keeps_active_bags(tmp_path):
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


def test_names_in_capitals_and_hidden_files_of_a_folder(tmp_path):
    cv2.imwrite(str(tmp_path / 'A.PNG'), picture(1)[..., ::-1])
    (tmp_path / '._A.PNG').write_bytes(b'\0\5\x16\7')
    [frame] = open_source(str(tmp_path))
    np.testing.assert_array_equal(frame.image, picture(1))


def test_a_video_keeps_its_own_times(tmp_path):
    av = pytest.importorskip('av')
    times_ms = [0, 33, 66, 400, 433, 1500]
    with av.open(str(tmp_path / 'a.mp4'), 'w') as file:
        stream = file.add_stream('mpeg4', rate=1000)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        for number, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(picture(number), format='rgb24')
            frame.pts = time_ms
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    stamps = [frame.stamp_ns - START_NS for frame in open_source(str(tmp_path / 'a.mp4'))]
    assert stamps == [time_ms * 10**6 for time_ms in times_ms]


# Folders of label images.

SECOND = 10**9
TEN_HZ = [1_700_000_000 * SECOND + n * SECOND // 10 for n in range(4)]
ONE_HZ = [(1_700_000_000 + n) * SECOND * 2 + 123_456_789 for n in range(4)]


def label_folder(folder, names):
    folder.mkdir()
    for value, name in enumerate(names):
        cv2.imwrite(str(folder / f'{name}.png'), np.full((2, 2), value, np.uint8))
    return folder


@pytest.mark.parametrize(
    ('stamps', 'names', 'reading', 'values'),
    [
        (TEN_HZ, ['0000', '0001', '0002', '0003'], 'frame numbers from 0', [0, 1, 2, 3]),
        (TEN_HZ, ['0001', '0002', '0003', '0004'], 'frame numbers from 1', [0, 1, 2, 3]),
        (TEN_HZ, [f'{n:010d}' for n in range(4)], 'frame numbers from 0', [0, 1, 2, 3]),
        (TEN_HZ, ['frame_0', 'frame_2'], 'frame numbers from 0', [0, None, 1, None]),
        (TEN_HZ, TEN_HZ, 'stamps in nanoseconds', [0, 1, 2, 3]),
        (TEN_HZ, [s // 10**3 for s in TEN_HZ], 'stamps in microseconds', [0, 1, 2, 3]),
        (TEN_HZ, [s // 10**6 for s in TEN_HZ], 'stamps in milliseconds', [0, 1, 2, 3]),
        (ONE_HZ, [s // 10**9 for s in ONE_HZ], 'stamps in seconds', [0, 1, 2, 3]),
        (
            TEN_HZ,
            [f'{s // SECOND}.{s % SECOND // 10**8}' for s in TEN_HZ],
            'seconds',
            [0, 1, 2, 3],
        ),
        ([1, 2, 3, 4], ['1', '2', '3', '4'], 'stamps in nanoseconds', [0, 1, 2, 3]),
    ],
)
def test_names_of_label_images_are_read_as_they_fit(tmp_path, stamps, names, reading, values):
    labels = LabelFolder(label_folder(tmp_path / 'a', names), CAMVID11, stamps)
    assert reading in labels.reading
    found = [labels.of(number, stamp) for number, stamp in enumerate(stamps)]
    assert [None if each is None else int(each[0, 0]) for each in found] == values


@pytest.mark.parametrize('names', [['1', '2'], ['2', '3'], ['1', '2', '3', '4', '5'], ['3']])
def test_numbers_of_two_readings_are_refused_with_both(tmp_path, names):
    folder = label_folder(tmp_path / 'a', names)
    with pytest.raises(ReplayError, match=r'from 0 .* or from 1 .*--label-start 1'):
        LabelFolder(folder, CAMVID11, TEN_HZ)
    labels = LabelFolder(folder, CAMVID11, TEN_HZ, first_number=1)
    assert labels.of(int(names[0]) - 1, 0) is not None


def test_labels_from_one_are_scored_on_their_own_frames(tmp_path):
    bag = write(tmp_path / 'bag', frames(3, labels=False))
    folder = tmp_path / 'labels'
    folder.mkdir()
    for n in range(3):
        cv2.imwrite(str(folder / f'{n + 1:04d}.png'), np.full((48, 64), n, np.uint8))
    result = replay(bag, '--labels', folder, '--no-flow', out=tmp_path / 'out')
    assert result['frames_scored'] == 3 and not result['problems']
    true = np.array(result['confusion']).sum(1)
    assert true[:3].tolist() == [48 * 64] * 3


# Topics of labels.

CAMVID11 = load_classes('camvid11')


def labels_at(topic, values, encoding='mono8', size=(48, 64)):
    """Two images, and beside them a topic whose name says labels."""
    pixels = np.resize(np.array(values, np.uint8), size)
    if encoding == 'rgb8':
        pixels = np.dstack([pixels] * 3)
    out = []
    for n in (1, 2):
        out.append(('/camera/image', IMAGE, n, message(n, picture(n))))
        out.append((topic, IMAGE, n, message(n, pixels, encoding)))
    return out


@pytest.mark.parametrize(
    ('messages', 'taken', 'note'),
    [
        (labels_at('/camera/labels', [0, 10, 11, 255]), '/camera/labels', ''),
        (labels_at('/gt/annot', [3]), '/gt/annot', ''),
        (labels_at('/unet/colored_segmentation_mask', [1], 'rgb8'), '', "encoding 'rgb8'; label"),
        (labels_at('/net/class_mask', [1], size=(23, 30)), '', '30x23, but the images are 64x48'),
        (labels_at('/camera/mask', [0, 200]), '', 'holds the values 200; camvid11 has'),
        (labels_at('/net/overlay', [1], 'rgb8'), '', 'an output of a segmentation node'),
    ],
    ids=['labels', 'elsewhere', 'colours', 'small', 'binary-mask', 'overlay'],
)
def test_a_topic_is_ground_truth_by_its_content(tmp_path, messages, taken, note):
    found = find_cameras(write(tmp_path / 'bag', messages), classes=CAMVID11)
    [camera] = found.cameras
    assert (camera.image_topic, camera.label_topic) == ('/camera/image', taken)
    assert note in ' '.join(found.notes) and bool(note) == bool(found.notes)


def test_a_guess_that_fails_is_a_note_and_no_failed_run(tmp_path, capsys):
    bag = write(tmp_path / 'bag', labels_at('/unet/colored_segmentation_mask', [1], 'rgb8'))
    result = replay(bag, out=tmp_path / 'out')
    assert result['frames_out'] == 2 and result['labels_from'] is None
    assert not result['problems'] and 'not taken as ground truth' in ' '.join(result['notes'])
    bag = write(tmp_path / 'fits', labels_at('/camera/labels', [1]))
    assert replay(bag, out=tmp_path / 'out2')['labels_from'] == '/camera/labels'
    assert 'against /camera/labels' in capsys.readouterr().out


def test_truth_of_another_size_is_used_when_it_is_named_and_said_to_be(tmp_path):
    bag = write(tmp_path / 'bag', labels_at('/net/class_mask', [1], size=(24, 32)))
    result = replay(bag, '--labels', '/net/class_mask', out=tmp_path / 'out')
    assert result['frames_scored'] == 2 and kinds(result) == ['labels_size']
    assert '32x24, the image is 64x48' in result['problems'][0]['what']


@pytest.mark.parametrize('four_classes', [True, False])
def test_labels_of_other_classes_do_not_pass_for_figures(tmp_path, four_classes):
    image, labels = Street(7, (96, 128)).frame(20)[:2]
    if four_classes:  # ground, sky, obstacle, other: ids that camvid11 has, too
        table = np.full(256, 3, np.uint8)
        table[[CAMVID11.ids([name])[0] for name in ('road', 'sky', 'building')]] = 0, 1, 2
        table[255] = 255
        labels = table[labels]
    bag = write(
        tmp_path / 'bag',
        [
            ('/camera/image', IMAGE, 1, message(1, image)),
            ('/camera/labels', IMAGE, 1, message(1, labels, 'mono8')),
        ],
    )
    result = replay(bag, '--input-size', '96x128', out=tmp_path / 'out', status=int(four_classes))
    assert kinds(result) == (['labels_disagree'] if four_classes else [])
    assert (result['pixel_accuracy'] < 0.1) == four_classes


def with_label_info(path, names):
    with MessageBag(path, definitions={LABEL_INFO: LABEL_INFO_TEXT}) as bag:
        kind = bag.types['vision_msgs/msg/VisionClass']
        entries = [kind(class_id=n, class_name=name) for n, name in enumerate(names)]
        info = bag.types[LABEL_INFO](bag.header(1, 'x'), entries, 0.0)
        bag.send('/camera/label_info', LABEL_INFO, 1, info)
        for topic, kind, stamp, body in labels_at('/camera/labels', [0, 1]):
            bag.send(topic, kind, stamp, body)
    return path


def test_a_bag_that_names_its_classes_is_checked_against_the_model(tmp_path):
    names = [entry.name for entry in CAMVID11.classes]
    same = with_label_info(tmp_path / 'same', [*names, 'void'])
    assert find_cameras(same, classes=CAMVID11).cameras[0].label_topic == '/camera/labels'
    other = with_label_info(tmp_path / 'other', ['floor', 'wall', 'shelf', 'person'])
    found = find_cameras(other, classes=CAMVID11)
    assert found.cameras[0].label_topic == ''
    assert "says that 0 is 'floor', which is" in found.notes[0]
    with pytest.raises(BagError, match="cannot be ground truth: .* 0 is 'floor'"):
        find_cameras(other, labels='/camera/labels', classes=CAMVID11)


def test_values_that_no_class_has_are_refused_with_the_values(tmp_path):
    messages = labels_at('/camera/labels', [0, 1])
    foreign = np.full((48, 64), 77, np.uint8)
    messages[-1] = ('/camera/labels', IMAGE, 2, message(2, foreign, 'mono8'))
    result = replay(write(tmp_path / 'bag', messages), out=tmp_path / 'out', status=1)
    assert result['frames_scored'] == 1 and kinds(result) == ['bad_labels']
    assert '[77], which are not class ids' in result['problems'][0]['what']


def test_a_street_is_not_scored_with_other_classes(tmp_path):
    four = tmp_path / 'four.yaml'
    four.write_text(
        'name: four\nclasses:\n'
        + ''.join(f'- {{id: {n}, name: c{n}, color: [{n}, 0, 0]}}\n' for n in range(4))
    )
    parser = argparse.ArgumentParser()
    figure2.add_arguments(parser)
    with pytest.raises(EngineError, match='class file four has 4 classes'):
        figure2.run(parser.parse_args(['--classes', str(four)]))

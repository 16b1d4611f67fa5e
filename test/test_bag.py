"""Bags: what is written is read back equal, and what is wrong with one is said in a sentence."""

from __future__ import annotations

import logging
import sqlite3

import cv2
import numpy as np
import pytest

pytest.importorskip('rosbags')

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from edgesegnet_ros.data.bag import (
    BagError,
    BagFrames,
    BagWriter,
    ImageFrame,
    read_frames,
    write_image_bag,
    write_street_bag,
)
from edgesegnet_ros.data.street import Street

TYPES = get_typestore(Stores.ROS2_HUMBLE)
SIZE = (48, 64)


def picture(value: int, size=SIZE) -> np.ndarray:
    rng = np.random.default_rng(value)
    return rng.integers(0, 256, (*size, 3), np.uint8)


def header(stamp_ns: int, frame_id: str = 'front'):
    time = TYPES.types['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
    return TYPES.types['std_msgs/msg/Header'](time, frame_id)


def image_message(stamp_ns: int, pixels: np.ndarray, encoding: str, step: int | None = None):
    rows = pixels.reshape(pixels.shape[0], -1).view(np.uint8)
    step = step or rows.shape[1]
    padded = np.full((rows.shape[0], step), 77, np.uint8)
    padded[:, : rows.shape[1]] = rows
    return TYPES.types['sensor_msgs/msg/Image'](
        header(stamp_ns), pixels.shape[0], pixels.shape[1], encoding, 0, step, padded.ravel()
    )


def write_messages(path, messages, storage='mcap'):
    """messages: (topic, type, recorded ns, message)."""
    with Writer(path, version=8, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        connections = {}
        for topic, kind, recorded, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
            writer.write(connections[topic], recorded, TYPES.serialize_cdr(message, kind))
    return path


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_street_comes_back_as_it_was(tmp_path, storage):
    street = Street(5, SIZE)
    write_street_bag(tmp_path / 'bag', street, 4, 20.0, storage=storage)
    frames = BagFrames(tmp_path / 'bag')
    assert (frames.image_topic, frames.label_topic, len(frames)) == (
        '/camera/image',
        '/camera/labels',
        4,
    )
    for _ in range(2):  # each iteration starts from the beginning
        read = list(frames)
        assert len(read) == 4
        for index, frame in enumerate(read):
            drawn = street.frame(index, 20.0)
            np.testing.assert_array_equal(frame.image, drawn.image)
            np.testing.assert_array_equal(frame.labels, drawn.labels)
            assert (frame.stamp_ns, frame.frame_id, frame.encoding) == (
                drawn.stamp_ns,
                'camera',
                'rgb8',
            )
    assert read[1].stamp_ns - read[0].stamp_ns == 50_000_000


def test_the_calibration_is_that_of_the_street(tmp_path):
    street = Street(5, SIZE)
    write_street_bag(tmp_path / 'bag', street, 1)
    info = BagFrames(tmp_path / 'bag').camera_info
    camera = street.camera
    assert (info.height, info.width, info.distortion_model) == (48, 64, 'plumb_bob')
    np.testing.assert_allclose(
        info.k.reshape(3, 3),
        [[camera.focal, 0, camera.cx], [0, camera.focal, camera.cy], [0, 0, 1]],
    )
    np.testing.assert_allclose(info.p.reshape(3, 4)[:, :3], info.k.reshape(3, 3))
    # A point of the road ahead lies where the matrix says.
    point = np.array([1.5, camera.mount, 9.0])  # optical frame: x right, y down, z forward
    pixel = info.k.reshape(3, 3) @ point
    np.testing.assert_allclose(pixel[:2] / pixel[2], camera.project(np.array([1.5, 0, 9.0])))


def test_humble_to_kilted_can_read_the_metadata(tmp_path):
    write_street_bag(tmp_path / 'bag', Street(5, SIZE), 1)
    text = (tmp_path / 'bag' / 'metadata.yaml').read_text()
    assert 'version: 8' in text and 'storage_identifier: mcap' in text
    assert "offered_qos_profiles: ''" in text  # text, as Humble wants it
    assert b'geometry_msgs' not in (data := (tmp_path / 'bag' / 'bag.mcap').read_bytes())
    assert b'uint32 height' in data and b'MSG: std_msgs/Header' in data  # definitions embedded


def test_a_single_file_is_a_bag_too(tmp_path):
    write_image_bag(tmp_path / 'bag', [ImageFrame(picture(1), None, 10**9)])
    frames = list(read_frames(tmp_path / 'bag' / 'bag.mcap'))
    assert len(frames) == 1 and frames[0].labels is None
    np.testing.assert_array_equal(frames[0].image, picture(1))


def test_encodings_padding_and_compression(tmp_path):
    rgb = picture(3)
    ok, png = cv2.imencode('.png', rgb[..., ::-1])
    assert ok
    compressed = TYPES.types['sensor_msgs/msg/CompressedImage'](header(4), 'png', png.ravel())
    image = 'sensor_msgs/msg/Image'
    write_messages(
        tmp_path / 'bag',
        [
            ('/bgr', image, 1, image_message(1, rgb[..., ::-1].copy(), 'bgr8', step=200)),
            ('/grey', image, 2, image_message(2, rgb[..., 0].copy(), 'mono8')),
            ('/rgba', image, 3, image_message(3, np.dstack([rgb, rgb[..., :1]]), 'rgba8')),
            ('/png/compressed', 'sensor_msgs/msg/CompressedImage', 4, compressed),
        ],
    )
    read = {
        topic: next(read_frames(tmp_path / 'bag', topic))
        for topic in ('/bgr', '/grey', '/rgba', '/png/compressed')
    }
    for topic in ('/bgr', '/rgba', '/png/compressed'):
        np.testing.assert_array_equal(read[topic].image, rgb)
    np.testing.assert_array_equal(read['/grey'].image, np.dstack([rgb[..., 0]] * 3))
    assert (read['/bgr'].encoding, read['/bgr'].frame_id) == ('bgr8', 'front')
    assert read['/png/compressed'].encoding == 'png'


def test_labels_go_by_stamp_not_by_order(tmp_path):
    image = 'sensor_msgs/msg/Image'
    ids = {n: np.full(SIZE, n, np.uint8) for n in range(4)}
    messages = [
        ('/camera/image', image, 10 + n, image_message(n + 1, picture(n), 'rgb8'))
        for n in range(4)
    ]
    messages += [
        ('/camera/labels', image, 30 - n, image_message(n + 1, ids[n], 'mono8')) for n in (0, 1, 3)
    ]
    write_messages(tmp_path / 'bag', sorted(messages, key=lambda m: m[2]))
    frames = list(read_frames(tmp_path / 'bag'))
    assert [frame.stamp_ns for frame in frames] == [1, 2, 3, 4]
    assert [None if f.labels is None else int(f.labels[0, 0]) for f in frames] == [0, 1, None, 3]


def test_missing_labels_do_not_hold_frames_back(tmp_path):
    image = 'sensor_msgs/msg/Image'
    messages = [('/image', image, n, image_message(n, picture(n), 'rgb8')) for n in range(1, 41)]
    void = image_message(999, np.zeros(SIZE, np.uint8), 'mono8')
    messages.insert(0, ('/labels', image, 0, void))
    write_messages(tmp_path / 'bag', messages)
    frames = list(read_frames(tmp_path / 'bag'))
    assert [frame.stamp_ns for frame in frames] == list(range(1, 41))


def test_several_image_topics_take_the_first_and_say_so(tmp_path, caplog):
    image = 'sensor_msgs/msg/Image'
    write_messages(
        tmp_path / 'bag',
        [
            ('/left/image', image, 1, image_message(1, picture(1), 'rgb8')),
            ('/right/image', image, 2, image_message(2, picture(2), 'rgb8')),
        ],
    )
    with caplog.at_level(logging.WARNING):
        frames = list(read_frames(tmp_path / 'bag'))
    np.testing.assert_array_equal(frames[0].image, picture(1))
    assert 'several image topics (/left/image, /right/image); reading /left/image' in caplog.text


def test_a_path_that_is_not_a_bag_is_named(tmp_path):
    with pytest.raises(BagError, match='no such file or folder'):
        BagFrames(tmp_path / 'nothing')
    (tmp_path / 'folder').mkdir()
    with pytest.raises(BagError, match=r'not a ROS 2 bag, because it has no metadata\.yaml'):
        BagFrames(tmp_path / 'folder')
    (tmp_path / 'folder' / 'x.mcap').write_bytes(b'')
    with pytest.raises(BagError, match=r'name the file itself: x\.mcap'):
        BagFrames(tmp_path / 'folder')
    with pytest.raises(BagError, match='it is empty'):
        BagFrames(tmp_path / 'folder' / 'x.mcap')
    (tmp_path / 'a.txt').write_text('hello')
    with pytest.raises(BagError, match='a.txt: not a bag. A bag is'):
        BagFrames(tmp_path / 'a.txt')
    (tmp_path / 'old.bag').write_text('#ROSBAG V2.0')
    with pytest.raises(BagError, match='old.bag: truncated, damaged or not a bag'):
        BagFrames(tmp_path / 'old.bag')
    (tmp_path / 'x.db3').write_bytes(b'not a database at all' * 100)
    with pytest.raises(BagError, match='truncated, damaged or not a bag'):
        BagFrames(tmp_path / 'x.db3')


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('share', [0.02, 0.5, 0.99])
def test_a_truncated_bag_is_a_sentence(tmp_path, storage, share):
    write_image_bag(
        tmp_path / 'bag', [ImageFrame(picture(n), None, n + 1) for n in range(9)], storage=storage
    )
    file = next(path for path in (tmp_path / 'bag').iterdir() if path.suffix != '.yaml')
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(BagError, match='truncated, damaged'):
        list(read_frames(tmp_path / 'bag'))


def test_an_sqlite_bag_that_lacks_a_part_that_nobody_reads_is_truncated(tmp_path):
    write_image_bag(tmp_path / 'bag', [ImageFrame(picture(1), None, 1)], storage='sqlite3')
    file = tmp_path / 'bag' / 'bag.db3'
    with sqlite3.connect(file) as database:
        database.execute('CREATE TABLE unread (number INTEGER)')  # at the end of the file
    assert len(list(read_frames(tmp_path / 'bag'))) == 1
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BagError, match=f'truncated, damaged .*it has {size - 100} of {size} byt'):
        list(read_frames(tmp_path / 'bag'))


def test_topics_that_are_not_there(tmp_path):
    text = TYPES.types['std_msgs/msg/String']('hello')
    write_messages(tmp_path / 'bag', [('/chatter', 'std_msgs/msg/String', 1, text)])
    with pytest.raises(BagError, match=r'has no topic of .*/chatter \(std_msgs/msg/String\)'):
        BagFrames(tmp_path / 'bag')
    with pytest.raises(BagError, match='has no image topic /camera; it has /chatter'):
        BagFrames(tmp_path / 'bag', '/camera')
    write_image_bag(tmp_path / 'two', [ImageFrame(picture(1), None, 1)])
    with pytest.raises(BagError, match='has no topic of labels /truth'):
        BagFrames(tmp_path / 'two', label_topic='/truth')


def test_a_message_that_does_not_fit_is_refused(tmp_path):
    short = image_message(7, picture(1), 'rgb8')
    short.data = short.data[:100].copy()
    write_messages(tmp_path / 'bag', [('/image', 'sensor_msgs/msg/Image', 7, short)])
    with pytest.raises(BagError, match='/image at 7 ns: 100 bytes of data'):
        list(read_frames(tmp_path / 'bag'))
    odd = image_message(7, picture(1), 'rgb8')
    odd.encoding = 'hyper17'
    write_messages(tmp_path / 'odd', [('/image', 'sensor_msgs/msg/Image', 7, odd)])
    with pytest.raises(BagError, match='hyper17'):
        list(read_frames(tmp_path / 'odd'))


def test_an_output_that_exists_is_kept(tmp_path):
    frames = [ImageFrame(picture(1), None, 1)]
    write_image_bag(tmp_path / 'bag', frames)
    before = (tmp_path / 'bag' / 'metadata.yaml').read_bytes()
    with pytest.raises(BagError, match='exists already.*--force'):
        write_image_bag(tmp_path / 'bag', frames * 2)
    assert (tmp_path / 'bag' / 'metadata.yaml').read_bytes() == before
    write_image_bag(tmp_path / 'bag', [*frames, ImageFrame(picture(2), None, 2)], force=True)
    assert len(BagFrames(tmp_path / 'bag')) == 2
    (tmp_path / 'precious').mkdir()
    (tmp_path / 'precious' / 'thesis.txt').write_text('years')
    with pytest.raises(BagError, match='is not a bag, so --force does not replace it'):
        write_image_bag(tmp_path / 'precious', frames, force=True)
    assert (tmp_path / 'precious' / 'thesis.txt').exists()


def test_nothing_is_left_of_a_bag_that_failed(tmp_path):
    write_image_bag(tmp_path / 'bag', [ImageFrame(picture(1), None, 1)])

    def frames():
        yield ImageFrame(picture(1), None, 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_image_bag(tmp_path / 'bag', frames(), force=True)
    assert len(BagFrames(tmp_path / 'bag')) == 1  # the one that was there
    with pytest.raises(BagError, match='there is no frame to write'):
        write_image_bag(tmp_path / 'empty', [])
    with (
        pytest.raises(BagError, match='must have that size and be uint8'),
        BagWriter(tmp_path / 'odd') as bag,
    ):
        bag.write(ImageFrame(picture(1), np.zeros((3, 3), np.uint8), 1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bag']


def test_a_bag_without_definitions_is_read_with_those_of_humble(tmp_path):
    write_image_bag(tmp_path / 'bag', [ImageFrame(picture(1), None, 1)], storage='sqlite3')
    with sqlite3.connect(tmp_path / 'bag' / 'bag.db3') as database:
        database.execute('DELETE FROM message_definitions')
    database.close()
    np.testing.assert_array_equal(next(read_frames(tmp_path / 'bag')).image, picture(1))


def test_recorded_outputs_are_neither_images_nor_ground_truth(tmp_path):
    kind = 'sensor_msgs/msg/Image'
    rgb, ids = picture(1), np.full(SIZE, 3, np.uint8)
    write_messages(
        tmp_path / 'bag',
        [
            ('/segmentation/overlay', kind, 5, image_message(5, picture(2), 'rgb8')),
            ('/segmentation/mask', kind, 5, image_message(5, ids, 'mono8')),
            ('/front/image', kind, 5, image_message(5, rgb, 'rgb8')),
        ],
    )
    frames = BagFrames(tmp_path / 'bag')
    assert (frames.image_topic, frames.label_topic) == ('/front/image', None)
    named = BagFrames(tmp_path / 'bag', label_topic='/segmentation/mask')
    (frame,) = named
    assert named.label_topic == '/segmentation/mask' and (frame.labels == 3).all()

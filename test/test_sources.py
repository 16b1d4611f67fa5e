"""Sources: each kind of input gives the pictures that lie in it, or a sentence."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from edgesegnet_ros.data.bag import BagWriter, ImageFrame, write_image_bag
from edgesegnet_ros.data.classes import SegmentationClass, load_classes
from edgesegnet_ros.data.sources import PERIOD_NS, START_NS, open_source
from edgesegnet_ros.data.sources import camera as camera_source
from edgesegnet_ros.data.street.camera import PinholeCamera
from edgesegnet_ros.errors import EdgeSegNetError


def picture(seed: int, size=(32, 48)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def save(path, rgb) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb[..., ::-1] if rgb.ndim == 3 else rgb)


def test_a_folder_is_read_in_the_order_of_names_with_rising_stamps(tmp_path):
    for number in (2, 0, 1):
        save(tmp_path / 'drive' / f'{number:03d}.png', picture(number))
    (tmp_path / 'drive/notes.txt').write_text('no picture')
    source = open_source(str(tmp_path / 'drive'))
    frames = list(source)
    assert source.total == 3 and not source.has_labels and not source.live
    assert [frame.name for frame in frames] == ['000.png', '001.png', '002.png']
    assert [frame.stamp_ns for frame in frames] == [START_NS + i * PERIOD_NS for i in range(3)]
    for number, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.image, picture(number))
        assert frame.labels is None
    assert [frame.name for frame in source] == ['000.png', '001.png', '002.png']


def test_labels_of_the_sibling_folder_with_void_as_255(tmp_path):
    ids = np.arange(12, dtype=np.uint8).reshape(3, 4)
    save(tmp_path / 'test/a.png', picture(0, (3, 4)))
    save(tmp_path / 'test/b.png', picture(1, (3, 4)))
    save(tmp_path / 'testannot/a.png', ids)
    source = open_source(str(tmp_path / 'test') + '/')
    first, second = source
    assert source.has_labels
    np.testing.assert_array_equal(first.labels, np.where(ids == 11, 255, ids))
    assert second.labels is None


def test_void_is_the_number_of_the_class_files_classes(tmp_path):
    save(tmp_path / 'test/a.png', picture(0, (1, 4)))
    save(tmp_path / 'testannot/a.png', np.uint8([[0, 11, 12, 255]]))
    eleven = load_classes('camvid11')
    more = SegmentationClass(11, 'animal', (1, 2, 3))
    twelve = eleven._replace(name='mine', classes=(*eleven.classes, more))
    (frame,) = open_source(str(tmp_path / 'test'), classes=twelve)
    assert frame.labels.tolist() == [[0, 11, 255, 255]]
    with pytest.raises(EdgeSegNetError, match=r'a\.png: unknown label values \[12\], 0 to 11'):
        list(open_source(str(tmp_path / 'test')))


def test_folder_named_dot_finds_its_sibling(tmp_path, monkeypatch):
    save(tmp_path / 'test/a.png', picture(0, (1, 1)))
    save(tmp_path / 'testannot/a.png', np.uint8([[3]]))
    monkeypatch.chdir(tmp_path / 'test')
    (frame,) = open_source('.')
    assert frame.labels.tolist() == [[3]]


def test_one_picture(tmp_path):
    save(tmp_path / 'x/a.png', picture(0))
    save(tmp_path / 'x/b.png', picture(1))
    (frame,) = open_source(str(tmp_path / 'x/b.png'))
    np.testing.assert_array_equal(frame.image, picture(1))


def test_video_keeps_its_pace_and_its_pictures(tmp_path):
    path = str(tmp_path / 'drive.avi')
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 25.0, (64, 48))
    for level in (20, 120, 220):
        writer.write(np.full((48, 64, 3), (0, 0, level), np.uint8))
    writer.release()
    source = open_source(path)
    frames = list(source)
    assert source.total == 3
    assert [frame.stamp_ns - START_NS for frame in frames] == [0, 40_000_000, 80_000_000]
    for level, frame in zip((20, 120, 220), frames, strict=True):
        assert frame.image.shape == (48, 64, 3)
        # JPEG is lossy; red is the first channel of RGB.
        assert np.abs(frame.image.reshape(-1, 3).mean(0) - (level, 0, 0)).max() < 6


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_bag_gives_images_labels_and_calibration(tmp_path, storage):
    camera = PinholeCamera.dash((32, 48), 1.4)
    with BagWriter(tmp_path / 'bag', storage=storage, camera=camera) as bag:
        for i in range(2):
            bag.write(ImageFrame(picture(i), np.full((32, 48), i, np.uint8), 10**18 + i))
    for name in (tmp_path / 'bag', next((tmp_path / 'bag').glob('*.[md][cb]*'))):
        source = open_source(str(name))
        frames = list(source)
        assert source.total == 2 and source.has_labels
        assert [frame.stamp_ns for frame in frames] == [10**18, 10**18 + 1]
        for i, frame in enumerate(frames):
            np.testing.assert_array_equal(frame.image, picture(i))
            assert (frame.labels == i).all()
            assert (frame.camera.width, frame.camera.height) == (48, 32)
            assert frame.camera.k[0] == pytest.approx(camera.focal)


def test_stamps_that_do_not_rise_are_moved(tmp_path):
    frames = [ImageFrame(picture(i), None, stamp) for i, stamp in enumerate((50, 50, 40))]
    write_image_bag(tmp_path / 'bag', frames)
    stamps = [frame.stamp_ns for frame in open_source(str(tmp_path / 'bag'))]
    assert len(stamps) == 3 and sorted(set(stamps)) == stamps


def test_camera_that_is_not_there_names_those_that_are(monkeypatch):
    monkeypatch.setattr(camera_source, 'cameras', lambda: {2: 'Dash Cam'})
    message = r'camera:0: no such camera; this machine has camera:2 \(Dash Cam\)'
    with pytest.raises(EdgeSegNetError, match=message):
        open_source('camera:0')
    monkeypatch.setattr(camera_source, 'cameras', lambda: {})
    with pytest.raises(EdgeSegNetError, match='camera:/dev/video0: no such camera.*has none'):
        open_source('camera:/dev/video0')


class FakeCapture:
    """Two pictures, then none."""

    def __init__(self, _what) -> None:
        self.left = 2

    def isOpened(self):  # noqa: N802
        return True

    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((4, 4, 3), (1, 2, 3), np.uint8)

    def release(self):
        self.left = -1


def test_a_camera_is_live_and_reports_its_end(monkeypatch):
    monkeypatch.setattr(camera_source, 'cameras', lambda: {0: 'Dash Cam'})
    monkeypatch.setattr(camera_source, 'open_capture', FakeCapture)
    source = open_source('camera:0')
    assert source.live and source.total is None
    seen = []
    with pytest.raises(EdgeSegNetError, match='camera:0: gave no more images after 2'):
        for frame in source:
            seen.append(frame)
    assert len(seen) == 2 and seen[0].stamp_ns < seen[1].stamp_ns
    assert seen[0].image[0, 0].tolist() == [3, 2, 1]


def folder_of_nothing(path):
    path.mkdir()
    return 'holds no image'


def text_file(path):
    path.write_text('hello')
    return 'not a video that OpenCV can read'


def bag_without_images(path):
    from rosbags.rosbag2 import Writer
    from rosbags.typesys import Stores, get_typestore

    types = get_typestore(Stores.ROS2_HUMBLE)
    name = 'std_msgs/msg/String'
    with Writer(path, version=8) as writer:
        connection = writer.add_connection('/chatter', name, typestore=types)
        writer.write(connection, 1, types.serialize_cdr(types.types[name]('x'), name))
    return r'has no topic of sensor_msgs/msg/Image.*/chatter \(std_msgs/msg/String\)'


def truncated_bag(path):
    write_image_bag(path, [ImageFrame(picture(0), None, 5)])
    (file,) = path.glob('*.mcap')
    os.truncate(file, 300)
    return 'truncated, damaged'


def ros1_bag_cut_off(path):
    path = path.with_suffix('.bag')
    path.write_bytes(b'#ROSBAG V2.0\n')
    return 'truncated, damaged or not a bag'


def foreign_labels(path):
    save(path / 'a.png', picture(0))
    save(path.with_name(path.name + 'annot') / 'z.png', np.zeros((2, 2), np.uint8))
    return 'no label image there has the name of an image'


def broken_picture(path):
    path.mkdir()
    (path / 'a.png').write_bytes(b'\x89PNG')
    return r'a\.png: not an image that OpenCV can read'


@pytest.mark.parametrize(
    'make',
    [
        folder_of_nothing,
        text_file,
        bag_without_images,
        truncated_bag,
        ros1_bag_cut_off,
        foreign_labels,
        broken_picture,
    ],
)
def test_an_input_without_images_is_refused_by_name(tmp_path, make):
    path = tmp_path / 'input'
    message = make(path)
    path = path if path.exists() else path.with_suffix('.bag')
    with pytest.raises(EdgeSegNetError, match=message) as caught:
        list(open_source(str(path)))
    assert str(path) in str(caught.value)


def test_missing_path():
    with pytest.raises(EdgeSegNetError, match='/no/such/thing: no such file or folder'):
        open_source('/no/such/thing')


def test_a_video_is_opened_by_an_opencv_without_a_log_level(monkeypatch, tmp_path):
    import cv2

    from edgesegnet_ros.data.sources.capture import open_capture

    monkeypatch.delattr(cv2.utils, 'logging', raising=False)
    assert not open_capture(str(tmp_path / 'none.mp4')).isOpened()

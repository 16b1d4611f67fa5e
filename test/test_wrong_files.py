"""Files that are not what their names say, and images and videos of unusual names and rates."""

import cv2
import numpy as np
import pytest
from replay_bags import picture

from edgesegnet_ros.data.bag import BagError, BagFrames
from edgesegnet_ros.data.sources import START_NS, SourceError, open_source

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
def test_a_file_that_is_not_a_bag_is_identified(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    for tolerant in (None, lambda problem: None):
        with pytest.raises(BagError, match=sentence):
            BagFrames(tmp_path / name, on_problem=tolerant)


@pytest.mark.parametrize(
    ('name', 'content', 'sentence'),
    [('a.png', POINTER, 'git lfs pull'), ('a.mp4', POINTER, 'git lfs'), ('a.png', b'', 'empty')],
)
def test_a_file_that_is_not_an_image_or_video_is_identified(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=sentence):
        list(open_source(str(tmp_path / name)))


def test_the_reason_why_a_bag_cannot_be_opened(tmp_path):
    (tmp_path / 'a.mcap').write_bytes(b'\x89MCAP0\r\n' + bytes(100))
    with pytest.raises(BagError, match=r'nothing of it can be read \(a.mcap .*Unexpected record'):
        BagFrames(tmp_path / 'a.mcap', on_problem=lambda problem: None)


def test_upper_case_suffixes_and_hidden_files_of_a_folder(tmp_path):
    cv2.imwrite(str(tmp_path / 'A.PNG'), picture(1)[..., ::-1])
    (tmp_path / '._A.PNG').write_bytes(b'\0\5\x16\7')
    [frame] = open_source(str(tmp_path))
    np.testing.assert_array_equal(frame.image, picture(1))


def test_a_video_keeps_its_timestamps(tmp_path):
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

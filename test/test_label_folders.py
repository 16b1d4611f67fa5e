"""Label images in a folder are matched to the frames of a bag by stamp or by number."""

import cv2
import numpy as np
import pytest
from replay_bags import frames, replay, write

from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.evaluation.replay.label_folder import LabelFolder
from edgesegnet_ros.evaluation.replay.result import ReplayError

CAMVID11 = load_classes('camvid11')
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
def test_names_of_label_images_are_matched_to_the_frames(tmp_path, stamps, names, reading, values):
    labels = LabelFolder(label_folder(tmp_path / 'a', names), CAMVID11, stamps)
    assert reading in labels.reading
    found = [labels.of(number, stamp) for number, stamp in enumerate(stamps)]
    assert [None if each is None else int(each[0, 0]) for each in found] == values


@pytest.mark.parametrize('names', [['1', '2'], ['2', '3'], ['1', '2', '3', '4', '5'], ['3']])
def test_ambiguous_frame_numbers_are_refused(tmp_path, names):
    folder = label_folder(tmp_path / 'a', names)
    with pytest.raises(ReplayError, match=r'from 0 .* or from 1 .*--label-start 1'):
        LabelFolder(folder, CAMVID11, TEN_HZ)
    labels = LabelFolder(folder, CAMVID11, TEN_HZ, first_number=1)
    assert labels.of(int(names[0]) - 1, 0) is not None


def test_labels_numbered_from_1_are_scored_on_their_frames(tmp_path):
    bag = write(tmp_path / 'bag', frames(3, labels=False))
    folder = tmp_path / 'labels'
    folder.mkdir()
    for n in range(3):
        cv2.imwrite(str(folder / f'{n + 1:04d}.png'), np.full((48, 64), n, np.uint8))
    result = replay(bag, '--labels', folder, '--no-flow', out=tmp_path / 'out')
    assert result['frames_scored'] == 3 and not result['problems']
    true = np.array(result['confusion']).sum(1)
    assert true[:3].tolist() == [48 * 64] * 3

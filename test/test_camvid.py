"""The dataset is read by value, and everything that is wrong with it is listed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgesegnet_ros.data.camvid import CamVidError, dataset_folder, read_split, split_files

COUNTS = {'train': 367, 'val': 101, 'test': 233}


def write(folder, split, name, image_size=(12, 16), labels=None):
    for part in (split, split + 'annot'):
        (folder / part).mkdir(exist_ok=True)
    image = np.zeros(image_size + (3,), np.uint8)
    image[..., 2] = 200  # red, since OpenCV writes BGR
    cv2.imwrite(str(folder / split / name), image)
    if labels is not None:
        cv2.imwrite(str(folder / f'{split}annot' / name), labels)


def test_pairs_by_value(tmp_path):
    labels = np.full((12, 16), 3, np.uint8)
    labels[0] = 11
    write(tmp_path, 'val', 'a.png', labels=labels)
    [(image, read)] = read_split(tmp_path, 'val')
    assert image[0, 0].tolist() == [200, 0, 0]
    assert (read[0] == 255).all() and (read[1:] == 3).all()


def test_every_wrong_file_is_listed(tmp_path):
    good = np.zeros((12, 16), np.uint8)
    write(tmp_path, 'val', 'good.png', labels=good)
    write(tmp_path, 'val', 'size.png', labels=good[:6])
    write(tmp_path, 'val', 'value.png', labels=good + 77)
    write(tmp_path, 'val', 'colour.png', labels=np.zeros((12, 16, 3), np.uint8))
    with pytest.raises(CamVidError) as refused:
        read_split(tmp_path, 'val')
    text = str(refused.value)
    assert 'size.png: 16x6, but its image is 16x12' in text
    assert 'value.png: unknown label values [77]' in text
    assert 'colour.png: labels are 8-bit PNG with one channel' in text
    assert 'good.png' not in text


def test_every_missing_label_is_listed(tmp_path):
    for name in ('a.png', 'b.png'):
        write(tmp_path, 'test', name)
    with pytest.raises(CamVidError, match='(?s)a.png.*b.png'):
        split_files(tmp_path, 'test')


def test_a_folder_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv('EDGESEGNET_CAMVID', raising=False)
    with pytest.raises(CamVidError, match='give --data DIR or set EDGESEGNET_CAMVID'):
        dataset_folder()
    with pytest.raises(CamVidError, match='no such folder'):
        dataset_folder(tmp_path / 'none')
    with pytest.raises(CamVidError, match='holds train/ and trainannot/'):
        split_files(tmp_path, 'train')


@pytest.mark.parametrize('split', COUNTS)
def test_the_real_splits_are_whole(camvid, split):
    assert len(split_files(camvid, split)) == COUNTS[split]

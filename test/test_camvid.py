"""The dataset is read by value, and everything that is wrong with it is listed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgesegnet_ros.data import camvid, camvid_colors
from edgesegnet_ros.data.classes import ClassSet, SegmentationClass, load_classes
from edgesegnet_ros.data.datasets import DatasetError, dataset_path, open_dataset
from edgesegnet_ros.data.street import Street

COUNTS = {'train': 367, 'val': 101, 'test': 233}


def write(folder, split, name, image_size=(12, 16), labels=None):
    for part in (split, split + 'annot'):
        (folder / part).mkdir(exist_ok=True)
    image = np.zeros(image_size + (3,), np.uint8)
    image[..., 2] = 200  # red, since OpenCV writes BGR
    cv2.imwrite(str(folder / split / name), image)
    if labels is not None:
        cv2.imwrite(str(folder / f'{split}annot' / name), labels)


def numbered(count):
    """A class file of so many classes, whose colours are no others'."""
    entries = [SegmentationClass(i, f'c{i}', (i + 1, 0, 0)) for i in range(count)]
    return ClassSet('numbered', tuple(entries), {})


def read_split(folder, split, classes='camvid11'):
    classes = load_classes(classes) if isinstance(classes, str) else classes
    return open_dataset(folder, classes).read_splits((split,))[split]


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
    strange = np.full((12, 16, 3), (7, 8, 9), np.uint8)  # OpenCV writes BGR
    write(tmp_path, 'val', 'colour.png', labels=strange)
    write(tmp_path, 'val', 'two.png')
    with pytest.raises(DatasetError) as refused:
        read_split(tmp_path, 'val')
    text = str(refused.value)
    assert 'size.png: 16x6, but its image is 16x12' in text
    assert 'value.png: unknown label values [77]' in text
    assert "colour.png: colours that are not among CamVid's 32: (9, 8, 7) in 192 pixels" in text
    assert 'annot/two.png: missing, the labels of an image (two.png)' in text
    assert 'good.png' not in text and '4 unusable files' in text


def test_the_name_of_a_frame_shows_its_sequence(tmp_path):
    labels = np.zeros((12, 16), np.uint8)
    for name in ('0016E5_00390.png', '0001TP_006690.png', 'alone.png'):
        write(tmp_path, 'train', name, labels=labels)
    dataset = open_dataset(tmp_path, load_classes('camvid11'), 0.3)
    found = {one.sequence for name in dataset.splits for one in dataset.samples(name)}
    assert found == {'0001TP', '0016E5', 'alone'}


def test_every_split_is_checked_before_any_is_used(tmp_path):
    write(tmp_path, 'train', 'a.png')
    write(tmp_path, 'train', 'c.png', labels=np.zeros((12, 16), np.uint8))
    write(tmp_path, 'val', 'b.png', labels=np.full((12, 16), 40, np.uint8))
    with pytest.raises(DatasetError, match='(?s)a.png: missing.*b.png: unknown label values'):
        open_dataset(tmp_path, load_classes('camvid11')).read_splits(('train', 'val'))


def test_at_most_ten_wrong_files_are_listed(tmp_path):
    for number in range(13):
        write(tmp_path, 'val', f'{number:02}.png')
    write(tmp_path, 'val', 'x.png', labels=np.zeros((12, 16), np.uint8))
    with pytest.raises(DatasetError, match='(?s)13 unusable files.*09.png.*and 3 more') as refused:
        read_split(tmp_path, 'val')
    assert '10.png' not in str(refused.value)


def test_a_folder_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv('EDGESEGNET_CAMVID', raising=False)
    with pytest.raises(DatasetError, match='give --data .* or set EDGESEGNET_CAMVID'):
        dataset_path()
    with pytest.raises(DatasetError, match='no such folder'):
        dataset_path(tmp_path / 'none')
    with pytest.raises(DatasetError, match='not a dataset of the layout.*it holds nothing'):
        open_dataset(tmp_path, load_classes('camvid11'))
    write(tmp_path, 'val', 'a.png', labels=np.zeros((12, 16), np.uint8))
    (tmp_path / 'train').mkdir()
    with pytest.raises(DatasetError, match='trainannot: no such folder, the labels of .*train'):
        open_dataset(tmp_path, load_classes('camvid11'))


@pytest.mark.parametrize('split', COUNTS)
def test_the_real_splits_are_complete(camvid, split):
    dataset = open_dataset(camvid, load_classes('camvid11'))
    assert len(dataset.samples(split)) == COUNTS[split]


# A class of the 32 for each of the 11: the first that folds to it.
OF_THE_11 = [21, 4, 8, 17, 19, 26, 20, 9, 5, 16, 2]


@pytest.fixture(scope='module')
def colored_street(tmp_path_factory):
    """A rendered street with void in it, written in CamVid's own colours, and its labels."""
    folder = tmp_path_factory.mktemp('colored')
    frame = Street(5, (90, 120)).frame(0)
    labels = frame.labels.copy()
    labels[:8] = 255
    table = np.zeros((256, 3), np.uint8)  # void is black
    table[: len(OF_THE_11)] = camvid_colors.palette()[OF_THE_11]
    write(folder, 'val', 'street.png', (90, 120))
    cv2.imwrite(str(folder / 'valannot/street_L.png'), table[labels][..., ::-1])
    return folder, labels


def test_32_colours_fold_to_11(colored_street):
    folder, labels = colored_street
    assert len(np.unique(labels)) >= 9
    [(_, read)] = read_split(folder, 'val')
    np.testing.assert_array_equal(read, labels)


def test_32_colours_as_32_classes(colored_street):
    folder, labels = colored_street
    [(_, read)] = read_split(folder, 'val', 'camvid32')
    np.testing.assert_array_equal(read[8:], np.array(OF_THE_11, np.uint8)[labels[8:]])
    assert (read[:8] == 255).all()


def test_colours_do_not_stand_for_other_class_files(colored_street):
    with pytest.raises(
        DatasetError,
        match='street_L.png: unknown colours .* colours of (the class file )?numbered',
    ):
        read_split(colored_street[0], 'val', numbered(19))


def test_the_table_of_colours_is_the_class_files():
    classes = load_classes('camvid32')
    assert [entry.color for entry in classes.classes] == [
        tuple(color) for color in camvid_colors.palette().tolist()
    ]
    assert classes.classes[camvid_colors.void()].name == 'void'


def test_every_colour_folds_according_to_the_table():
    ids = camvid_colors.to_ids(camvid_colors.palette()[None])
    assert ids.unknown == ''
    folded = camvid_colors.fold(ids.labels)[0].tolist()
    names = [entry.name for entry in load_classes('camvid11').classes]
    by_name = {
        entry.name: names[folded[entry.id]]
        for entry in load_classes('camvid32').classes
        if entry.name != 'void'
    }
    assert folded[camvid_colors.void()] == 255
    assert by_name['truck_bus'] == 'car' and by_name['traffic_cone'] == 'pole'
    assert by_name['child'] == 'pedestrian' and by_name['tunnel'] == 'building'
    assert by_name['road_shoulder'] == 'pavement' and by_name['traffic_light'] == 'sign'


def test_class_ids_of_32_have_two_voids(tmp_path):
    write(tmp_path, 'val', 'a.png', labels=np.array([[30, 32, 255, 31]], np.uint8))
    [labels] = [camvid.read_labels(tmp_path / 'valannot/a.png', load_classes('camvid32'))]
    assert labels.tolist() == [[255, 255, 255, 31]]

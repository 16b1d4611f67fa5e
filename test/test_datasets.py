"""Every layout gives the same labels by value, and a file that does not fit is named."""

from __future__ import annotations

import json
import shutil

import cv2
import drawn_dataset
import numpy as np
import pytest
from drawn_dataset import CLASSES, COLORS, drawn, save

from edgesegnet_ros.data.classes import ClassSet, SegmentationClass, load_classes
from edgesegnet_ros.data.datasets import DatasetError, open_dataset

VOID = 255


def class_set(names=CLASSES, colors=COLORS, **more):
    entries = [
        SegmentationClass(number, name, color)
        for number, (name, color) in enumerate(zip(names, colors, strict=True))
    ]
    return ClassSet('field3', tuple(entries), {}, **more)


FIELD = class_set()


def labels_of(dataset, split='train'):
    return [labels for _, labels in dataset.read_splits((split,))[split]]


def described(root, text):
    (root / 'dataset.yaml').write_text(text)
    return root


def test_a_folder_of_images_and_labels(tmp_path):
    dataset = open_dataset(drawn_dataset.folder(tmp_path), FIELD)
    assert dataset.layout == 'folder' and set(dataset.splits) == {'train', 'val'}
    for split in dataset.splits:
        for sample, (image, labels) in zip(
            dataset.samples(split), dataset.read_splits((split,))[split], strict=True
        ):
            expected = drawn(int(sample.image.stem.split('_')[1]))
            np.testing.assert_array_equal(image, expected[0])
            np.testing.assert_array_equal(labels, expected[1])


@pytest.mark.parametrize(
    ('suffix', 'extension'), [('_mask', '.JPG'), ('_L', '.webp'), ('', '.TIFF'), ('-gt', '.bmp')]
)
def test_names_may_have_a_suffix_and_images_any_format(tmp_path, suffix, extension):
    root = drawn_dataset.folder(tmp_path, 5, suffix, extension)
    dataset = open_dataset(root, FIELD)
    found = {
        sample.image.stem: dataset.read(sample)[1]
        for split in dataset.splits
        for sample in dataset.samples(split)
    }
    assert len(found) == 5
    for name, labels in found.items():
        np.testing.assert_array_equal(labels, drawn(int(name.split('_')[1]))[1])


def test_folders_of_splits_around_and_within(tmp_path):
    for number, split in enumerate(('train', 'valid', 'test')):
        image, labels = drawn(number)
        save(tmp_path / 'around' / split / 'images/a.png', image)
        save(tmp_path / 'around' / split / 'masks/a.png', labels)
        save(tmp_path / 'within/images' / split / 'deep/a.png', image)
        save(tmp_path / 'within/labels' / split / 'deep/a.png', labels)
    for root in ('around', 'within'):
        dataset = open_dataset(tmp_path / root, FIELD)
        assert set(dataset.splits) == {'train', 'val', 'test'}
        for number, split in enumerate(('train', 'val', 'test')):
            np.testing.assert_array_equal(labels_of(dataset, split)[0], drawn(number)[1])


def as_stored(labels, how, path):
    """Write labels as one of the ways in which tools store ids or colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    palette = np.zeros((256, 3), np.uint8)
    palette[:3] = COLORS
    if how == 'palette':
        from PIL import Image

        image = Image.fromarray(labels)
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
        image.save(path)
    else:
        pixels = {
            'ids': labels,
            'three equal channels': cv2.merge([labels] * 3),
            '16 bits': labels.astype(np.uint16),
            'colours': palette[labels],
        }[how]
        save(path, pixels)


@pytest.mark.parametrize('how', ['ids', 'palette', 'three equal channels', '16 bits', 'colours'])
def test_label_images_as_tools_store_them(tmp_path, how):
    if how == 'palette':
        pytest.importorskip('PIL')
    for number in range(3):
        image, labels = drawn(number)
        save(tmp_path / f'images/{number}.png', image)
        as_stored(labels, how, tmp_path / f'labels/{number}.png')
    dataset = open_dataset(tmp_path, FIELD)
    for split in dataset.splits:
        for sample in dataset.samples(split):
            expected = drawn(int(sample.image.stem))[1]
            np.testing.assert_array_equal(dataset.read(sample)[1], expected)


def test_an_image_that_is_all_void_in_colours_is_not_class_0(tmp_path):
    palette = np.zeros((256, 3), np.uint8)
    palette[:3] = COLORS
    for number in range(2):
        image, labels = drawn(number)
        save(tmp_path / f'images/{number}.png', image)
        save(tmp_path / f'labels/{number}.png', palette[labels] * np.uint8(number))
    dataset = open_dataset(tmp_path, FIELD)
    by_name = {
        sample.image.stem: dataset.read(sample)[1]
        for split in dataset.splits
        for sample in dataset.samples(split)
    }
    assert (by_name['0'] == VOID).all()
    np.testing.assert_array_equal(by_name['1'], drawn(1)[1])


@pytest.mark.parametrize('kind', ['labelIds', 'labelTrainIds'])
def test_cityscapes_by_its_names(tmp_path, kind):
    root = drawn_dataset.cityscapes(tmp_path, kind)
    dataset = open_dataset(root, class_set(('road', 'sidewalk', 'car')))
    assert dataset.layout == 'cityscapes' and len(dataset.samples('train')) == 2
    np.testing.assert_array_equal(labels_of(dataset, 'val')[0], drawn(2)[1])
    assert any('become void' in note and 'building' in note for note in dataset.notes)
    # Other names are mapped; what is not mapped and has no class is void.
    described(root, 'names: {road: drivable, car: vehicle}\n')
    dataset = open_dataset(root, class_set(('drivable', 'curb', 'vehicle')))
    labels = drawn(2)[1]
    expected = np.where(labels == 1, VOID, labels)
    np.testing.assert_array_equal(labels_of(dataset, 'val')[0], expected)
    (root / 'dataset.yaml').unlink()
    with pytest.raises(DatasetError, match='none of these is a class of field3'):
        open_dataset(root, class_set(('one', 'two', 'three')))


def test_voc_as_cvat_exports_it(tmp_path):
    dataset = open_dataset(drawn_dataset.voc(tmp_path), FIELD)
    assert dataset.layout == 'voc' and set(dataset.splits) == {'train', 'val'}
    np.testing.assert_array_equal(labels_of(dataset, 'val')[0], drawn(2)[1])
    assert any('background' in note for note in dataset.notes)


def test_coco_polygons_and_run_lengths(tmp_path):
    mask = pytest.importorskip('pycocotools.mask')
    root = drawn_dataset.coco(tmp_path)
    classes = class_set(('background', 'crop', 'weed'))
    dataset = open_dataset(root, classes)
    assert dataset.layout == 'coco' and len(dataset.samples('train')) == 2
    expected = drawn(2)[1]
    expected = np.where(expected == VOID, 0, expected)  # what no polygon covers
    [labels] = labels_of(dataset, 'val')
    assert (labels == expected).mean() > 0.96, 'polygons go through the middles of pixels'

    path = root / 'annotations/instances_val.json'
    content = json.loads(path.read_text())
    runs = []
    for value in (1, 2):
        coded = mask.encode(np.asfortranarray((expected == value).astype(np.uint8)))
        coded['counts'] = coded['counts'].decode()
        runs.append({'id': value, 'image_id': 2, 'category_id': 10 * value, 'segmentation': coded})
    content['annotations'] = runs
    path.write_text(json.dumps(content))
    np.testing.assert_array_equal(labels_of(open_dataset(root, classes), 'val')[0], expected)
    # Without a class for the background, what nobody annotated is void.
    [labels] = labels_of(open_dataset(root, FIELD), 'val')
    np.testing.assert_array_equal(labels, np.where(expected == 0, VOID, expected))

    del content['annotations'][0]['segmentation']
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match='annotation 1 of 0002.jpg: has no polygon'):
        labels_of(open_dataset(root, classes), 'val')


def test_masks_side_by_side_with_a_table_of_values(tmp_path):
    for number, split in enumerate(('train', 'valid')):
        image, labels = drawn(number)
        save(tmp_path / split / 'a.jpg', image)
        save(tmp_path / split / 'a_mask.png', np.where(labels == VOID, 0, labels + 1))
        (tmp_path / split / '_classes.csv').write_text(
            'Pixel Value, Class\n0, background\n1, ground\n2, crop\n3, weed\n'
        )
    dataset = open_dataset(tmp_path, FIELD)
    np.testing.assert_array_equal(labels_of(dataset, 'val')[0], drawn(1)[1])


def test_camvid_as_its_authors_publish_it(tmp_path):
    from edgesegnet_ros.data import camvid_colors

    palette = np.zeros((256, 3), np.uint8)
    palette[:3] = camvid_colors.palette()[[21, 4, 8]]  # sky, building, pole
    for number, name in enumerate(('0001TP_006690', '0016E5_00390', 'Seq05VD_f00000')):
        image, labels = drawn(number)
        save(tmp_path / f'701_StillsRaw_full/{name}.png', image)
        save(tmp_path / f'LabeledApproved_full/{name}_L.png', palette[labels])
    dataset = open_dataset(tmp_path, load_classes('camvid11'), 0.4)
    assert dataset.layout == 'camvid' and len(dataset.samples('val')) == 1
    for split in dataset.splits:
        for sample, labels in zip(dataset.samples(split), labels_of(dataset, split), strict=True):
            number = ('0001TP', '0016E5', 'Seq05VD').index(sample.sequence)
            np.testing.assert_array_equal(labels, drawn(number)[1])


def test_a_drawn_split_is_the_same_each_time_and_keeps_recordings_together(tmp_path):
    root = drawn_dataset.folder(tmp_path, 20)
    dataset, again = (open_dataset(root, FIELD, 0.25, 3) for _ in range(2))
    assert dataset.samples('val') == again.samples('val')
    sequences = [set(dataset.sequences(split)) for split in ('train', 'val')]
    assert sequences[0].isdisjoint(sequences[1]) and len(dataset.samples('val')) == 5
    assert any('5 of 20 images are drawn as val' in note for note in dataset.notes)
    other = {tuple(open_dataset(root, FIELD, 0.25, seed).samples('val')) for seed in range(9)}
    assert len(other) > 1
    # One recording alone is cut into blocks of neighbours.
    for number in range(40):
        image, labels = drawn(number)
        save(tmp_path / f'one/images/{number:03}.png', image)
        save(tmp_path / f'one/labels/{number:03}.png', labels)
    taken = [int(s.image.stem) for s in open_dataset(tmp_path / 'one', FIELD).samples('val')]
    assert len(taken) == 8 and all(number ^ 1 in taken for number in taken), 'pairs of neighbours'


def test_a_dataset_file_maps_values_colours_and_splits(tmp_path):
    root = drawn_dataset.folder(tmp_path / 'data', 6)
    text = (
        'root: data\nsplits:\n'
        '  train: {images: images, labels: labels, list: train.txt}\n'
        '  test: {images: images, labels: labels, list: test.txt}\n'
        'values: {0: ground, 2: Crop}\nval_fraction: 0.5\nseed: 4\n'
    )
    names = sorted(path.stem for path in (root / 'images').iterdir())
    (root / 'train.txt').write_text('\n'.join(names[:4]))
    (root / 'test.txt').write_text('\n'.join(names[4:]))
    path = tmp_path / 'field.yaml'
    path.write_text(text)
    dataset = open_dataset(path, FIELD)
    assert [len(dataset.samples(split)) for split in ('train', 'val', 'test')] == [2, 2, 2]
    sample = dataset.samples('test')[0]
    labels = drawn(int(sample.image.stem.split('_')[1]))[1]
    expected = np.select([labels == 0, labels == 2], [0, 1], VOID)
    np.testing.assert_array_equal(dataset.read(sample)[1], expected)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[1]', 'dataset.yaml:1: a dataset file is a mapping'),
        ('layot: voc', "dataset.yaml:1: unknown key 'layot'"),
        ('root: .\nlayout: kitti', "dataset.yaml:2: layout 'kitti' is none of"),
        ('root: nowhere', 'dataset.yaml:1: root .*nowhere: no such folder'),
        ('splits:\n  train: {images: images}', 'dataset.yaml:2: split train is'),
        ('splits:\n  x: {images: images, labels: labels}', "dataset.yaml:2: split 'x' is none"),
        ('colors: {"1, 2": ground}', "dataset.yaml:1: colour '1, 2' is not"),
        ('values: {70000: ground}', 'dataset.yaml:1: value 70000 is not 0 to 65535'),
        ('names: {a: ground}', 'dataset.yaml:1: names: the labels of the layout folder have no'),
        ('val_fraction: 2', 'dataset.yaml:1: val_fraction is between'),
        ('values: {0: tree}', 'none of these is a class of field3'),
        ('layout: voc', 'not a dataset of the layout voc; it holds'),
        ('a: [', 'dataset.yaml:[12]: not YAML'),
    ],
)
def test_errors_in_a_dataset_file_are_reported_with_their_line(tmp_path, text, message):
    root = described(drawn_dataset.folder(tmp_path, 2), text)
    with pytest.raises(DatasetError, match=message):
        open_dataset(root, FIELD)


def test_images_without_labels_are_never_lost_without_a_word(tmp_path):
    root = drawn_dataset.folder(tmp_path, 5)
    (root / 'labels/field1_0001.png').unlink()
    save(root / 'labels/stray.png', drawn(0)[1])
    (root / 'images/IMG_1.HEIC').write_bytes(b'of a telephone')
    dataset = open_dataset(root, FIELD)
    assert any('1 files' in note and 'IMG_1.HEIC' in note for note in dataset.notes)
    assert any('1 label images' in note and 'stray.png' in note for note in dataset.notes)
    with pytest.raises(DatasetError, match='(?s)field1_0001.png: missing.*`unlabelled: skip`'):
        dataset.read_splits(dataset.splits)
    described(root, 'unlabelled: skip\n')
    dataset = open_dataset(root, FIELD)
    assert sum(map(len, dataset.read_splits(dataset.splits).values())) == 4
    assert '1 images without labels are left out' in dataset.notes
    shutil.rmtree(root / 'labels')
    save(root / 'labels/other.png', drawn(0)[1])
    with pytest.raises(DatasetError, match='no label image there has the name of an image'):
        open_dataset(root, FIELD)


def test_ids_from_1_are_refused_and_absent_classes_are_reported(tmp_path, caplog):
    for number in range(3):
        image, labels = drawn(number)
        save(tmp_path / f'images/{number}.png', image)
        save(tmp_path / f'labels/{number}.png', np.where(labels == VOID, VOID, labels + 1))
    dataset = open_dataset(tmp_path, FIELD)
    with pytest.raises(DatasetError, match='unknown label values 3 in .* 0 to 2 and 255'):
        dataset.read_splits(('train',))
    open_dataset(tmp_path, class_set((*CLASSES, 'x'), (*COLORS, (9, 9, 9)))).read_splits(('val',))
    assert 'no pixel of val has the class ground' in caplog.text


def test_ignored_classes_are_void(tmp_path):
    root = drawn_dataset.folder(tmp_path, 3)
    [labels] = labels_of(open_dataset(root, class_set(ignored=(2,))), 'val')[:1]
    assert not (labels == 2).any()


def test_a_dataset_larger_than_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    from edgesegnet_ros.data.datasets import memory

    assert memory.available() > 1_000_000
    dataset = open_dataset(drawn_dataset.folder(tmp_path, 5), FIELD)
    needed = 5 * 48 * 64 * 4
    monkeypatch.setattr(memory, 'available', lambda: needed - 1)
    with pytest.raises(DatasetError, match='train and val need about .* GB of memory'):
        dataset.read_splits(('train', 'val'))
    monkeypatch.setattr(memory, 'available', lambda: needed)
    dataset.read_splits(('train', 'val'))


def test_links_to_folders_are_followed_and_hidden_files_left_out(tmp_path):
    root = drawn_dataset.folder(tmp_path / 'real', 4)
    for part in ('images', 'labels'):
        (tmp_path / 'data' / part).mkdir(parents=True)
        (tmp_path / 'data' / part / 'day').symlink_to(root / part)
        (tmp_path / 'data' / part / 'again').symlink_to(tmp_path / 'data' / part)
        (tmp_path / 'data' / part / '._day.png').write_bytes(b'of macOS')
    dataset = open_dataset(tmp_path / 'data', FIELD)
    assert sum(len(dataset.samples(split)) for split in dataset.splits) == 4

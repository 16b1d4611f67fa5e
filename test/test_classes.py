"""Class files: what is shipped is right, what is wrong is refused with its line."""

import csv
from pathlib import Path

import numpy as np
import pytest

from edgesegnet_ros.data.classes import ClassFileError, load_classes
from edgesegnet_ros.shipped import ShippedFileError

GOOD = """\
name: mine
classes:
  - {id: 0, name: road, color: [1, 2, 3]}
  - {id: 1, name: grass, color: [4, 5, 6]}
groups:
  drivable: [road]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / 'mine.yaml'
    path.write_text(text)
    return path


def test_camvid11_has_segnets_ids_and_the_planners_groups():
    classes = load_classes('camvid11')
    assert [c.name for c in classes.classes] == [
        'sky',
        'building',
        'pole',
        'road',
        'pavement',
        'tree',
        'sign',
        'fence',
        'car',
        'pedestrian',
        'bicyclist',
    ]
    assert classes.groups['drivable'] == (3,)
    assert classes.groups['dynamic'] == (8, 9, 10)
    assert 3 not in classes.groups['obstacle'] and 0 not in classes.groups['obstacle']
    assert classes.palette[3].tolist() == [128, 64, 128]
    assert classes.palette[255].tolist() == [0, 0, 0]


def test_camvid32_has_void_last_but_one_and_never_shown():
    classes = load_classes('camvid32')
    assert len(classes.classes) == 32
    assert [classes.classes[i].name for i in classes.ignored] == ['void']
    assert len({c.color for c in classes.classes}) == 32


def test_groups_and_colours_are_read(tmp_path):
    classes = load_classes(write(tmp_path, GOOD))
    assert classes.name == 'mine'
    assert classes.groups == {'drivable': (0,)}
    assert np.array_equal(classes.palette[:2], [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ('old', 'new', 'line', 'word'),
    [
        ('{id: 1, name: grass, color: [4, 5, 6]}', '{name: grass, color: [4, 5, 6]}', 4, 'no id'),
        ('id: 1', 'id: 0', 4, 'already the id of road'),
        ('id: 1', 'id: 2', 2, 'no class has the id 1'),
        ('id: 1', 'id: 255', 4, '0 to 254'),
        ('id: 1', 'id: true', 4, 'whole number'),
        ('name: grass', 'name: road', 4, 'second class'),
        ('[4, 5, 6]', '[4, 5]', 4, 'color'),
        ('[4, 5, 6]', '[4, 5, 256]', 4, 'color'),
        ('[road]', '[street]', 6, "'street'"),
        ('drivable: [road]', 'drivable: road', 6, 'list of class names'),
        ('drivable', '"a b"', 6, 'names a topic'),
        ('name: mine\n', '', 1, 'name is missing'),
        ('classes:', 'classes: [', 3, 'not YAML'),
    ],
)
def test_wrong_files_are_refused_by_line(tmp_path, old, new, line, word):
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ClassFileError) as refused:
        load_classes(path)
    assert str(refused.value).startswith(f'{path}:{line}: ')
    assert word in str(refused.value)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ShippedFileError, match='camvid11, camvid32'):
        load_classes('camvid12')


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(ClassFileError, match='no such class file'):
        load_classes(tmp_path / 'none.yaml')


def test_camvid32_equals_the_datasets_table(camvid):
    with (camvid / 'classes32.csv').open() as file:
        rows = list(csv.DictReader(file))
    classes = load_classes('camvid32')
    for row in rows:
        assert classes.classes[int(row['index'])].color == (
            int(row['r']),
            int(row['g']),
            int(row['b']),
        )

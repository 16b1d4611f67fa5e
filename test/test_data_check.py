"""`edgesegnet data check` counts what a dataset shows and names what is wrong with it."""

from __future__ import annotations

import json

import cv2
import drawn_dataset
import numpy as np
import pytest
from drawn_dataset import COLORS, drawn, save

from edgesegnet_ros import cli


@pytest.fixture
def classes(tmp_path):
    path = tmp_path / 'field3.yaml'
    path.write_text(drawn_dataset.CLASS_FILE)
    return path


def checked(root, classes, out, status=0):
    words = ['--classes', str(classes), '--sheet', str(out / 'sheet.png'), '--json']
    assert cli.main(['data', 'check', str(root), *words, str(out / 'check.json')]) == status
    return json.loads((out / 'check.json').read_text())


def test_shares_sizes_and_the_contact_sheet_by_value(tmp_path, classes, capsys):
    root = drawn_dataset.folder(tmp_path / 'data', 12)
    before = sorted((path, path.stat().st_mtime_ns) for path in root.rglob('*'))
    figures = checked(root, classes, tmp_path)
    labels = np.stack([drawn(number)[1] for number in range(12)])
    for number, name in ((0, 'ground'), (1, 'crop'), (2, 'weed'), (255, 'void')):
        assert figures['share_of_pixels'][name] == pytest.approx((labels == number).mean())
        assert figures['share_of_images'][name] == (labels == number).any((1, 2)).mean()
    assert figures['sizes'] == {'64x48': 12} and sum(figures['splits'].values()) == 12
    assert figures['unusable'] == figures['absent'] == figures['alike'] == []
    assert 'are drawn as val' in capsys.readouterr().out
    sheet = cv2.imread(str(tmp_path / 'sheet.png'))[..., ::-1]
    assert sheet.shape[1] == 960 and sheet.shape[0] > 4 * 240
    # The first image's ground, 0.6 of the class's colour over the picture of that colour.
    assert np.abs(sheet[120, 10].astype(int) - COLORS[0]).max() < 15
    assert before == sorted((path, path.stat().st_mtime_ns) for path in root.rglob('*'))


def test_problems_are_named_and_the_exit_status_is_1(tmp_path, classes, capsys):
    root = drawn_dataset.folder(tmp_path / 'data', 6)
    image, labels = drawn(40)
    save(root / 'images/size.png', image)
    save(root / 'labels/size.png', labels[:40])
    save(root / 'images/value.png', drawn(41)[0])
    save(root / 'labels/value.png', np.where(labels == 2, 7, labels))
    (root / 'images/field0_0000.png').write_bytes(b'none')
    (root / 'labels/field1_0001.png').unlink()
    figures = checked(root, classes, tmp_path, status=1)
    text = capsys.readouterr().out
    for words in (
        'labels/size.png: 64x40, but its image is 64x48',
        f'value.png: unknown label values 7 in {(labels == 2).sum()} pixels; known are 0 to 2',
        'field0_0000.png: not an image',
        'labels/field1_0001.png: missing',
    ):
        assert words in text
    assert len(figures['unusable']) == 4 and 'error: 4 unusable files' in text


def test_absent_classes_and_images_that_are_in_two_splits(tmp_path, classes, capsys):
    for split, number in (('train', 1), ('val', 2), ('test', 1)):
        image, labels = drawn(number)
        brighter = np.clip(image.astype(int) + 6, 0, 255).astype(np.uint8)
        save(tmp_path / f'data/{split}/images/{split}.png', brighter if split == 'test' else image)
        save(tmp_path / f'data/{split}/labels/{split}.png', np.where(labels == 1, 0, labels))
    figures = checked(tmp_path / 'data', classes, tmp_path)
    assert figures['absent'] == ['crop']
    [pair] = figures['alike']
    assert {path.rsplit('/', 1)[1] for path in pair} == {'train.png', 'test.png'}
    text = capsys.readouterr().out
    assert 'no image shows crop' in text and '1 images look like an image of another split' in text


def test_nothing_is_written_to_the_dataset(tmp_path, classes, capsys):
    root = drawn_dataset.folder(tmp_path / 'data', 2)
    words = ['data', 'check', str(root), '--classes', str(classes)]
    assert cli.main([*words, '--sheet', str(root / 'sheet.png')]) == 2
    assert 'nothing is written into a dataset' in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, '--json', '/proc/x'])
    assert ended.value.code == 2 and 'nothing can be written in /proc' in capsys.readouterr().err

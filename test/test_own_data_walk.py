"""The walk of docs/own-data.md, as printed there, on a small dataset that is drawn here."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import cv2
import drawn_dataset
import pytest
import yaml

from edgesegnet_ros import cli
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.datasets import open_dataset

PAGE = (Path(__file__).parents[1] / 'docs/own-data.md').read_text(encoding='utf-8')
BLOCKS = {
    language: re.findall(rf'```{language}\n(.*?)```', PAGE, re.DOTALL)
    for language in ('bash', 'yaml')
}
COMMANDS = [
    shlex.split(line) for line in BLOCKS['bash'][0].replace('\\\n', ' ').splitlines() if line
]
# A full-size run takes minutes; these make it small and change nothing else.
SMALL = ['--input-size', '64x64']
MORE = {
    'data': [],
    'train': [
        *SMALL, '--crop', '64x64', '--epochs', '1', '--batch', '6', '--optimizer', 'adamw',
        '--workers', '0', '--no-tensorboard', '--device', 'cpu',
    ],
    'evaluate': [*SMALL, '--engine', 'torch', '--no-calibration'],
    'predict': [*SMALL, '--engine', 'torch'],
}  # fmt: skip


@pytest.fixture(scope='module')
def walk(tmp_path_factory):
    """A folder in which the printed commands were run, and what each of them ended with."""
    folder = tmp_path_factory.mktemp('walk')
    drawn_dataset.folder(folder / 'field', 16, extension='.jpg')
    (folder / 'field3.yaml').write_text(BLOCKS['yaml'][0])
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ended = [
            cli.main([*words[1:], *MORE[words[1]]]) for words in COMMANDS if words[0] != 'ros2'
        ]
    assert Path.cwd() == before
    return folder, ended


def test_five_commands_lead_from_images_to_masks(walk):
    folder, ended = walk
    assert len(COMMANDS) == 5 and ended == [0, 0, 0, 0]
    assert (folder / 'out/data-check.png').is_file()
    figures = json.loads((folder / 'out/field-val/evaluate.json').read_text())
    assert figures['classes'] == 'field3' and set(figures['iou']) == {'ground', 'crop', 'weed'}
    assert figures['pixel_accuracy'] > 0.5, 'most of the field is ground'
    images = {path.stem for path in (folder / 'field/images').iterdir()}
    masks = sorted((folder / 'out/field-masks/labels').iterdir())
    assert {path.stem for path in masks} == images
    values = {int(value) for path in masks for value in set(cv2.imread(str(path), -1).ravel())}
    assert values <= {0, 1, 2} and 0 in values


def test_the_last_command_starts_the_node_with_what_the_others_made(walk):
    folder, _ = walk
    words = COMMANDS[-1]
    assert words[:4] == ['ros2', 'launch', 'edgesegnet_ros', 'edgesegnet.launch.py']
    given = dict(word.split(':=') for word in words[4:])
    from edgesegnet_ros.interface.parameter_table import BY_NAME

    for name in ('model', 'classes'):
        assert name in BY_NAME
        assert (folder / given[name].replace('$PWD/', '')).is_file()


def test_the_printed_files_are_valid(walk, tmp_path):
    folder, _ = walk
    classes = load_classes(folder / 'field3.yaml')
    assert classes.names == list(drawn_dataset.CLASSES) and set(classes.groups) == {
        'drivable',
        'obstacle',
    }
    printed = yaml.safe_load(BLOCKS['yaml'][1])
    for side in ('left', 'right'):
        for number in range(2):
            image, labels = drawn_dataset.drawn(number)
            drawn_dataset.save(tmp_path / side / f'images/{number}.png', image)
            drawn_dataset.save(tmp_path / side / f'masks/{number}.png', labels)
    (tmp_path / 'val.txt').write_text('1\n')
    (tmp_path / 'dataset.yaml').write_text(BLOCKS['yaml'][1])
    dataset = open_dataset(tmp_path, classes)
    assert len(dataset.samples('train')) == 2 and len(dataset.samples('val')) == 1
    assert set(printed['values'].values()) <= set(classes.names)


def test_a_replay_knows_the_classes_and_the_size_of_the_weights(walk, tmp_path):
    pytest.importorskip('rosbags')
    from replay_bags import IMAGE, message, write

    folder, _ = walk
    messages = []
    for number in range(2):
        image, labels = drawn_dataset.drawn(number)
        stamp = 10**9 + number * 10**8
        messages.append(('/camera/image', IMAGE, stamp, message(stamp, image)))
        messages.append(('/camera/labels', IMAGE, stamp, message(stamp, labels, 'mono8')))
    bag = write(tmp_path / 'drive', messages)
    told = tmp_path / 'told.json'
    words = ['replay', str(bag), '--model', str(folder / 'out/field/best.safetensors')]
    words += ['--out', str(tmp_path / 'out'), '--json', str(told), '--engine', 'torch']
    assert cli.main([*words, '--no-video', '--no-page', '--no-pictures']) == 0
    result = json.loads(told.read_text())
    assert result['frames_scored'] == 2 and set(result['iou']) == set(drawn_dataset.CLASSES)
    assert result['pixel_accuracy'] > 0.5, 'most of the field is ground'

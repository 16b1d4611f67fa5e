"""CamVid's void among 32 classes (30) is a class like any other in a user's set of 32 classes.

One test for each entry through which label images come.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from edgesegnet_ros import cli
from edgesegnet_ros.data.camvid import CamVidError, read_labels
from edgesegnet_ros.data.classes import ClassSet, SegmentationClass, load_classes
from edgesegnet_ros.data.sources import open_source
from edgesegnet_ros.demo.command import _player
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo, save_weights

STORED = np.uint8([[30, 31, 32, 255]])
OWN, CAMVID = [[30, 31, 255, 255]], [[255, 31, 255, 255]]


@pytest.fixture(scope='module')
def own(tmp_path_factory) -> Path:
    """A class file of 32 classes that are not CamVid's, beside labelled images."""
    folder = tmp_path_factory.mktemp('own')
    classes = tuple(SegmentationClass(i, f'c{i}', (i, 0, 9)) for i in range(32))
    file = folder / 'mine.yaml'
    file.write_text(yaml.safe_dump(ClassSet('mine', classes, {}).as_document()))
    for name, pixels in (('val', np.zeros((1, 4, 3), np.uint8)), ('valannot', STORED)):
        (folder / name).mkdir()
        cv2.imwrite(str(folder / name / '0.png'), pixels)
    return file


def labels_of(source) -> list:
    (frame,) = source
    return frame.labels.tolist()


def test_a_folder_of_images(own):
    images = str(own.parent / 'val')
    assert labels_of(open_source(images, classes=load_classes(own))) == OWN
    assert labels_of(open_source(images, classes=load_classes('camvid32'))) == CAMVID


def test_the_player_that_the_demo_starts(own):
    pytest.importorskip('rclpy')
    from rclpy.utilities import remove_ros_args

    from edgesegnet_ros.node import bag_player

    def played(class_file: Path) -> list:
        args = argparse.Namespace(rate=0.0, frames=None, topic=None, labels=None)
        images = str(own.parent / 'val')
        words = _player(args, images, open_source(images), class_file)
        return labels_of(bag_player.source_of(bag_player.parse(remove_ros_args(words))))

    assert played(own) == OWN
    assert played(Path('camvid32')) == CAMVID


def test_view(own, monkeypatch):
    pytest.importorskip('rerun')
    from edgesegnet_ros import engines
    from edgesegnet_ros.view import command

    model = own.with_name('mine.safetensors')
    save_weights(model, build_network('edgesegnet', 32), WeightsInfo('mine', 32, (32, 32)))
    monkeypatch.setattr(engines, 'open_engine', lambda request: None)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    images = str(own.parent / 'val')
    words = ['--input', images, '--model', str(model), '--classes', str(own), '--engine', 'torch']
    source, _ = command._open_source(parser.parse_args(words))
    assert labels_of(source) == OWN


def test_a_folder_of_labels_for_replay(own):
    pytest.importorskip('rosbags')
    from edgesegnet_ros.evaluation.replay.label_folder import LabelFolder

    folder = own.parent / 'valannot'
    assert LabelFolder(folder, load_classes(own), [7]).of(0, 7).tolist() == OWN
    assert LabelFolder(folder, load_classes('camvid32'), [7]).of(0, 7).tolist() == CAMVID


def test_a_bag_of_labelled_images(own, tmp_path):
    pytest.importorskip('rosbags')
    bag = tmp_path / 'bag'
    words = [str(own.parent / 'val'), '--classes', str(own), '--out', str(bag)]
    assert cli.main(['data', 'to-bag', *words]) == 0
    assert labels_of(open_source(str(bag))) == OWN


def test_colours_of_camvid_do_not_stand_for_the_classes_of_another_set(own, tmp_path):
    colors = np.zeros((1, 2, 3), np.uint8)  # void in CamVid's colours
    cv2.imwrite(str(tmp_path / 'a.png'), colors)
    assert read_labels(tmp_path / 'a.png', load_classes('camvid32')).tolist() == [[255, 255]]
    with pytest.raises(CamVidError, match='but not for those of mine'):
        read_labels(tmp_path / 'a.png', load_classes(own))

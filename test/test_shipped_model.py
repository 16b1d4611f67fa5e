"""The shipped weights are what their card and the README say."""

from __future__ import annotations

import importlib.util
import re

import pytest
from tqdm import tqdm

from edgesegnet_ros import shipped
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.datasets import open_dataset
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.demo.command import STREET_FRAMES, STREET_SEED
from edgesegnet_ros.engines import open_engine
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.evaluation.accuracy import score
from edgesegnet_ros.training.dataset import FIRST_RENDERED_SEED

SIZES = {'edgesegnet-camvid11': (256, 256), 'edgesegnet-camvid11-368x480': (368, 480)}
LEAST = {'edgesegnet-camvid11': 0.897, 'edgesegnet-camvid11-368x480': 0.885}
"""Pixel accuracy on test that each of them has; the paper states 0.897."""


@pytest.fixture(scope='module')
def segmenter():
    model = open_engine(EngineRequest())
    return Segmenter(model.engine, model.resize_mode)


@pytest.mark.parametrize('name', SIZES)
def test_the_file_is_small_and_safe(name):
    path = shipped.find('models', name)
    assert path.stat().st_size <= 9_000_000
    # safetensors: a length, then a JSON header; no pickle.
    assert path.read_bytes()[8:9] == b'{'


def test_the_demos_street_was_never_trained_on_and_is_segmented_well(segmenter):
    assert STREET_SEED < FIRST_RENDERED_SEED
    street = Street(STREET_SEED, (360, 480))
    frames = (street.frame(index) for index in range(0, STREET_FRAMES, 2))
    scores = score(segmenter, ((frame.image, frame.labels) for frame in frames))
    assert (scores.confusion.sum(1) > 0).all(), 'all 11 classes are in the clip'
    assert scores.pixel_accuracy >= 0.93
    assert scores.miou >= 0.69


@pytest.mark.parametrize(
    ('name', 'row', 'every'),
    [
        ('edgesegnet-camvid11', 'test', 1),
        # 2.7 times the work of the other, so a part of the images is enough for each run.
        ('edgesegnet-camvid11-368x480', 'test, every eighth image', 8),
    ],
)
def test_the_cards_figure_on_camvids_test_split(name, row, every, camvid):
    card = shipped.find('models', name).with_suffix('.md').read_text()
    accuracy, images = re.search(rf'\| {row} \| (0\.\d+) \| 0\.\d+ \| (\d+) \|', card).groups()
    fastest = 'openvino' if importlib.util.find_spec('openvino') else 'torch'
    model = open_engine(EngineRequest(name, engine=fastest, precision='fp32'))
    # CamVid's own size is padded to the network's, as the card says.
    assert model.resize_mode == ('letterbox' if SIZES[name][1] == 480 else 'stretch')
    assert model.engine.input_size == SIZES[name]
    segmenter = Segmenter(model.engine, model.resize_mode)
    pairs = open_dataset(camvid, load_classes('camvid11')).read_splits(('test',))['test']
    scores = score(segmenter, tqdm(pairs[::every], unit='image'))
    assert scores.images == int(images)
    assert scores.pixel_accuracy >= LEAST[name]
    # Other CPUs move single pixels at the classes' borders.
    assert scores.pixel_accuracy == pytest.approx(float(accuracy), abs=0.001)

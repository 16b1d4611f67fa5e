"""Weights know their input size and resize mode, and every command follows them."""

from __future__ import annotations

import argparse
import importlib
import json

import cv2
import numpy as np
import pytest
import torch
from replay_bags import IMAGE, message, write
from safetensors import safe_open
from small_onnx import expected_of
from test_network import with_lively_norms

from edgesegnet_ros import Segmenter, cli
from edgesegnet_ros.data.geometry import compute_placement, to_network, to_source
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines import open_engine
from edgesegnet_ros.engines.recipe import recipe_for
from edgesegnet_ros.engines.request import EngineError, EngineRequest
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.storage import write_tensors
from edgesegnet_ros.network.weights import WeightsInfo, load_weights, save_weights, store_info
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.training.dataset import Views
from edgesegnet_ros.training.run_setup import Sources
from edgesegnet_ros.training.train import BEST, train

SIZE = (64, 96)
TORCH = ('--engine', 'torch', '--precision', 'fp32', '--device', 'cpu')


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return with_lively_norms(build_network('edgesegnet', 11))


@pytest.fixture(scope='module')
def folder(tmp_path_factory, network):
    """Weights of 64x96, letterbox; a tall image, which that pads at its sides."""
    folder = tmp_path_factory.mktemp('input')
    info = WeightsInfo('camvid11', 11, SIZE, resize_mode='letterbox')
    save_weights(folder / 'own.safetensors', network, info, torch.float32)
    (folder / 'images').mkdir()
    (folder / 'labels').mkdir()
    cv2.imwrite(str(folder / 'images/tall.png'), tall()[..., ::-1])
    cv2.imwrite(str(folder / 'labels/tall.png'), labels_of(network, tall(), SIZE, 'letterbox'))
    return folder


def tall():
    return Street(7, (96, 80)).frame(3).image


def labels_of(network, image, size, mode):
    placement = compute_placement(image.shape[:2], size, mode)
    labels = expected_of(network, to_network(image, placement)).argmax(0).numpy()
    return to_source(labels.astype(np.uint8), placement)


def asked(folder, **changes):
    path = str(folder / 'own.safetensors')
    return EngineRequest(path, engine='torch', precision='fp32', device='cpu', **changes)


def test_options_take_precedence_over_the_weights(folder, network):
    model = open_engine(asked(folder))
    assert (model.engine.input_size, model.resize_mode) == (SIZE, 'letterbox')
    model = open_engine(asked(folder, input_size=(32, 32), resize_mode='stretch'))
    assert (model.engine.input_size, model.resize_mode) == ((32, 32), 'stretch')
    with pytest.raises(EngineError, match="resize_mode 'crop': one of auto, stretch, letterbox"):
        open_engine(asked(folder, resize_mode='crop'))
    with Segmenter.open(str(folder / 'own.safetensors'), engine='torch', precision='fp32') as own:
        expected = labels_of(network, tall(), SIZE, 'letterbox')
        assert (own(tall()) == expected).mean() > 0.999


def test_files_of_before_there_were_the_keys(folder, tmp_path):
    path = tmp_path / 'old.safetensors'
    with safe_open(str(folder / 'own.safetensors'), framework='pt') as file:
        header = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    info = json.loads(header['info'])
    del info['input_size'], info['resize_mode']
    write_tensors(path, tensors, {**header, 'info': json.dumps(info)})
    assert load_weights(path)[1][2] == (256, 256)
    recipe = recipe_for(asked(folder)._replace(model=str(path)))
    assert (recipe.input_size, recipe.resize_mode) == ((256, 256), 'stretch')
    store_info(path, resize_mode='letterbox', input_size=SIZE)
    with safe_open(str(path), framework='pt') as file:
        assert all(torch.equal(file.get_tensor(name), tensors[name]) for name in tensors)
    recipe = recipe_for(asked(folder)._replace(model=str(path)))
    assert (recipe.input_size, recipe.resize_mode) == (SIZE, 'letterbox')
    with pytest.raises(ValueError, match='network: cannot be changed'):
        store_info(path, network='unet')
    store_info(path, resize_mode='crop')
    with pytest.raises(EngineError, match="its resize_mode is 'crop', which this version does"):
        recipe_for(asked(folder)._replace(model=str(path)))


COMMANDS = {
    'demo': 'demo.command',
    'evaluate': 'evaluation.command',
    'export': 'engines.command',
    'figure2': 'evaluation.figure2',
    'predict': 'prediction.command',
    'replay': 'evaluation.replay.command',
    'table1': 'evaluation.table1',
    'view': 'view.command',
}


@pytest.mark.parametrize('name', COMMANDS)
def test_no_command_has_a_size_or_mode_of_its_own(name):
    parser = argparse.ArgumentParser()
    importlib.import_module(f'edgesegnet_ros.{COMMANDS[name]}').add_arguments(parser)
    assert parser.get_default('input_size') == (0, 0)
    assert parser.get_default('resize_mode') == 'auto'


def test_evaluate_predict_and_replay_follow_the_weights(folder, network, tmp_path):
    model, told = ['--model', str(folder / 'own.safetensors')], tmp_path / 'told.json'
    words = ['evaluate', *model, '--data', str(folder), '--split', 'train', '--no-calibration']
    (folder / 'dataset.yaml').write_text(
        'splits: {train: {images: images, labels: labels}, val: {images: images, labels: labels}}'
    )
    assert cli.main([*words, *TORCH, '--json', str(told)]) == 0
    figures = json.loads(told.read_text())
    assert (figures['input_size'], figures['resize_mode']) == (list(SIZE), 'letterbox')
    assert figures['pixel_accuracy'] > 0.999
    words += ['--resize-mode', 'stretch']
    assert cli.main([*words, *TORCH, '--json', str(told)]) == 0
    figures = json.loads(told.read_text())
    assert figures['resize_mode'] == 'stretch' and figures['pixel_accuracy'] < 0.999
    words += ['--input-size', '50x50']
    assert cli.main([*words, *TORCH]) == 2

    expected = labels_of(network, tall(), SIZE, 'letterbox')
    words = ['predict', str(folder / 'images'), *model, '--out', str(tmp_path / 'p'), *TORCH]
    assert cli.main(words) == 0
    labels = cv2.imread(str(tmp_path / 'p/labels/tall.png'), cv2.IMREAD_UNCHANGED)
    assert (labels == expected).mean() > 0.999

    pytest.importorskip('rosbags')
    from edgesegnet_ros.evaluation.replay.label_maps import LabelMaps

    stamp = 10**9
    bag = write(tmp_path / 'bag', [('/camera/image', IMAGE, stamp, message(stamp, tall()))])
    words = ['replay', str(bag), *model, '--out', str(tmp_path / 'r'), *TORCH, '--no-video']
    words += ['--no-page', '--no-pictures', '--json', str(told)]
    assert cli.main(words) == 0
    (maps,) = (tmp_path / 'r').rglob('labels.zip')
    assert (LabelMaps(maps)[0].labels == expected).mean() > 0.999
    options = json.loads(told.read_text())['provenance']['options']
    assert "'resize_mode': 'letterbox'" in str(options)


def test_training_letterboxes_views_and_val_and_stores_the_mode(folder, network, tmp_path):
    from edgesegnet_ros.data.classes import load_classes
    from edgesegnet_ros.data.datasets import open_dataset

    config = TrainConfig(
        input_size=SIZE,
        resize_mode='letterbox',
        crop=SIZE,
        epochs=1,
        batch=1,
        rendered=0,
        scale_min=1.0,
        scale_max=1.0,
        aspect=0.0,
        flip=False,
        color=0.0,
    )
    assert config.frame((96, 80)) == (64, 53)
    labels = np.zeros((96, 80), np.uint8)
    _, seen = Views([(tall(), labels)], [], config)[(0, 0)]
    columns = (seen == 0).any(0).sum()
    assert columns == 53, 'the aspect is kept, and what lies beside the image is void'
    classes = load_classes('camvid11')
    sources = Sources(open_dataset(str(folder / 'dataset.yaml'), classes), classes)
    train(config, sources, tmp_path, 'cpu', tensorboard=False)
    info = load_weights(tmp_path / BEST)[1]
    assert (info.input_size, info.resize_mode) == (SIZE, 'letterbox')

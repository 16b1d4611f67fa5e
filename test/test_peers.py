"""The networks of other papers: their sizes, and each trained, kept, evaluated and deployed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from drawn_dataset import CLASS_FILE, folder
from small_onnx import spread
from test_network import with_lively_norms
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros import cli
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.datasets import open_dataset
from edgesegnet_ros.engines.image_sets import ImageSet
from edgesegnet_ros.engines.proving import proved_engine
from edgesegnet_ros.engines.recipe import recipe_for
from edgesegnet_ros.engines.registry import back_end
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.network.cost import gmac, parameters
from edgesegnet_ros.network.peers import enet
from edgesegnet_ros.network.registry import NETWORKS, build_network, identity, inference_form
from edgesegnet_ros.network.upsampling import upsample
from edgesegnet_ros.network.weights import WeightsInfo, load_weights, save_weights
from edgesegnet_ros.training.config import ConfigError, TrainConfig
from edgesegnet_ros.training.initial import read_initial
from edgesegnet_ros.training.run_log import RunLog
from edgesegnet_ros.training.run_setup import Sources
from edgesegnet_ros.training.train import BEST, train

# Name, parameters at 19 classes, millions that its paper gives (None: gives none), and 10^9
# multiply-accumulates that it gives for 1024x2048 (None: counted otherwise, or not at all).
# Four counts are exactly those of the code that the comment names, without auxiliary heads;
# ERFNet's code has 2,451 more, an output of its encoder that is used in pre-training alone.
PEERS = {
    'enet': (363_599, 0.37, None),  # arXiv 1606.02147, Table III
    'erfnet': (2_064_191, None, None),  # github.com/Eromera/erfnet_pytorch: 2,066,642
    'fast-scnn': (1_138_051, 1.11, None),  # 1902.04502; github.com/Tramac/Fast-SCNN-pytorch
    'bisenetv2': (3_358_627, None, None),  # github.com/CoinCheung/BiSeNet
    'ddrnet-23-slim': (5_695_987, 5.7, 36.3),  # 2101.06085; github.com/ydhongHIT/DDRNet
    'pidnet-s': (7_625_715, 7.6, 47.6),  # arXiv 2206.02066; github.com/XuJiacong/PIDNet
    'segformer-b0': (3_719_027, 3.8, None),  # arXiv 2105.15203, Table 1, at 150 classes
}
SIZE = (32, 48)


@pytest.fixture(params=PEERS)
def name(request):
    if request.param == 'segformer-b0':
        pytest.importorskip('transformers', reason='SKIPPED FOR WANT OF transformers')
    torch.manual_seed(0)
    return request.param


def test_all_are_here():
    assert list(NETWORKS) == ['refinenet101', 'unet', *PEERS]
    assert identity('DDRNet23-slim') == 'ddrnet-23-slim'


def test_size_and_cost_are_the_published_ones_and_the_inference_form_computes_the_same(name):
    count, published, cost = PEERS[name]
    # In doubles, since rounding can move what ENet unpools.
    network = with_lively_norms(build_network(name, 19)).double()
    assert parameters(network) == count
    assert published is None or count / 1e6 == pytest.approx(published, rel=0.03)
    image = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    with torch.inference_mode():
        logits = network(image)
        deployed = inference_form(network)
        coarse = deployed(image)
        again = upsample(coarse, deployed.head_stride)
    assert logits.shape == (2, 19, 64, 96)
    assert coarse.shape[2:] == (64 // deployed.head_stride, 96 // deployed.head_stride)
    assert (again - logits).abs().max() < 1e-4 * logits.abs().max()
    folded = [m for m in deployed.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(folded) < sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) / 3
    with torch.inference_mode():
        deployed.classifier_bias[7] += 100.0
        moved = deployed(image) - coarse
    assert moved[:, 7].min() > 99 and moved[:, :7].abs().max() == 0
    if cost is not None:
        # Fully convolutional but for the pooled contexts, which are a thousandth of it.
        scaled = gmac(network.float(), (256, 512)) * 16
        assert scaled == pytest.approx(cost, rel=0.02)


def test_enet_unpools_as_torch_does():
    # Small whole numbers: many of the four are equal.
    values = torch.randint(0, 3, (2, 3, 8, 12)).float()
    pooled, indices = F.max_pool2d(values, 2, return_indices=True)
    expected = F.max_unpool2d(pooled + 1, indices, 2)
    assert torch.equal(enet._unpooled(pooled + 1, enet._largest(values)), expected)


@pytest.fixture(scope='module')
def field(tmp_path_factory):
    """A drawn dataset, and its class file."""
    root = tmp_path_factory.mktemp('peers')
    (root / 'field3.yaml').write_text(CLASS_FILE)
    folder(root / 'data')
    return root


def labels_of(network, info, image):
    """By torch alone: (H, W, 3) uint8 of the network's size to (H, W) class ids."""
    mean, std = torch.tensor(info.mean), torch.tensor(info.std)
    pixels = ((torch.from_numpy(image).float() / 255 - mean) / std).permute(2, 0, 1)[None]
    with torch.inference_mode():
        return network(pixels).argmax(1)[0].numpy().astype(np.uint8)


def test_trained_kept_evaluated_and_run(name, field, tmp_path, monkeypatch):
    """By OpenVINO or ONNX Runtime in turns: what takes time is the building of engines."""
    monkeypatch.setattr(RunLog, 'draw', lambda run_log, history: None)
    classes = load_classes(str(field / 'field3.yaml'))
    config = TrainConfig(
        network=name, epochs=1, batch=2, camvid_views=4, input_size=(48, 64), crop=SIZE
    )
    sources = Sources(open_dataset(str(field / 'data'), classes, 0.25, 0), classes)
    outcome = train(config, sources, tmp_path, 'cpu', tensorboard=False)
    assert outcome.progress.steps == 2
    network, info = load_weights(tmp_path / BEST)
    assert info.network == name and info.class_set['name'] == 'field3'
    pairs = sources.data.read_splits(('val',))['val']
    images = [image for image, _ in pairs]
    example = torch.from_numpy(images[0]).permute(2, 0, 1)[None].float() / 64 - 2
    spread(network, example)
    path = tmp_path / 'spread.safetensors'
    save_weights(path, network, info, torch.float32)

    told = tmp_path / 'told.json'
    words = ['evaluate', '--model', str(path), '--data', str(field / 'data'), '--engine', 'torch']
    words += ['--val-fraction', '0.25', '--precision', 'fp32', '--device', 'cpu']
    assert cli.main([*words, '--json', str(told)]) == 0
    right = known = 0
    expected = [labels_of(network, info, image) for image in images]
    for (_, truth), found in zip(pairs, expected, strict=True):
        right += int((found == truth)[truth != 255].sum())
        known += int((truth != 255).sum())
    assert json.loads(told.read_text())['pixel_accuracy'] == pytest.approx(right / known, abs=2e-3)

    recipe = recipe_for(EngineRequest(str(path), precision='fp32', device='cpu', num_threads=1))
    assert recipe.input_size == (48, 64)
    engine = ('openvino', 'onnxruntime')[list(PEERS).index(name) % 2]
    if not back_end(engine).why_not('cpu'):
        street = ImageSet('one street', (), 5, 1)
        proved = proved_engine(back_end(engine), recipe, tmp_path / 'engines', street).engine
        labels = np.empty((48, 64), np.uint8)
        proved.infer(images[1], labels)
        assert (labels == expected[1]).mean() > 0.999 and len(np.unique(labels)) > 1


def test_rows_of_a_transposed_head_go_by_the_names_of_classes(field, tmp_path):
    classes = load_classes(str(field / 'field3.yaml'))
    network = build_network('enet', 3)
    info = WeightsInfo('field3', 3, SIZE, class_set=classes.as_document())
    save_weights(tmp_path / 'enet.safetensors', network, info, torch.float32)
    text = CLASS_FILE.replace('field3', 'field2').replace('crop', 'stone')
    (tmp_path / 'field2.yaml').write_text(text)
    initial = read_initial(
        str(tmp_path / 'enet.safetensors'), 'enet', load_classes(str(tmp_path / 'field2.yaml'))
    )
    assert initial.kept == ('ground', 'weed') and initial.drawn == ('stone',)
    assert torch.equal(initial.network.head.weight[:, [0, 2]], network.head.weight[:, [0, 2]])
    assert not torch.equal(initial.network.head.weight[:, 1], network.head.weight[:, 1])


def test_a_batch_of_one_is_refused_where_norms_need_two(field, tmp_path):
    classes = load_classes(str(field / 'field3.yaml'))
    sources = Sources(open_dataset(str(field / 'data'), classes, 0.25, 0), classes)
    config = TrainConfig(network='pidnet-s', batch=1, crop=SIZE, epochs=1)
    with pytest.raises(ConfigError, match='pidnet-s .* give --batch 2'):
        train(config, sources, tmp_path, 'cpu', tensorboard=False)
    assert not list(tmp_path.iterdir())

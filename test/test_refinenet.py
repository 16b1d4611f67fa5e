"""RefineNet-101 is the published one, to the parameter, and goes through files and engine."""

from __future__ import annotations

import pytest
import torch

from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.engines.pytorch import TorchEngine
from edgesegnet_ros.engines.recipe import recipe_of
from edgesegnet_ros.network import HEAD_STRIDE
from edgesegnet_ros.network.cost import gmac, parameters
from edgesegnet_ros.network.refinenet import ChainedResidualPooling, RefineNet101, ResidualConvUnit
from edgesegnet_ros.network.registry import (
    NetworkError,
    build_network,
    inference_form,
    name_of,
)
from edgesegnet_ros.network.upsampling import upsample
from edgesegnet_ros.network.weights import WeightsInfo, load_weights, save_weights


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def after_training(network):
    """A network in evaluation mode, its norms with statistics that are not 0 and 1."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            torch.nn.init.normal_(module.bias, 0.0, 0.1)
            torch.nn.init.normal_(module.running_mean, 0.0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return after_training(build_network('refinenet101', 11))


@pytest.fixture(scope='module')
def shapes():
    """The network without values: nothing is computed."""
    with torch.device('meta'):
        return RefineNet101(32).eval()


def test_parameters_are_the_published_forms(shapes):
    assert parameters(shapes.backbone) == 42_500_160  # ResNet-101 without its classifier
    assert parameters(shapes) == 118_077_792
    assert round(parameters(shapes) * 4 / 1e6) == 472


def test_parts_of_the_cascade(shapes):
    network = shapes

    def count(kind):
        return sum(isinstance(module, kind) for module in network.modules())

    assert count(ResidualConvUnit) == 4 * (2 + 3)
    assert count(ChainedResidualPooling) == 4
    assert [block.project.in_channels for block in network.blocks] == [2048, 1024, 512, 256]
    assert [block.project.out_channels for block in network.blocks] == [512, 256, 256, 256]
    assert network.head.kernel_size == (3, 3)


@pytest.mark.parametrize('size', [(256, 256), (368, 480)])
def test_shapes(shapes, size):
    image = torch.zeros(1, 3, *size, device='meta')
    assert shapes.coarse_logits(image).shape == (1, 32, size[0] // 4, size[1] // 4)
    assert shapes(image).shape == (1, 32, *size)
    strides = [size[0] // features.shape[2] for features in shapes.backbone(image)]
    assert strides[:3] == [4, 8, 16]  # 368 rows are 11.5 of 32: the coarsest has 12


def test_cost(shapes):
    assert gmac(shapes, (256, 256)) == pytest.approx(65.83, abs=0.01)


def test_inference_form(network):
    image = torch.randn(1, 3, 32, 48)
    with torch.inference_mode():
        coarse = network.coarse_logits(image)
        folded = inference_form(network)(image)
        full = network(image)
    assert (folded - coarse).abs().max() < 1e-4 * coarse.abs().max()
    torch.testing.assert_close(full, upsample(coarse, HEAD_STRIDE))


def test_a_residual_unit_by_hand():
    unit = ResidualConvUnit(1)
    with torch.no_grad():
        for conv in (unit.conv1, unit.conv2):
            conv.weight.zero_()
            conv.weight[0, 0, 1, 1] = 2.0
        unit.conv1.bias.fill_(-1.0)
    # 3 + 2 * relu(2 * relu(3) - 1), and a negative one only keeps itself.
    values = unit(torch.tensor([[[[3.0, -5.0]]]]))
    assert values.flatten().tolist() == [13.0, -5.0]


def test_file_and_engine(network, tmp_path):
    path = tmp_path / 'r.safetensors'
    save_weights(path, network, WeightsInfo('camvid11', 11, (32, 32)))
    again, info = load_weights(path)
    assert isinstance(again, RefineNet101) and info.network == name_of(again) == 'refinenet101'
    classes = load_classes('camvid11')._replace(ignored=(3,))
    engine = TorchEngine(recipe_of(again, info, classes, 'fp32', 'cpu', 1))
    image = torch.randint(0, 255, (32, 32, 3), dtype=torch.uint8)
    labels = torch.full((32, 32), 200, dtype=torch.uint8).numpy()
    engine.infer(image.numpy(), labels)
    assert labels.max() < 11 and not (labels == 3).any()


def test_an_unknown_network():
    with pytest.raises(
        NetworkError, match="'segnet' is unknown: there are .*edgesegnet, .*refinenet101"
    ):
        build_network('segnet', 11)

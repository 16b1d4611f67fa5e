"""The teacher sees whole scenes, and goes through files and engines as other networks do."""

from __future__ import annotations

import pytest
import torch
from test_refinenet import after_training

from edgesegnet_ros.network.cost import gmac, parameters
from edgesegnet_ros.network.registry import build_network, inference_form, name_of
from edgesegnet_ros.network.unet import BasicBlock, UNet
from edgesegnet_ros.network.weights import WeightsInfo, load_weights, save_weights


@pytest.fixture
def network():
    torch.manual_seed(0)
    return after_training(build_network('unet', 11))


def test_size_and_cost():
    with torch.device('meta'):
        network = UNet(11).eval()
    assert parameters(network) == 16_202_315
    assert gmac(network, (256, 256)) == pytest.approx(6.355, abs=0.001)


@pytest.mark.parametrize('size', [(256, 256), (368, 480), (48, 16)])
def test_shapes(size):
    image = torch.zeros(1, 3, *size, device='meta')
    with torch.device('meta'):
        network = UNet(11).eval()
    assert network.coarse_logits(image).shape == (1, 11, size[0] // 4, size[1] // 4)
    assert network(image).shape == (1, 11, *size)


def test_inference_form(network):
    image = torch.randn(1, 3, 64, 48)
    with torch.inference_mode():
        coarse = network.coarse_logits(image)
        folded = inference_form(network)
        assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
        assert (folded(image) - coarse).abs().max() < 1e-4 * coarse.abs().max()


def test_every_position_sees_the_whole_scene(network):
    image = torch.randn(1, 3, 256, 256, requires_grad=True)
    network.coarse_logits(image)[0, :, 0, 0].sum().backward()
    assert image.grad[0, :, -8:, -8:].abs().max() > 0


@pytest.mark.parametrize('stride', [1, 2])
def test_a_block_begins_as_its_shortcut(stride):
    block = BasicBlock(4, 4, stride).eval()
    features = torch.rand(1, 4, 5, 6)
    expected = block.shortcut(features)
    torch.testing.assert_close(block(features), torch.relu(expected))
    assert expected.shape == (1, 4, -(-5 // stride), 6 // stride)


def test_file(network, tmp_path):
    save_weights(tmp_path / 'unet.safetensors', network, WeightsInfo('camvid11', 11, (32, 32)))
    again, info = load_weights(tmp_path / 'unet.safetensors')
    assert isinstance(again, UNet) and info.network == name_of(again) == 'unet'
    image = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        expected = network.coarse_logits(image)
        assert (again.coarse_logits(image) - expected).abs().max() < 0.02 * expected.abs().max()

"""Filters of zeros change nothing, in what is computed and in what is learnt."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.padding import can_be_padded, pad_filters, unpad_filters
from edgesegnet_ros.network.registry import build_network, inference_form


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = build_network('edgesegnet', 11, training_norms=True)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_()
    return network


def widths(network):
    return {size for value in network.parameters() for size in value.shape[:2]}


def test_padded_and_back(network):
    padded = pad_filters(network)
    assert {3, 11} <= widths(padded) and {13, 193, 217} <= widths(network)
    assert {size % 8 for size in widths(padded) - {3, 11}} == {0}
    image = torch.randn(1, 3, 64, 48)
    with torch.no_grad():
        for form in (lambda net: net.eval(), inference_form):
            expected, found = form(network)(image), form(padded)(image)
            assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))
    back = unpad_filters(padded, network).state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(back[name], value), name


def test_padded_training_gives_the_same_weights(network):
    plain, padded = copy.deepcopy(network).train(), pad_filters(network).train()
    sgd = [
        torch.optim.SGD(net.parameters(), 1e-3, 0.9, weight_decay=1e-2) for net in (plain, padded)
    ]
    for step in range(2):
        image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(step))
        labels = torch.arange(2 * 32 * 32).reshape(2, 32, 32) % 11
        for net, optimizer in zip((plain, padded), sgd):
            optimizer.zero_grad()
            F.cross_entropy(net(image), labels).backward()
            optimizer.step()
    back = unpad_filters(padded, plain).state_dict()  # raises if a zero has changed
    for name, value in plain.state_dict().items():
        assert torch.allclose(back[name], value, atol=1e-5), name


def test_an_invalid_padding_is_refused(network):
    padded = pad_filters(network)
    with torch.no_grad():
        padded.refine1.mix.weight[195, 0] = 1e-3
    with pytest.raises(ValueError, match='refine1.mix.weight is not zero where'):
        unpad_filters(padded, network)
    with pytest.raises(ValueError, match='is another one'):
        unpad_filters(padded, build_network('edgesegnet', 11))
    with pytest.raises(ValueError, match='is no padding of'):
        unpad_filters(network, padded)
    with pytest.raises(ValueError, match='multiples of 1 or more'):
        pad_filters(network, 0)


DESIGN = """
format: 1
name: odd
title: Odd widths
norm: batch
layers:
  - {name: stem, kind: conv, stride: 4, width: 5, blocks: 2}
  - {name: inner, kind: inverted, stride: 2, width: 9, expansion: 1.5}
  - {name: deep, kind: residual, width: 9, blocks: 2}
  - {name: scene, kind: pooled}
  - {name: wide, kind: separable, width: 5, act: none}
  - {name: join, kind: merge, from: [wide, stem]}
"""


def test_designs_of_odd_widths(tmp_path):
    path = tmp_path / 'odd.yaml'
    path.write_text(DESIGN)
    torch.manual_seed(0)
    network = build_network(str(path), 3, training_norms=True).eval()
    padded = pad_filters(network)
    assert padded.inner.depthwise.groups == 8 and padded.deep[0].first.out_channels == 16
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(padded(image), network(image), atol=1e-5)
        unpad_filters(padded, network)
    path.write_text(DESIGN.replace('merge, from', 'conv, width: 5, merge: concat, from'))
    concatenated = build_network(str(path), 3)
    assert not can_be_padded(concatenated)
    assert widths(pad_filters(concatenated)) == widths(concatenated)


def test_other_networks_have_such_widths_already():
    network = build_network('unet', 11)
    assert {size % 8 for size in widths(network) - {1, 3, 11}} == {0}
    assert not can_be_padded(network)
    padded = pad_filters(network)
    assert padded is not network and widths(padded) == widths(network)

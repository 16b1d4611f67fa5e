"""Designs build what they describe, and what cannot be built is refused with its place."""

import json

import pytest
import torch
from safetensors import safe_open
from test_network import with_lively_norms
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.cost import gmac, parameters
from edgesegnet_ros.network.design import DesignError
from edgesegnet_ros.network.design_file import design_of, read_design
from edgesegnet_ros.network.fold import fold_norms
from edgesegnet_ros.network.layer_kinds import KINDS
from edgesegnet_ros.network.registry import (
    NetworkError,
    build_network,
    identity,
    inference_form,
    name_of,
)
from edgesegnet_ros.network.upsampling import upsample
from edgesegnet_ros.network.weights import WeightsError, WeightsInfo, load_weights, save_weights
from edgesegnet_ros.shipped import names

EVERY_KIND = """\
format: 1
name: every-kind
layers:
  - {name: stem, kind: conv, stride: 2, width: 8}
  - {name: pool, kind: max_pool}
  - {name: reduction, kind: reduction, from: stem, stride: 8, width: 12}
  - {name: basic, kind: residual, from: pool, width: 12, blocks: 2, act: none}
  - {name: wide, kind: wide_residual, stride: 2, width: 12, blocks: 2}
  - {name: bottle, kind: bottleneck, width: 16, stride: 2, blocks: 2, expansion: 0.5}
  - {name: narrow, kind: separable, width: 12, dilation: 2}
  - {name: invert, kind: inverted, width: 12, stride: 2, blocks: 2}
  - {name: pyramid, kind: pyramid, width: 12, branch: 4}
  - {name: pooled, kind: pooled}
  - {name: coarse, kind: norm}
  - {name: all, kind: merge, from: [basic, wide, narrow, coarse, reduction], act: relu}
  - {name: joined, kind: conv, from: [all, stem], merge: concat, stride: 2, width: 16}
  - {name: last, kind: refine, width: 10}
"""


@pytest.fixture
def every_kind(tmp_path):
    path = tmp_path / 'every.yaml'
    path.write_text(EVERY_KIND)
    return str(path)


def as_the_paper_draws_it(network, image):
    """Fig. 1 step by step on a network's own weights, as DESIGN's table lists it."""

    def refine(module, x):
        a = module.project(x)
        return a + module.conv2(F.relu(module.conv1(F.relu(module.mix(a)))))

    y = F.conv2d(image, network.stem.weight, network.stem.bias, stride=2, padding=3)
    z = F.max_pool2d(y, 3, stride=2, padding=1)
    reduction, bottle = network.reduction, network.bottleneck
    reduced = F.conv2d(y, reduction.reduce.weight, reduction.reduce.bias, stride=8, padding=1)
    reduced = upsample(reduction.expand(F.relu(reduction.mix(F.relu(reduced)))), 2)
    active = F.relu(bottle.norm(z))
    inner = F.relu(bottle.norm1(bottle.conv1(active)))
    inner = bottle.conv3(F.relu(bottle.norm2(bottle.conv2(inner)))) + bottle.shortcut(active)
    middle = refine(network.refine2, refine(network.refine1, inner) + reduced)
    last = refine(network.refine4, upsample(middle, 2) + refine(network.refine3, z))
    return network.head(upsample(last, 4))


def test_edgesegnet_is_the_papers():
    torch.manual_seed(0)
    network = with_lively_norms(build_network('edgesegnet', 32))
    image = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(network(image), as_the_paper_draws_it(network, image))
    assert parameters(network) == 4_327_920


@pytest.mark.parametrize('name', [name for name in names('designs')])
def test_shipped_designs(name, tmp_path):
    design = read_design(name)
    assert design.name == name
    assert design_of(design.as_dict(), 'again') == design
    (tmp_path / 'again.yaml').write_text(design.as_yaml())
    assert read_design(tmp_path / 'again.yaml') == design
    with torch.device('meta'):
        network = build_network(name, 11).eval()
    for size in ((64, 48), (16, 16), (368, 480)):
        image = torch.zeros(1, 3, *size, device='meta')
        assert network.coarse_logits(image).shape == (1, 11, size[0] // 4, size[1] // 4)
        assert network(image).shape == (1, 11, *size)


def test_the_slim_unets_cost():
    with torch.device('meta'):
        network = build_network('unet-slim', 11).eval()
        assert parameters(network) == pytest.approx(2.08e6, rel=2e-3)
        assert gmac(inference_form(network), (256, 256)) == pytest.approx(0.82, abs=0.01)


def test_every_kind_of_layer_folds(every_kind):
    assert {layer.kind for layer in identity(every_kind).layers} == set(KINDS)
    torch.manual_seed(0)
    network = with_lively_norms(build_network(every_kind, 5, training_norms=True))
    image = torch.randn(1, 3, 64, 48)
    with torch.inference_mode():
        expected = network.coarse_logits(image)
        plain, deployed = fold_norms(network), inference_form(network)
        scale = expected.abs().max()
        assert (plain.coarse_logits(image) - expected).abs().max() < 1e-4 * scale
        assert (deployed(image) - expected).abs().max() < 1e-4 * scale
        assert (upsample(expected, 4) - network(image)).abs().max() < 1e-4 * scale
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in deployed.modules())
    assert plain.state_dict().keys() == build_network(every_kind, 5).state_dict().keys()
    deployed = inference_form(network)
    deployed.classifier_bias[2] += 1.0
    raised = deployed(image) - expected
    assert torch.allclose(raised[:, 2], torch.ones(()), atol=1e-4 * float(scale))


def test_a_weights_file_holds_its_design(every_kind, tmp_path):
    network = build_network(every_kind, 5).eval()
    path = tmp_path / 'w.safetensors'
    save_weights(path, network, WeightsInfo('own', 5, (64, 64)))
    (tmp_path / 'every.yaml').unlink()
    again, info = load_weights(path)
    assert again.design == network.design and name_of(again) == info.network == 'every-kind'
    image = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        expected = network.coarse_logits(image)
        assert (again.coarse_logits(image) - expected).abs().max() < 0.02 * expected.abs().max()


def test_a_weights_file_of_a_newer_design(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / 'w.safetensors'
    network = build_network('unet-slim', 5)
    save_weights(path, network, WeightsInfo('own', 5, (64, 64)))
    with safe_open(str(path), 'pt') as file:
        header = dict(
            file.metadata(), design=json.dumps({**network.design.as_dict(), 'format': 2})
        )
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    save_file(tensors, str(path), header)
    with pytest.raises(WeightsError, match='format 2; this release reads format 1; install'):
        load_weights(path)


@pytest.mark.parametrize(
    'wrong, right, place, said',
    [
        ('format: 1', 'format: 2', 1, 'reads format 1; install a newer'),
        ('name: every-kind', 'name: Every Kind', 2, 'a short word'),
        ('kind: max_pool', 'kind: pool', 5, "kind 'pool' is unknown"),
        ('stride: 8', 'stride: 3', 15, 'never meet'),
        ('stride: 8, width: 12', 'stride: 8, width: 13', 15, 'cannot be added'),
        ('stride: 8', 'stride: 0', 6, 'stride 0; 1 to 16'),
        ('act: none', 'act: tanh', 7, "act 'tanh'; one of relu, none"),
        ('kind: wide_residual, stride: 2', 'kind: wide_residual, stride: 16', 9, 'leaves nothing'),
        ('expansion: 0.5', 'expansion: much', 9, "expansion 'much'; a number"),
        ('blocks: 2, expansion', 'blocks: 1.5, expansion', 9, 'a whole number'),
        ('stride: 2, width: 12, blocks: 2}', 'stride: 2, blocks: 2}', 8, 'width is missing'),
        ('from: stem,', 'from: last,', 6, "reads 'last', which is none of the layers before it"),
        ('coarse, reduction]', 'coarse]', 6, 'nothing reads layer reduction'),
        ('merge: concat', 'merge: product', 16, "merge 'product'"),
        ('name: pooled', 'name: pool', 13, 'a second layer is named pool'),
        ('name: pooled', 'name: head', 13, "named 'head'"),
        ('kind: refine, width', 'kind: refine, widht', 17, 'refine has no widht; it has width'),
        ('stride: 2, width: 16}', 'width: 16}', 17, 'works at 1/2'),
        ('{name: pool,', '{name: pool', 5, 'not YAML'),
    ],
)
def test_refused_with_the_place(tmp_path, wrong, right, place, said):
    path = tmp_path / 'design.yaml'
    assert wrong in EVERY_KIND
    path.write_text(EVERY_KIND.replace(wrong, right))
    with pytest.raises(DesignError, match=said) as refused:
        read_design(path)
    assert str(refused.value).startswith(f'{path}:{place}:')


def test_unknown_names(tmp_path):
    with pytest.raises(NetworkError, match=r"'edgy' is unknown: there are edgesegnet, .* design"):
        build_network('edgy', 11)
    with pytest.raises(DesignError, match='no such design file'):
        build_network(str(tmp_path / 'none.yaml'), 11)

"""Designs build what they describe, and what cannot be built is refused with its place."""

import json

import pytest
import torch
from safetensors import safe_open
from test_network import with_lively_norms
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.cost import gmac, parameters
from edgesegnet_ros.network.design import DesignError
from edgesegnet_ros.network.design_file import design_of, read_design
from edgesegnet_ros.network.fold import fold_norms
from edgesegnet_ros.network.layer_kinds import KINDS
from edgesegnet_ros.network.peers.ddrnet import DDRNet23Slim
from edgesegnet_ros.network.peers.fast_scnn import FastSCNN
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
  - {name: grids, kind: grid_pyramid, width: 12}
  - {name: pooled, kind: pooled}
  - {name: coarse, kind: norm}
  - {name: all, kind: merge, from: [basic, wide, narrow, coarse, reduction], act: relu}
  - {name: wider, kind: conv, from: [all, stem], merge: first, width: 8}
  - {name: joined, kind: conv, from: [wider, stem], merge: concat, stride: 2, width: 16}
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


def _parts_of_ddrnet(peer):
    """What of the hand-written DDRNet-23-slim each layer of the design computes."""
    return {
        'stem': peer.stem[:3],
        'second': peer.stem[3:],
        **{name: getattr(peer, name) for name in ('layer1', 'layer2')},
        **{
            f'{side}{n}': getattr(peer, f'{side}{n}')
            for side in ('high', 'low')
            for n in (3, 4, 5)
        },
        'down3': peer.high_to_low3,
        'up3': peer.low_to_high3,
        'down4': peer.high_to_low4[0],
        'down4_again': peer.high_to_low4[1],
        'up4': peer.low_to_high4,
        'scene': peer.pyramid,
        'both': peer.before_head[0],
        'last': nn.ModuleList([peer.before_head[2], peer.before_head[3]]),
        'head': peer.head,
    }


def _parts_of_fast_scnn(peer):
    down, context = peer.learning_to_downsample, peer.global_features
    return {
        **dict(zip(('stem', 'second', 'fine'), down, strict=True)),
        **dict(zip(('stage1', 'stage2', 'stage3', 'scene'), context, strict=True)),
        'coarse': peer.refine,
        'beside': peer.high,
        'last': peer.before_head[:2],
        'head': peer.head,
    }


def _copy(source, target):
    """The values of the convolutions and norms of one module, in the order of their definition."""
    kinds = (nn.Conv2d, nn.BatchNorm2d)
    pairs = ([m for m in module.modules() if isinstance(m, kinds)] for module in (source, target))
    count = 0
    for ours, theirs in zip(*pairs, strict=True):
        assert type(ours) is type(theirs) or isinstance(theirs, nn.Conv2d)
        values = ours.state_dict()
        if 'bias' in theirs.state_dict():
            values.setdefault('bias', torch.zeros_like(theirs.bias))
        missing, unknown = theirs.load_state_dict(values, strict=False)
        assert not unknown and all(name.startswith('norm.') for name in missing)
        count += sum(value.numel() for value in ours.parameters())
    return count


@pytest.mark.parametrize(
    'name, build, parts_of, last',
    [
        ('ddrnet-design', DDRNet23Slim, _parts_of_ddrnet, 'head'),
        ('fast-scnn-design', FastSCNN, _parts_of_fast_scnn, 'head'),
    ],
)
def test_peers_as_designs_compute_what_the_hand_written_ones_do(name, build, parts_of, last):
    torch.manual_seed(0)
    peer = with_lively_norms(build(11))
    network = build_network(name, 11, training_norms=True).eval()
    copied = sum(_copy(part, getattr(network, to)) for to, part in parts_of(peer).items())
    assert copied == parameters(peer)
    # A design's head works at 1/8 as theirs do, and is enlarged by 2, then by 4; theirs by 8.
    seen = []
    getattr(peer, last).register_forward_hook(lambda _, __, output: seen.append(output))
    image = torch.randn(1, 3, 96, 128)
    with torch.inference_mode():
        peer(image)
        logits = network.head(network.features(image))
        assert logits.shape == seen[0].shape == (1, 11, 12, 16)
        assert (logits - seen[0]).abs().max() < 1e-5 * seen[0].abs().max()
        deployed = inference_form(network)(image)
        assert (deployed - upsample(seen[0], 2)).abs().max() < 1e-4 * seen[0].abs().max()


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
        ('stride: 8', 'stride: 3', 16, 'never meet'),
        ('stride: 8, width: 12', 'stride: 8, width: 13', 16, 'cannot be added'),
        ('stride: 8', 'stride: 0', 6, 'stride 0; 1 to 16'),
        ('act: none', 'act: tanh', 7, "act 'tanh'; one of relu, none"),
        ('kind: wide_residual, stride: 2', 'kind: wide_residual, stride: 16', 9, 'leaves nothing'),
        ('expansion: 0.5', 'expansion: much', 9, "expansion 'much'; a number"),
        ('blocks: 2, expansion', 'blocks: 1.5, expansion', 9, 'a whole number'),
        ('stride: 2, width: 12, blocks: 2}', 'stride: 2, blocks: 2}', 8, 'width is missing'),
        ('from: stem,', 'from: last,', 6, "reads 'last', which is none of the layers before it"),
        ('coarse, reduction]', 'coarse]', 6, 'nothing reads layer reduction'),
        ('merge: concat', 'merge: product', 18, "merge 'product'"),
        ('name: pooled', 'name: pool', 14, 'a second layer is named pool'),
        ('name: pooled', 'name: head', 14, "named 'head'"),
        ('kind: refine, width', 'kind: refine, widht', 19, 'refine has no widht; it has width'),
        ('stride: 2, width: 16}', 'width: 16}', 19, 'works at 1/2'),
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
    with pytest.raises(
        NetworkError, match=r"'edgy' is unknown: there are .*edgesegnet, .* design"
    ):
        build_network('edgy', 11)
    with pytest.raises(DesignError, match='no such design file'):
        build_network(str(tmp_path / 'none.yaml'), 11)

"""The network is Fig. 1's, to the parameter, and its inference form computes the same."""

import copy

import pytest
import torch

from edgesegnet_ros.network import HEAD_STRIDE
from edgesegnet_ros.network.fold import fold_norms
from edgesegnet_ros.network.registry import build_network, inference_form
from edgesegnet_ros.network.upsampling import upsample

# Operation, output channels, stride of its output against the input: DESIGN's table of Fig. 1.
TABLE = {
    'stem': (13, 2),
    'pool': (13, 4),
    'reduction': (193, 16),
    'bottleneck': (193, 8),
    'refine1': (193, 8),
    'refine2': (217, 8),
    'refine3': (217, 4),
    'refine4': (217, 4),
    'head': (32, 1),
}


def with_lively_norms(model):
    """Statistics and affine parameters as after training, not 0 and 1."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0.0, 0.3)
            torch.nn.init.normal_(module.running_mean, 0.0, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model.eval()


@pytest.mark.parametrize('size', [(256, 256), (368, 480)])
def test_widths_strides_and_shapes(size):
    model = build_network('edgesegnet', 32).eval()
    seen = {}
    for name, child in model.named_children():
        child.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out.shape}))
    with torch.inference_mode():
        model(torch.zeros(1, 3, *size))
    assert seen == {
        name: (1, width, size[0] // stride, size[1] // stride)
        for name, (width, stride) in TABLE.items()
    }


def test_parameter_count_is_the_papers():
    assert sum(p.numel() for p in build_network('edgesegnet', 32).parameters()) == 4_327_920


def test_strides_of_the_convolutions():
    model = build_network('edgesegnet', 32)
    strided = {
        n: m.stride[0]
        for n, m in model.named_modules()
        if isinstance(m, torch.nn.Conv2d) and m.stride[0] != 1
    }
    assert strided == {
        'stem': 2,
        'reduction.reduce': 8,
        'bottleneck.conv2': 2,
        'bottleneck.shortcut': 2,
    }
    assert model.stem.kernel_size == (7, 7)


def test_only_the_residual_bottleneck_is_normalised():
    names = [
        n
        for n, m in build_network('edgesegnet', 32).named_modules()
        if isinstance(m, torch.nn.BatchNorm2d)
    ]
    assert names == ['bottleneck.norm', 'bottleneck.norm1', 'bottleneck.norm2']


def test_coarse_logits_are_the_forward_before_the_last_upsampling():
    torch.manual_seed(0)
    model = with_lively_norms(build_network('edgesegnet', 11))
    image = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        coarse = upsample(model.coarse_logits(image), HEAD_STRIDE)
        torch.testing.assert_close(coarse, model(image), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('size', [(256, 256), (368, 480)])
@pytest.mark.parametrize('training_norms', [False, True])
def test_inference_form_equals_training_form(size, training_norms):
    torch.manual_seed(1)
    model = with_lively_norms(build_network('edgesegnet', 11, training_norms))
    image = torch.randn(1, 3, *size)
    with torch.inference_mode():
        expected = model(image)
        scale = expected.abs().max()
        folded = upsample(inference_form(model)(image), HEAD_STRIDE)
    assert (folded - expected).abs().max() / scale < 1e-4


def test_folded_training_norms_leave_the_papers_parameters():
    torch.manual_seed(2)
    model = with_lively_norms(build_network('edgesegnet', 32, training_norms=True))
    before = copy.deepcopy(model.state_dict())
    folded = fold_norms(model)
    assert sum(p.numel() for p in folded.parameters()) == 4_327_920
    assert folded.state_dict().keys() == build_network('edgesegnet', 32).state_dict().keys()
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(folded(image), model(image), atol=1e-4, rtol=1e-4)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())

"""The inference form as an OpenVINO graph: bytes in, class ids out.

`label_graph` takes a picture as it lies in memory, (1, H, W, 3) uint8 RGB, and gives `labels`,
(1, H, W) uint8, and `logits`, (1, classes, H/4, W/4) float32. `confidence_graph` goes on from
those logits; it is a graph of its own, so that nobody pays for a confidence that is not asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from openvino import Model, Node, Type
from openvino import opset13 as ops

from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.network.edgesegnet import HEAD_STRIDE

if TYPE_CHECKING:
    import torch
    from torch import nn

LABELS, LOGITS, CONFIDENCE = 'labels', 'logits', 'confidence'


def _values(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _conv(inputs: Node, conv: nn.Conv2d, name: str, relu: bool = False) -> Node:
    padding = list(conv.padding)
    node = ops.convolution(
        inputs, ops.constant(_values(conv.weight)), list(conv.stride), padding, padding, [1, 1]
    )
    node.set_friendly_name(name)
    node = ops.add(node, ops.constant(_values(conv.bias).reshape(1, -1, 1, 1)))
    return ops.relu(node) if relu else node


def _upsample(inputs: Node, factor: int) -> Node:
    height, width = (factor * inputs.get_output_partial_shape(0)[axis].get_length()
                     for axis in (2, 3))  # fmt: skip
    return ops.interpolate(
        inputs, ops.constant(np.array([height, width])), 'linear_onnx', 'sizes',
        coordinate_transformation_mode='half_pixel', axes=ops.constant(np.array([2, 3])),
    )  # fmt: skip


def _refine(inputs: Node, module: nn.Module, name: str) -> Node:
    residual = _conv(inputs, module.mix, f'{name}.mix', relu=True)
    residual = _conv(residual, module.conv1, f'{name}.conv1', relu=True)
    residual = _conv(residual, module.conv2, f'{name}.conv2')
    return ops.add(_conv(inputs, module.project, f'{name}.project'), residual)


def _logits(image: Node, network: nn.Module) -> Node:
    """`EdgeSegNetInference.forward`, step by step."""
    y = _conv(image, network.stem, 'stem')
    z = ops.max_pool(y, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
    reduced = _conv(y, network.reduce1, 'reduce1', relu=True)
    reduced = _conv(reduced, network.reduce2, 'reduce2', relu=True)
    reduced = _conv(reduced, network.reduce3, 'reduce3')
    active = ops.multiply(z, ops.constant(_values(network.scale)))
    active = ops.relu(ops.add(active, ops.constant(_values(network.shift))))
    inner = _conv(active, network.bottle1, 'bottle1', relu=True)
    inner = _conv(inner, network.bottle2, 'bottle2', relu=True)
    middle = ops.add(_conv(inner, network.bottle3, 'bottle3'),
                     _conv(active, network.shortcut, 'shortcut'))  # fmt: skip
    middle = ops.add(_refine(middle, network.refine1, 'refine1'), _upsample(reduced, 2))
    middle = _refine(middle, network.refine2, 'refine2')
    return _refine(ops.add(_upsample(middle, 2), _refine(z, network.refine3, 'refine3')),
                   network.refine4, 'refine4')  # fmt: skip


def label_graph(recipe: Recipe) -> Model:
    """Picture to labels and coarse logits, fp32 throughout."""
    height, width = recipe.input_size
    picture = ops.parameter([1, height, width, 3], Type.u8, 'picture')
    scale, shift = (values.reshape(1, 3, 1, 1) for values in recipe.normalisation())
    pixels = ops.convert(ops.transpose(picture, ops.constant(np.array([0, 3, 1, 2]))), 'f32')
    pixels = ops.add(ops.multiply(pixels, ops.constant(scale)), ops.constant(shift))
    logits = _logits(pixels, recipe.network())
    best = ops.topk(
        _upsample(logits, HEAD_STRIDE), ops.constant(np.int32(1)), 1, 'max', 'none', 'i32'
    )
    labels = ops.convert(ops.squeeze(best.output(1), ops.constant(np.array([1]))), 'u8')
    return Model([_named(labels, LABELS), _named(logits, LOGITS)], [picture], 'edgesegnet')


def confidence_graph(recipe: Recipe) -> Model:
    """Coarse logits to the winner's probability, (1, H, W) uint8."""
    height, width = (size // HEAD_STRIDE for size in recipe.input_size)
    logits = ops.parameter([1, recipe.info.num_classes, height, width], Type.f32, LOGITS)
    scaled = ops.multiply(logits, ops.constant(np.float32(1.0 / recipe.info.temperature)))
    scaled = _upsample(scaled, HEAD_STRIDE)
    # The winner's probability is 1 / sum(exp(logit - the winner's)).
    axis = ops.constant(np.array([1]))
    above = ops.subtract(scaled, ops.reduce_max(scaled, axis, keep_dims=True))
    share = ops.divide(ops.constant(np.float32(255.0)), ops.reduce_sum(ops.exp(above), axis))
    rounded = ops.convert(ops.round(share, 'half_to_even'), 'u8')
    return Model([_named(rounded, CONFIDENCE)], [logits], 'confidence')


def _named(node: Node, name: str) -> Node:
    node.output(0).get_tensor().set_names({name})
    return node

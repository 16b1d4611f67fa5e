"""The inference form as an OpenVINO graph: bytes in, class ids out.

`with_bytes` makes a graph that takes an image as in memory, (1, H, W, 3) uint8 RGB, and gives
`labels`, (1, H, W) uint8, and `logits`, (1, classes, h, w) float32. `confidence_graph` goes on
from those logits; it is a graph of its own, so that nobody pays for a confidence that is not asked
for.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np
import openvino
import torch
from openvino import Model, Node, Type
from openvino import opset13 as ops

from edgesegnet_ros.engines.recipe import Recipe

LABELS, LOGITS, CONFIDENCE = 'labels', 'logits', 'confidence'


def network_graph(recipe: Recipe) -> Model:
    """The network alone: (1, 3, H, W) normalised floats to coarse logits."""
    # At the input size, which the cells that Fast-SCNN averages depend on.
    example = torch.zeros(1, 3, *recipe.input_size)
    traced = torch.jit.trace(recipe.network(), example, check_trace=False)
    shape = [1, 3, *recipe.input_size]
    return openvino.convert_model(traced, input=[(shape, Type.f32)])


def with_bytes(network: Model, recipe: Recipe) -> Model:
    """From an image to labels and coarse logits.

    Args:
        network: Graph of `network_graph`, quantised or not; it is consumed.
        recipe: Gives the normalisation.
    """
    height, width = recipe.input_size
    image = ops.parameter([1, height, width, 3], Type.u8, 'picture')
    scale, shift = (values.reshape(1, 3, 1, 1) for values in recipe.normalisation())
    pixels = ops.convert(ops.transpose(image, ops.constant(np.array([0, 3, 1, 2]))), 'f32')
    pixels = ops.add(ops.multiply(pixels, ops.constant(scale)), ops.constant(shift))
    for consumer in network.input(0).get_target_inputs():
        consumer.replace_source_output(pixels.output(0))
    logits = network.output(0).get_node().input_value(0).get_node()
    best = ops.topk(_enlarged(logits, recipe), ops.constant(np.int32(1)), 1, 'max', 'none', 'i32')
    labels = ops.convert(ops.squeeze(best.output(1), ops.constant(np.array([1]))), 'u8')
    return Model([_named(labels, LABELS), _named(logits, LOGITS)], [image], 'edgesegnet')


def confidence_graph(recipe: Recipe, shape: Tuple[int, ...]) -> Model:
    """From logits of a shape to the probability of the class, (1, H, W) uint8."""
    logits = ops.parameter(list(shape), Type.f32, LOGITS)
    scaled = ops.multiply(logits, ops.constant(np.float32(1.0 / recipe.info.temperature)))
    scaled = _enlarged(scaled, recipe)
    # The winner's probability is 1 / sum(exp(logit - the winner's)).
    axis = ops.constant(np.array([1]))
    above = ops.subtract(scaled, ops.reduce_max(scaled, axis, keep_dims=True))
    share = ops.divide(ops.constant(np.float32(255.0)), ops.reduce_sum(ops.exp(above), axis))
    rounded = ops.convert(ops.round(share, 'half_to_even'), 'u8')
    return Model([_named(rounded, CONFIDENCE)], [logits], 'confidence')


def _enlarged(logits: Node, recipe: Recipe) -> Node:
    """Enlarge bilinearly to the input's size, as `network.upsampling.upsample` does."""
    size = list(recipe.input_size)
    return ops.interpolate(
        logits,
        ops.constant(np.array(size)),
        'linear_onnx',
        'sizes',
        coordinate_transformation_mode='half_pixel',
        axes=ops.constant(np.array([2, 3])),
    )


def _named(node: Node, name: str) -> Node:
    node.output(0).get_tensor().set_names({name})
    return node

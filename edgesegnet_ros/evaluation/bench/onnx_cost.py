"""Parameters and multiply-accumulates of an ONNX file, counted in its graph."""

from __future__ import annotations

import math

import onnx
from onnx import numpy_helper, shape_inference

from edgesegnet_ros.engines.onnx_wrapping import wrapped
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.evaluation.bench.work import Work, taps


def onnx_cost(recipe: Recipe) -> tuple[int, Work]:
    """Parameters, and multiply-accumulates of its convolutions and matrix products.

    Args:
        recipe: Recipe of an ONNX file.
    """
    model = shape_inference.infer_shapes(wrapped(recipe), data_prop=True)
    graph = model.graph
    shapes = {one.name: tuple(one.dims) for one in graph.initializer}
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    weights = [one for one in graph.initializer if one.data_type in floats]
    for value in (*graph.value_info, *graph.input, *graph.output):
        sides = value.type.tensor_type.shape.dim
        shapes.setdefault(value.name, tuple(side.dim_value for side in sides))
    for node in graph.node:
        if node.op_type == 'Constant' and node.attribute[0].name == 'value':
            shapes[node.output[0]] = numpy_helper.to_array(node.attribute[0].t).shape
    products = sum(_products(node, shapes) for node in graph.node)
    outside = sum(_on_padding(node, shapes) for node in graph.node if node.op_type == 'Conv')
    # The normalisation around the network is not part of it.
    parameters = sum(math.prod(one.dims) for one in weights if not one.name.startswith('added/'))
    return parameters, Work(products / 1e9, (products - outside) / 1e9)


def _products(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """Multiply-accumulates of a node; 0 if it has none, or its shapes are unknown."""
    given = [shapes.get(name, ()) for name in node.input]
    output = shapes.get(node.output[0], ())
    if node.op_type == 'Conv' and len(given) > 1:
        return math.prod(output) * math.prod(given[1][1:])
    if node.op_type == 'ConvTranspose' and len(given) > 1:
        return math.prod(given[0]) * math.prod(given[1][1:])
    if node.op_type in ('MatMul', 'Gemm') and given[0]:
        transposed = any(one.name == 'transA' and one.i for one in node.attribute)
        return math.prod(output) * given[0][0 if transposed else -1]
    return 0


def _on_padding(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """Multiply-accumulates of a convolution with padding; 0 if its shapes are unknown."""
    image, weights = (shapes.get(name, ()) for name in node.input[:2])
    output = shapes.get(node.output[0], ())
    if len(image) < 3 or len(output) != len(image) or len(weights) != len(image):
        return 0
    given = {one.name: list(one.ints) for one in node.attribute if one.ints}
    axes = len(image) - 2
    product = output[0] * output[1] * weights[1]
    for axis in range(axes):
        product *= taps(
            output[2 + axis],
            image[2 + axis],
            weights[2 + axis],
            given.get('strides', [1] * axes)[axis],
            given.get('pads', [0] * axes)[axis],
            given.get('dilations', [1] * axes)[axis],
        )
    return _products(node, shapes) - product

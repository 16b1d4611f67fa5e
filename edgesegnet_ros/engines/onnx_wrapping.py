"""Wraps an ONNX network of other origin in our interface: bytes in, class ids out.

What is built around it is what `onnx_graph` has in its file: input `picture` (1, H, W, 3) uint8
RGB, outputs `labels` (1, H, W) uint8 and, for a network that gives logits, `logits`
(1, classes, h, w) float32. So every back end that runs our ONNX file runs this one.
"""

from __future__ import annotations

from typing import Any, List

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesegnet_ros.engines.onnx_graph import LABELS, LOGITS, PICTURE
from edgesegnet_ros.engines.onnx_model import OnnxModel, load_onnx
from edgesegnet_ros.engines.recipe import NEVER, Recipe
from edgesegnet_ros.engines.request import EngineError

_NETWORK, _ADDED = 'network/', 'added/'
"""Prefixes of the names in the network, and of those around it."""


class _Nodes:
    """Nodes in a row, each with one output, and the constants that they read."""

    def __init__(self, prefix: str) -> None:
        self.nodes: List[onnx.NodeProto] = []
        self.constants: List[onnx.TensorProto] = []
        self._prefix = prefix

    def add(self, kind: str, *inputs: str, out: str = '', **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        name = f'{self._prefix}{kind}{len(self.nodes)}'
        self.nodes.append(
            helper.make_node(kind, list(inputs), [out or name], name=name, **attributes)
        )
        return out or name

    def constant(self, values: Any, dtype: Any) -> str:
        """Add a constant; returns its name."""
        name = f'{self._prefix}constant{len(self.constants)}'
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name


def wrapped(recipe: Recipe) -> onnx.ModelProto:
    """The content of the file that a back end loads.

    Raises:
        EngineError: ONNX refuses what comes of it.
    """
    model = recipe.onnx
    assert model is not None
    proto = onnx.compose.add_prefix(load_onnx(model.path), _NETWORK)
    graph = proto.graph
    before, after = _Nodes(_ADDED + 'before/'), _Nodes(_ADDED + 'after/')
    _write_input(before, model, recipe)
    height, width = recipe.input_size
    outputs = [helper.make_tensor_value_info(LABELS, TensorProto.UINT8, [1, height, width])]
    if model.gives == 'labels':
        shape = after.constant([1, height, width], np.int64)
        ids = after.add('Reshape', _NETWORK + model.output_name, shape)
        after.add('Cast', ids, out=LABELS, to=TensorProto.UINT8)
    else:
        _write_labels(after, model, recipe)
        sides = [1, recipe.info.num_classes, None, None]
        outputs.append(helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, sides))
    nodes = [*before.nodes, *graph.node, *after.nodes]
    kept = [one for one in graph.input if one.name != _NETWORK + model.input_name]
    image = helper.make_tensor_value_info(PICTURE, TensorProto.UINT8, [1, height, width, 3])
    # Shapes in between were noted for open sizes; each back end infers its own.
    for field in (graph.node, graph.input, graph.output, graph.value_info):
        del field[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*before.constants, *after.constants])
    graph.input.extend([image, *kept])
    graph.output.extend(outputs)
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        reason = (str(error).splitlines() or [''])[0]
        raise EngineError(
            f'{model.path}: ONNX refuses it with its input and output: {reason}'
        ) from None
    return proto


def _write_input(nodes: _Nodes, model: OnnxModel, recipe: Recipe) -> None:
    """From the bytes of an image to the network's input."""
    pixels = PICTURE
    if model.bgr:
        order = nodes.constant([2, 1, 0], np.int64)
        pixels = nodes.add('Gather', pixels, order, axis=3)
    if model.dtype != 'uint8' or model.mean is not None:
        pixels = nodes.add('Cast', pixels, to=TensorProto.FLOAT)
    if model.mean is not None:
        scale, shift = recipe.normalisation()
        if model.bgr:
            scale, shift = scale[::-1].copy(), shift[::-1].copy()
        pixels = nodes.add('Mul', pixels, nodes.constant(scale, np.float32))
        pixels = nodes.add('Add', pixels, nodes.constant(shift, np.float32))
    if model.layout == 'nchw':
        pixels = nodes.add('Transpose', pixels, perm=[0, 3, 1, 2])
    kind = {'float16': TensorProto.FLOAT16, 'float32': TensorProto.FLOAT}.get(model.dtype)
    out = _NETWORK + model.input_name
    if kind is None:
        nodes.add('Identity', pixels, out=out)
    else:
        nodes.add('Cast', pixels, out=out, to=kind)


def _write_labels(nodes: _Nodes, model: OnnxModel, recipe: Recipe) -> None:
    """From logits of any size to class ids at the size of the image."""
    logits = nodes.add('Cast', _NETWORK + model.output_name, to=TensorProto.FLOAT)
    count = recipe.info.num_classes
    never = np.zeros((1, count, 1, 1), np.float32)
    never[0, list(recipe.classes.ignored)] = NEVER
    logits = nodes.add('Add', logits, nodes.constant(never, np.float32), out=LOGITS)
    sizes = nodes.constant([1, count, *recipe.input_size], np.int64)
    large = nodes.add('Resize', logits, '', '', sizes, mode='linear')  # at pixel centres
    ids = nodes.add('ArgMax', large, axis=1, keepdims=0)
    nodes.add('Cast', ids, out=LABELS, to=TensorProto.UINT8)

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

from edgesegnet_ros.engines.onnx_model import OnnxModel, load_onnx
from edgesegnet_ros.engines.onnx_names import LABELS, LOGITS, PICTURE, PIXELS
from edgesegnet_ros.engines.recipe import NEVER, Recipe
from edgesegnet_ros.engines.request import EngineError

_NETWORK, _ADDED = 'network/', 'added/'
"""Prefixes of the names in the network, and of those around it."""
_CERTAIN = 100.0
"""A logit beside which those of 0 have no share in the probability."""
_MOVES = {'Identity', 'Transpose', 'Gather', 'Slice', 'Reshape', 'Squeeze', 'Unsqueeze', 'Concat'}
"""Operators that do the same with numbers of any type."""


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
    image = helper.make_tensor_value_info(PICTURE, TensorProto.UINT8, [1, height, width, 3])
    return _between(proto, model, before, after, image, outputs)


def from_pixels(recipe: Recipe) -> onnx.ModelProto:
    """The network between normalised floats and logits, which is how TensorRT is used.

    Returns:
        A file of (1, 3, H, W) float32 `pixels`, RGB normalised as `recipe.normalisation` does it,
        and (1, classes, h, w) float32 `logits`. A network that gives class ids gets logits that
        are certain of them.

    Raises:
        EngineError: ONNX refuses what comes of it, or the network takes bytes and computes with
            them before they become floats.
    """
    model = recipe.onnx
    assert model is not None
    proto = onnx.compose.add_prefix(load_onnx(model.path), _NETWORK)
    before, after = _Nodes(_ADDED + 'before/'), _Nodes(_ADDED + 'after/')
    height, width = recipe.input_size
    pixels = PIXELS
    if model.bgr:
        pixels = before.add('Gather', pixels, before.constant([2, 1, 0], np.int64), axis=1)
    if model.mean is None:  # the graph normalises whole numbers from 0 to 255
        pixels = before.add('Mul', pixels, before.constant(255.0, np.float32))
        pixels = before.add('Round', pixels)
    if model.layout == 'nhwc':
        pixels = before.add('Transpose', pixels, perm=[0, 2, 3, 1])
    out = _NETWORK + model.input_name
    if model.dtype == 'float16':
        before.add('Cast', pixels, out=out, to=TensorProto.FLOAT16)
    else:
        # TensorRT has no bytes within a graph: whole numbers in floats take their place.
        if model.dtype == 'uint8':
            _refuse_arithmetic_on_bytes(proto.graph, out, model)
        before.add('Identity', pixels, out=out)
    count = recipe.info.num_classes
    never = np.zeros((1, count, 1, 1), np.float32)
    never[0, list(recipe.classes.ignored)] = NEVER
    found = after.add('Cast', _NETWORK + model.output_name, to=TensorProto.FLOAT)
    if model.gives == 'labels':
        ids = after.add('Reshape', found, after.constant([1, 1, height, width], np.int64))
        known = after.constant(np.arange(count).reshape(1, count, 1, 1), np.float32)
        same = after.add('Cast', after.add('Equal', ids, known), to=TensorProto.FLOAT)
        found = after.add('Mul', same, after.constant(_CERTAIN, np.float32))
    after.add('Add', found, after.constant(never, np.float32), out=LOGITS)
    given = helper.make_tensor_value_info(PIXELS, TensorProto.FLOAT, [1, 3, height, width])
    logits = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, [1, count, None, None])
    whole = _between(proto, model, before, after, given, [logits])
    return onnx.shape_inference.infer_shapes(whole, data_prop=True)


def _refuse_arithmetic_on_bytes(graph: onnx.GraphProto, name: str, model: OnnxModel) -> None:
    """Refuse a network in which bytes meet more than operators that move or cast them."""
    in_bytes = {name}
    for node in graph.node:  # in the order in which they are computed
        if not in_bytes & set(node.input) or node.op_type == 'Cast':
            continue
        if node.op_type not in _MOVES:
            raise EngineError(
                f'{model.path}: it computes with bytes ({node.op_type}), which TensorRT cannot; '
                'set engine to onnxruntime, or export it with an input of floats'
            )
        in_bytes |= set(node.output)


def _between(
    proto: onnx.ModelProto,
    model: OnnxModel,
    before: _Nodes,
    after: _Nodes,
    given: onnx.ValueInfoProto,
    outputs: List[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    """The network with nodes before and after it, in place of its own input and outputs.

    Raises:
        EngineError: ONNX refuses what comes of it.
    """
    graph = proto.graph
    nodes = [*before.nodes, *graph.node, *after.nodes]
    kept = [one for one in graph.input if one.name != _NETWORK + model.input_name]
    # Shapes in between were noted for open sizes; each back end infers its own.
    for field in (graph.node, graph.input, graph.output, graph.value_info):
        del field[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*before.constants, *after.constants])
    graph.input.extend([given, *kept])
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

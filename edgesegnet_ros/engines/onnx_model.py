"""Segmentation networks of other origin, as ONNX files: their inputs and outputs.

The graph says a part of it. The rest stands in a YAML file of the same name beside it
(`my.yaml` for `my.onnx`), or in the file's metadata as `edgesegnet export` writes them::

    mean: [0.485, 0.456, 0.406]  # of red, green and blue in 0-1
    std: [0.229, 0.224, 0.225]
    channels: rgb                # or bgr
    input_size: [512, 512]       # where the graph leaves height and width open
    resize_mode: stretch         # or letterbox, which keeps the aspect
    classes: my_classes.yaml     # a class file, relative to this file, or a shipped one's name
    output: logits               # the graph's output, where it has several
    gives: logits                # or labels
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, NoReturn, Optional, Tuple, cast

from edgesegnet_ros import shipped
from edgesegnet_ros.data.geometry import RESIZE_MODES
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.extras import install
from edgesegnet_ros.lined_yaml import Lines, read_lines
from edgesegnet_ros.network.normalisation import Channels

if TYPE_CHECKING:
    import onnx

SUFFIX = '.onnx'
KEYS = ('mean', 'std', 'channels', 'input_size', 'resize_mode', 'classes', 'output', 'gives')
_OPSET = 11
"""The oldest opset in which Resize samples at pixel centres."""


class OnnxModel(NamedTuple):
    """The description of an ONNX file.

    Attributes:
        path: The file.
        sha256: Of the file and of what is said about it here.
        input_name: The graph's input.
        dtype: Number format of the input: uint8, float32 or float16.
        layout: nchw or nhwc.
        input_size: Height and width; None where the graph takes any and nothing names them.
        free_size: Whether the graph takes other sizes, too.
        mean: Subtracted from red, green and blue in 0-1; None where the graph normalises.
        std: Divides the difference; None where the graph normalises.
        bgr: Whether it takes blue first.
        output_name: The output that is used.
        gives: logits, or labels.
        num_classes: Channels of the logits; None for labels.
        classes: Class file; None where nothing names it.
        temperature: Divides the logits before a softmax is read as a confidence.
        resize_mode: How images are resized to the input size: stretch or letterbox.
        missing: What must be added before it can run, each with its key.
    """

    path: Path
    sha256: str
    input_name: str
    dtype: str
    layout: str
    input_size: Optional[Tuple[int, int]]
    free_size: bool
    mean: Optional[Channels]
    std: Optional[Channels]
    bgr: bool
    output_name: str
    gives: str
    num_classes: Optional[int]
    classes: Optional[str]
    temperature: float
    resize_mode: str = 'stretch'
    missing: Tuple[str, ...] = ()


def read_onnx(path: Path) -> OnnxModel:
    """Read an ONNX file and the YAML file beside it.

    Raises:
        EngineError: It is no segmentation network of one image; what is only missing is in
            `OnnxModel.missing`.
    """
    graph_file = load_onnx(path)
    graph = graph_file.graph
    said, source = _said(path, graph_file)
    refuse = _Refusal(path)
    versions = {one.domain or 'ai.onnx': one.version for one in graph_file.opset_import}
    opset = versions.get('ai.onnx', 0)
    if opset < _OPSET:
        refuse(f'opset {opset}: export it with opset {_OPSET} or newer')
    constants = {one.name for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in constants]
    if len(inputs) != 1:
        refuse(f'{len(inputs)} inputs, where one image is expected')
    shape, dtype = _tensor(inputs[0], refuse)
    if len(shape) != 4 or shape[0] not in (None, 1):
        refuse(
            f'its input {inputs[0].name} has the shape {_shown(shape)}, not that of one image of '
            'rank 4'
        )
    if dtype not in ('uint8', 'float32', 'float16'):
        refuse(f'its input is {dtype}, not uint8 or a float')
    if shape[1] == 3 and shape[3] != 3:
        layout, sides = 'nchw', shape[2:]
    elif shape[3] == 3 and shape[1] != 3:
        layout, sides = 'nhwc', shape[1:3]
    else:
        refuse(f'its input has the shape {_shown(shape)}, which does not have 3 channels')
    missing: List[str] = []
    fixed = cast(Tuple[int, int], tuple(sides)) if None not in sides else None
    asked = _size(said.get('input_size'), refuse)
    if fixed and asked and asked != fixed:
        refuse(f'{source} says input_size {_shown(asked)}, but the graph takes {_shown(fixed)}')
    mean, std = (_channels(said.get(name), name, refuse) for name in ('mean', 'std'))
    if (mean is None) != (std is None):
        refuse(f'{source} gives only one of mean and std')
    in_graph = 'normalisation' in said or (dtype == 'uint8' and mean is None)
    if in_graph:
        mean = std = None
    elif mean is None:
        missing.append('mean and std: how bytes become the floats that it takes')
    channels = said.get('channels', 'rgb')
    if channels not in ('rgb', 'bgr'):
        refuse(f'{source} says channels {channels!r}: rgb or bgr')
    mode = said.get('resize_mode', 'stretch')
    if mode not in RESIZE_MODES:
        refuse(f'{source} says resize_mode {mode!r}: {" or ".join(RESIZE_MODES)}')
    name, gives, count = _output(graph, said, refuse)
    if gives == 'logits' and count is None:
        missing.append('gives: the graph does not say how many classes its logits have')
    classes = said.get('classes')
    if classes is None:
        missing.append('classes: what the ids mean (the node and the commands take --classes too)')
    digest = hashlib.sha256(path.read_bytes())
    digest.update(json.dumps(said, sort_keys=True, default=str).encode())
    return OnnxModel(
        path,
        digest.hexdigest(),
        inputs[0].name,
        dtype,
        layout,
        fixed or asked,
        fixed is None,
        mean,
        std,
        channels == 'bgr',
        name,
        gives,
        count,
        classes,
        float(said.get('temperature', 1.0)),
        mode,
        tuple(missing),
    )


def load_onnx(path: Path) -> onnx.ModelProto:
    """The content of the file.

    Raises:
        EngineError: It is missing, or no ONNX file, or onnx is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise EngineError(f'onnx is not installed: {install("onnx")}') from None
    if not path.is_file():
        raise EngineError(f'{path}: no such ONNX file')
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's and onnx's own classes
        reason = (str(error).splitlines() or [''])[0]
        raise EngineError(f'{path}: not a complete ONNX file ({reason})') from None
    if not model.graph.node:
        raise EngineError(f'{path}: not a complete ONNX file (its graph is empty)')
    return model


class _Refusal:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, reason: str) -> NoReturn:
        raise EngineError(f'{self._path}: {reason}')


def _said(path: Path, graph_file: onnx.ModelProto) -> Tuple[Dict[str, Any], str]:
    """The YAML file beside the model, or else its metadata; and the name of that source."""
    beside = path.with_suffix('.yaml')
    if beside.is_file():
        document = read_lines(beside, EngineError)
        if not isinstance(document, Lines):
            raise EngineError(f'{beside}:1: expected a mapping with some of {", ".join(KEYS)}')
        unknown = [key for key in document if key not in KEYS]
        if unknown:
            line = document.key_lines[unknown[0]]
            raise EngineError(f'{beside}:{line}: unknown key {unknown[0]!r}: {", ".join(KEYS)}')
        said = dict(document)
        classes = said.get('classes')
        if classes is not None:
            near = beside.parent / str(classes)
            said['classes'] = str(near) if near.is_file() else str(classes)
        return said, str(beside)
    properties = {one.key: one.value for one in graph_file.metadata_props}
    if 'weights_sha256' not in properties:
        return {}, str(path)
    # As `edgesegnet export` writes them; the class set is used if it is a shipped one.
    said = {'normalisation': True, 'temperature': float(properties.get('temperature', 1.0))}
    if 'resize_mode' in properties:
        said['resize_mode'] = properties['resize_mode']
    if properties.get('class_set') in shipped.names('classes'):
        said['classes'] = properties['class_set']
    return said, str(path)


def _tensor(value: Any, refuse: _Refusal) -> Tuple[Tuple[Optional[int], ...], str]:
    """Shape, with None for open dimensions, and dtype."""
    import onnx

    tensor = value.type.tensor_type
    if not tensor.HasField('shape'):
        refuse(f'the graph does not state the shape of {value.name}')
    shape = tuple(
        one.dim_value if one.HasField('dim_value') and one.dim_value > 0 else None
        for one in tensor.shape.dim
    )
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return shape, str(kind)


def _output(graph: Any, said: Dict[str, Any], refuse: _Refusal) -> Tuple[str, str, Optional[int]]:
    """Name of the output, its kind, and the number of classes."""
    outputs = {one.name: one for one in graph.output}
    name = said.get('output')
    if name is None:
        # Coarse logits tell the confidence, too; labels of the same graph do not.
        floats = [one for one in outputs if _tensor(outputs[one], refuse)[1].startswith('float')]
        name = next(iter(outputs)) if len(outputs) == 1 else 'logits'
        if name not in outputs and len(floats) == 1:
            name = floats[0]
    if name not in outputs:
        refuse(f'it has the outputs {", ".join(outputs)}: name one with the key output')
    shape, dtype = _tensor(outputs[name], refuse)
    gives = said.get('gives', 'logits' if dtype.startswith('float') else 'labels')
    if gives not in ('logits', 'labels'):
        refuse(f'gives {gives!r}: logits or labels')
    if gives == 'labels':
        return name, gives, None
    if len(shape) != 4 or shape[1] == 1:
        refuse(
            f'its output {name} has the shape {_shown(shape)}, not (1, classes, height, width); '
            'if it holds class ids, say gives: labels'
        )
    return name, gives, shape[1]


def _size(value: Any, refuse: _Refusal) -> Optional[Tuple[int, int]]:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(_is_side(one) for one in value):
        refuse(f'input_size {value!r}: height and width, such as [512, 512]')
    return value[0], value[1]


def _is_side(value: Any) -> bool:
    return type(value) is int and 0 < value <= 8192


def _channels(value: Any, name: str, refuse: _Refusal) -> Optional[Channels]:
    if value is None:
        return None
    numbers = isinstance(value, list) and len(value) == 3
    if not numbers or not all(type(one) in (int, float) for one in value):
        refuse(f'{name} {value!r}: three numbers, of red, green and blue in 0-1')
    if name == 'std' and min(value) <= 0:
        refuse(f'std {value!r}: three numbers above 0')
    if max(value) > 2:
        refuse(f'{name} {value!r}: for values in 0-1; divide by 255')
    return float(value[0]), float(value[1]), float(value[2])


def _shown(shape: Tuple[Optional[int], ...]) -> str:
    return 'x'.join('?' if one is None else str(one) for one in shape)

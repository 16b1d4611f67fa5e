"""A user's request for an engine, and the error for an engine that is not available.

This module imports no other module of this package's engines, and neither torch nor a back end,
so that launch files, command lines and the node's parameters can read the names cheaply.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

from edgesegnet_ros import shipped
from edgesegnet_ros.data.geometry import RESIZE_MODES
from edgesegnet_ros.errors import EdgeSegNetError

BACK_ENDS = {
    'tensorrt': 'edgesegnet_ros.engines.tensorrt',
    'openvino': 'edgesegnet_ros.engines.openvino',
    'torch': 'edgesegnet_ros.engines.pytorch',
    'onnxruntime': 'edgesegnet_ros.engines.onnxruntime',
}
"""The module of each back end, in the order in which `auto` tries them (by measured speed).

This is the only list of back ends: a new one is a module that defines `BACK_END`, and a line here.
"""
ENGINES = ('auto', *BACK_ENDS)
RESIZE_CHOICES = ('auto', *RESIZE_MODES)
PRECISIONS = ('auto', 'fp32', 'bf16', 'fp16', 'int8')


class EngineError(EdgeSegNetError):
    """An engine cannot be found, built or run; the message says what to do."""


class NonFiniteLogitsError(EngineError):
    """The network gave NaN or infinite logits, so its class ids mean nothing."""


class EngineRequest(NamedTuple):
    """A user's request for an engine.

    Attributes:
        model: Name of a shipped model, or path of a weights file.
        classes: Name of a shipped class file, or path of one. Weights that hold a class set of
            their own are not asked to follow the default: theirs is used.
        engine: One of ENGINES.
        precision: One of PRECISIONS.
        device: auto, cpu, cuda, cuda:N or (TensorRT only) dla:N.
        num_threads: CPU threads, 0 for all cores.
        input_size: Height and width of the network's input, multiples of 16; (0, 0) for the size
            that the model was trained for.
        parity_frames: Folder of images that an engine is proved on; '' uses rendered streets.
        engine_cache: Folder of built engines; '' uses the user's cache folder.
        resize_mode: How an image is brought to the input size, stretch or letterbox; auto for the
            mode that the model was trained for.
    """

    model: str = shipped.DEFAULT_MODEL
    classes: str = shipped.DEFAULT_CLASSES
    engine: str = 'auto'
    precision: str = 'auto'
    device: str = 'auto'
    num_threads: int = 0
    input_size: Tuple[int, int] = (0, 0)
    parity_frames: str = ''
    engine_cache: str = ''
    resize_mode: str = 'auto'

"""TensorRT 10 and later from an ONNX file, strongly typed: for Orin and Thor.

torch2trt builds with the fp16 flag and implicit INT8 calibration, which TensorRT 10 deprecates and
11 no longer has. A strongly typed engine computes in the types that its graph says: fp16 weights,
or INT8 between explicit quantisation nodes. Every name of TensorRT's API that this way uses is in
this file (looked up in the bindings of 10.7, some of them in 11.4); no board has run it yet.
"""

from __future__ import annotations

import inspect
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Set, Tuple

import numpy as np
import torch

from edgesegnet_ros.engines.onnx_names import LOGITS, OPSET, PIXELS
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.extras import install

if TYPE_CHECKING:
    import onnx

_DTYPES = {'fp32': torch.float32, 'fp16': torch.float16, 'int8': torch.float32}
_log = logging.getLogger(__name__)


class _Typed(torch.nn.Module):
    """The network in its own type, between floats."""

    def __init__(self, network: torch.nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network.to(dtype), dtype

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.dtype == torch.float32:
            return self.network(pixels)  # NNCF stumbles over casts that change nothing
        return self.network(pixels.to(self.dtype)).float()


def network_onnx(recipe: Recipe, device: torch.device) -> bytes:
    """The network as an ONNX file in the types of the computation.

    Args:
        recipe: Its precision is fp32, fp16 or int8.
        device: Where torch traces it; not every torch convolves fp16 on a CPU.

    Returns:
        A file of (1, 3, H, W) float32 normalised `pixels` and float32 `logits` of
        `recipe.logits_shape`.

    Raises:
        EngineError: It cannot be exported, or not be quantised.
    """
    if recipe.precision not in _DTYPES:
        raise EngineError(
            f'precision {recipe.precision!r} is not one of the tensorrt engine: '
            f'{", ".join(_DTYPES)}'
        )
    if recipe.onnx is not None:
        return _foreign(recipe)
    network = _Typed(recipe.network(), _DTYPES[recipe.precision]).eval().to(device)
    pixels = torch.zeros(1, 3, *recipe.input_size, device=device)
    exported = io.BytesIO()
    known = inspect.signature(torch.onnx.export).parameters
    options: Dict[str, Any] = {'dynamo': False} if 'dynamo' in known else {}
    try:
        torch.onnx.export(
            network,
            (pixels,),
            exported,
            input_names=[PIXELS],
            output_names=[LOGITS],
            opset_version=OPSET,
            **options,
        )
    except RuntimeError as error:
        reason = (str(error).splitlines() or [''])[0]
        raise EngineError(f'the network cannot be exported to ONNX: {reason}') from error
    file = exported.getvalue()
    return _quantised(file, recipe) if recipe.precision == 'int8' else file


def _foreign(recipe: Recipe) -> bytes:
    """A user's ONNX file in the types that it shall be computed in."""
    from edgesegnet_ros.engines.onnx_wrapping import from_pixels

    model = from_pixels(recipe)
    if recipe.precision == 'fp16':
        try:
            from onnxruntime.transformers.float16 import convert_float_to_float16
        except ImportError as error:
            raise EngineError(
                f'fp16 weights are made by onnxruntime ({error}): {install("onnxruntime")}'
            ) from None
        # What it keeps in fp32 gets casts around it, which a strongly typed engine obeys.
        model = convert_float_to_float16(model, keep_io_types=True)
    file = bytes(model.SerializeToString())
    return _quantised(file, recipe) if recipe.precision == 'int8' else file


def _quantised(file: bytes, recipe: Recipe) -> bytes:
    """The same file with quantisation nodes whose ranges are measured on the recipe's images.

    TensorRT takes symmetric signed bytes alone, for weights and for activations.
    """
    import onnx

    try:
        import nncf
    except ImportError as error:
        needed = install('nncf', 'onnxruntime')
        raise EngineError(f'int8 is made by nncf and onnxruntime ({error}): {needed}') from None
    images = recipe.calibration()
    if not images:
        raise EngineError('int8 needs images to calibrate on: name a folder of them')
    scale, shift = recipe.normalisation()

    def normalised(image: np.ndarray) -> Dict[str, np.ndarray]:
        return {PIXELS: (image * scale + shift).transpose(2, 0, 1)[None].astype(np.float32)}

    nncf.set_log_level(logging.WARNING)
    try:
        quantised = nncf.quantize(
            onnx.load_from_string(file),
            nncf.Dataset(images, normalised),
            preset=nncf.QuantizationPreset.PERFORMANCE,  # symmetric throughout
            subset_size=len(images),
        )
    except (RuntimeError, nncf.ValidationError) as error:
        reason = (str(error).splitlines() or [''])[0]
        raise EngineError(f'NNCF could not quantise the network: {reason}') from error
    _make_signed(quantised)
    return bytes(quantised.SerializeToString())


def _make_signed(model: onnx.ModelProto) -> None:
    """Change the range 0-255 of quantised values to 0-127, because TensorRT's bytes are signed.

    Raises:
        EngineError: A zero point that is not 0, which TensorRT does not take.
    """
    from onnx import numpy_helper

    constants = {one.name: one for one in model.graph.initializer}
    nodes = [
        one for one in model.graph.node if one.op_type in ('QuantizeLinear', 'DequantizeLinear')
    ]
    unsigned: Set[str] = set()
    widened: Set[str] = set()
    for node in nodes:
        scale, zero = constants[node.input[1]], constants[node.input[2]]
        values = numpy_helper.to_array(zero)
        if values.any():
            raise EngineError(f'the quantisation {node.name} is not symmetric')
        if values.dtype == np.uint8:
            zero.CopyFrom(numpy_helper.from_array(values.astype(np.int8), zero.name))
            unsigned.add(zero.name)
        if zero.name not in unsigned or scale.name in widened:
            continue
        widened.add(scale.name)
        wider = numpy_helper.to_array(scale) * np.float32(255.0 / 127.0)
        scale.CopyFrom(numpy_helper.from_array(wider.astype(np.float32), scale.name))
    # Which says of some tensors that they are unsigned.
    del model.graph.value_info[:]


def build(file: bytes, workspace_mib: int) -> bytes:
    """Build an engine from an ONNX file.

    Args:
        file: File of `network_onnx`.
        workspace_mib: Memory that the builder may use.

    Raises:
        EngineError: TensorRT does not take the file, or builds nothing.
    """
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    # Always on, and ignored, from TensorRT 11 on.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(file):
        errors = [str(parser.get_error(index)) for index in range(parser.num_errors)]
        raise EngineError(f'TensorRT does not take the ONNX file: {"; ".join(errors[:3])}')
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_mib << 20)
    serialised = builder.build_serialized_network(network, config)
    if serialised is None:
        raise EngineError(
            'TensorRT built no engine; its own lines above, marked [TRT] [E], say why'
        )
    return bytes(serialised)


class TypedModule:
    """An engine that computes the logits of normalised pixels, on torch's current stream.

    Args:
        plan: Return value of `build`.
        recipe: Input size and number of classes.
        device: Where it runs.

    Raises:
        EngineError: TensorRT refuses the engine here, or it is one of another input.
    """

    def __init__(self, plan: bytes, recipe: Recipe, device: torch.device) -> None:
        import tensorrt as trt

        self._device = device
        # The engine may not outlive its runtime.
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError('built by another version of TensorRT or for another GPU')
        height, width = recipe.input_size
        engine = self._engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        found = [
            (name, engine.get_tensor_mode(name), tuple(engine.get_tensor_shape(name)))
            for name in names
        ]
        if recipe.onnx is None:
            logits: Tuple[int, ...] = recipe.logits_shape
        else:
            # Only the engine tells at what size a network of other origin gives its logits.
            sides = next((shape[2:] for name, _, shape in found if name == LOGITS), ())
            logits = (1, recipe.info.num_classes, *sides)
        expected: List[Tuple[str, Any, Tuple[int, ...]]] = [
            (PIXELS, trt.TensorIOMode.INPUT, (1, 3, height, width)),
            (LOGITS, trt.TensorIOMode.OUTPUT, logits),
        ]
        floats = all(engine.get_tensor_dtype(name) == trt.float32 for name in names)
        if sorted(found, key=str) != sorted(expected, key=str) or not floats:
            raise EngineError(f'the engine has the tensors {found}, not {expected} in float32')
        self._context = engine.create_execution_context()
        if self._context is None:
            raise EngineError('TensorRT has too little memory for the engine')
        self._pixels, self._logits = (
            torch.zeros(shape, dtype=torch.float32, device=device) for _, _, shape in expected
        )
        # TensorRT reads and writes by address: both tensors live as long as this object.
        for name, tensor in ((PIXELS, self._pixels), (LOGITS, self._logits)):
            if not self._context.set_tensor_address(name, tensor.data_ptr()):
                raise EngineError(f'TensorRT does not take the address of {name}')

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits, overwritten by the next call.

        Args:
            pixels: (1, 3, H, W) normalised floats of any layout, on the device.

        Raises:
            EngineError: TensorRT could not start.
        """
        self._pixels.copy_(pixels)
        stream = torch.cuda.current_stream(self._device).cuda_stream
        if not self._context.execute_async_v3(stream):
            raise EngineError('TensorRT could not start the engine; its own lines above say why')
        return self._logits


def load(path: Path, recipe: Recipe, device: torch.device) -> TypedModule:
    """Load the engine in a file.

    Raises:
        EngineError: It cannot be used here.
    """
    try:
        plan = path.read_bytes()
    except OSError as error:
        raise EngineError(f'it cannot be read ({error.strerror})') from None
    return TypedModule(plan, recipe, device)

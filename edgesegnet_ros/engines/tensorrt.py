"""TensorRT on a CUDA GPU or, before TensorRT 10, on one of its deep learning accelerators (DLA).

TensorRT 8, as on the Xavier, is built for by torch2trt, TensorRT 10 and later from an ONNX file
(`tensorrt_onnx`). Either takes normalised floats and gives logits; bytes and class ids stay in
PyTorch, around it. An engine belongs to one version of TensorRT and one kind of GPU, so it is
built on the vehicle.
"""

from __future__ import annotations

import importlib.util
import pickle
import types
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch

from edgesegnet_ros.engines import pytorch, tensorrt_onnx
from edgesegnet_ros.engines.base import BackEnd, Engine, EngineDescription
from edgesegnet_ros.engines.device_path import Logits
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.extras import install

if TYPE_CHECKING:
    from torch2trt import TRTModule

_INSTALL = {
    'tensorrt': (
        'TensorRT is not installed: on a Jetson it comes with JetPack (sudo apt-get install '
        "nvidia-tensorrt python3-libnvinfer), elsewhere with NVIDIA's pip package tensorrt; see "
        'docs/jetson.md'
    ),
    'onnx': 'onnx is not installed, which TensorRT 10 and later require: ' + install('onnx'),
    'torch2trt': (
        'torch2trt is not installed: pip install git+https://github.com/NVIDIA-AI-IOT/torch2trt '
        '(or put a checkout of it on PYTHONPATH); see docs/jetson.md'
    ),
}


def emulated() -> bool:
    """Whether the module `tensorrt` is an emulation in Python, as tests use one without a GPU.

    It computes on the CPU and says nothing about speed.
    """
    import tensorrt

    # TensorRT's own binding is compiled.
    return isinstance(tensorrt.Builder.create_network, types.FunctionType)


def from_onnx() -> bool:
    """Whether engines are built from an ONNX file: TensorRT 10 or later."""
    import tensorrt

    return int(tensorrt.__version__.split('.')[0]) >= 10 and not emulated()


def dla_core_of(device: str) -> Optional[int]:
    """The number N of dla:N; None for other devices.

    Raises:
        EngineError: Something else than a number follows dla.
    """
    kind, _, number = device.partition(':')
    if kind != 'dla':
        return None
    if not number.isdigit():
        raise EngineError(f'device {device!r} is unknown: a DLA core is dla:0 or dla:1')
    return int(number)


def torch_device_of(device: str) -> torch.device:
    """The torch device for the tensors of an engine on `device`.

    Raises:
        EngineError: The device is not there.
    """
    on_dla = dla_core_of(device) is not None
    if emulated() and (on_dla or device == 'auto'):
        return torch.device('cpu')
    return pytorch.choose_device('cuda:0' if on_dla else device)


class NormalisedImages(Sequence[torch.Tensor]):
    """Calibration images as the engine's input, one at a time: (1, 3, H, W) float32.

    Args:
        pictures: (H, W, 3) uint8 RGB each.
        recipe: Gives their normalisation.
        device: Where the tensors are made.
    """

    def __init__(self, images: List[np.ndarray], recipe: Recipe, device: torch.device) -> None:
        self._images, self._device = images, device
        self._scale, self._shift = (
            torch.from_numpy(values).to(device) for values in recipe.normalisation()
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: Any) -> Any:
        pixels = torch.from_numpy(self._images[index]).to(self._device).float()
        pixels = pixels * self._scale + self._shift
        return pixels.permute(2, 0, 1)[None].contiguous()


class BoundModule:
    """torch2trt's module behind checks, since its own forward reports nothing.

    TensorRT reads addresses: of a wrong shape it keeps the old one, of a wrong dtype, device or
    layout it reads something else.

    Args:
        module: With an engine.
        shape: Shape of its input, (1, 3, H, W).
        outputs: Shape of its logits.
        device: Device of both.

    Raises:
        EngineError: It was built for another input.
    """

    def __init__(
        self,
        module: TRTModule,
        shape: Tuple[int, ...],
        outputs: Tuple[int, ...],
        device: torch.device,
    ) -> None:
        self._module, self._outputs = module, outputs
        self._input = torch.zeros(shape, dtype=torch.float32, device=device)
        found = _input_shape(module)
        if found != shape:
            raise EngineError(f'the engine takes an input of {found}, not of {shape}')

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits of normalised pixels of any layout.

        Raises:
            EngineError: Input or output do not fit the engine.
        """
        if pixels.shape != self._input.shape or pixels.dtype != self._input.dtype:
            raise EngineError(
                f'the tensorrt engine takes {tuple(self._input.shape)} {self._input.dtype}, not '
                f'{tuple(pixels.shape)} {pixels.dtype}'
            )
        # One buffer of our own: contiguous, on the right device, alive while it is read.
        self._input.copy_(pixels)
        if not self._input.is_contiguous():
            raise EngineError('the input of the tensorrt engine is not contiguous')
        logits = self._module(self._input)
        if tuple(logits.shape) != self._outputs:
            raise EngineError(
                f'the tensorrt engine gave {tuple(logits.shape)}, not {self._outputs}'
            )
        return logits


def _input_shape(module: TRTModule) -> Tuple[int, ...]:
    """Shape of the engine's single input."""
    (name,) = module.input_names
    engine = module.engine
    if hasattr(engine, 'get_tensor_shape'):
        return tuple(int(size) for size in engine.get_tensor_shape(name))
    return tuple(int(size) for size in engine.get_binding_shape(engine.get_binding_index(name)))


class TensorRtEngine(pytorch.TorchEngine):
    """The torch engine with TensorRT for the logits.

    Args:
        logits: Computes them of normalised pixels.
        recipe: What it was built from.
        device: Where it runs.
    """

    def __init__(self, logits: Logits, recipe: Recipe, device: torch.device) -> None:
        super().__init__(recipe._replace(precision='fp32', device=str(device)), logits)
        self.precision, self._asked = recipe.precision, recipe.device

    def describe(self) -> EngineDescription:
        """See `Engine.describe`."""
        described = super().describe()
        if dla_core_of(self._asked) is not None:
            described = described._replace(device=f'{described.device}, {self._asked}')
        return described._replace(engine='tensorrt', version=BACK_END.version())


class TensorRtBackEnd(BackEnd):
    """The TensorRT back end; engine files are state dicts of torch2trt, or TensorRT 10's plans."""

    name = 'tensorrt'
    suffix = '.pth'
    runs_on = ('cuda',)
    takes_onnx = True

    def refusal(self, recipe: Recipe) -> Optional[str]:
        """See `BackEnd.refusal`."""
        reason = super().refusal(recipe)
        if reason is None and recipe.onnx is not None and not from_onnx():
            return (
                f'the tensorrt engine runs ONNX files such as {recipe.onnx.path} from TensorRT 10 '
                f'on, not with {self.version()}: set engine to auto, openvino or onnxruntime'
            )
        return reason

    def why_not(self, device: str) -> Optional[str]:
        """See `BackEnd.why_not`."""
        if importlib.util.find_spec('tensorrt') is None:
            return _INSTALL['tensorrt']
        try:
            needed = 'onnx' if from_onnx() else 'torch2trt'
            if importlib.util.find_spec(needed) is None:
                return _INSTALL[needed]
            importlib.import_module(needed)
        # Shared libraries that do not fit raise more than ImportError.
        except Exception as error:
            return f'TensorRT or torch2trt cannot be imported ({error}); see docs/jetson.md'
        if device == 'cpu' and not emulated():
            return 'TensorRT runs on a CUDA GPU, not on the CPU: set device to auto or cuda'
        try:
            found, core = torch_device_of(device), dla_core_of(device)
        except EngineError as error:
            return str(error)
        if found.type != 'cuda' and not emulated():
            return (
                f'TensorRT needs a CUDA GPU, and torch {torch.__version__} sees none: install a '
                'torch built for this GPU; see docs/jetson.md'
            )
        if core is not None and from_onnx():
            return (
                f'device {device!r}: only torch2trt builds for DLA cores, with TensorRT before '
                '10; set device to cuda'
            )
        cores = self._dla_cores() if core is not None else 0
        if core is not None and core >= cores:
            return f'device {device!r} is not there: TensorRT sees {cores} DLA cores'
        return None

    def precisions(self, device: str) -> Tuple[str, ...]:
        """See `BackEnd.precisions`."""
        if emulated():
            return ('fp16', 'fp32')
        if from_onnx():
            # TensorRT 11 does not tell any more; the graph says what is computed.
            return ('int8', 'fp16', 'fp32')
        import tensorrt as trt

        builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
        found = ['int8'] if builder.platform_has_fast_int8 else []
        found += ['fp16'] if builder.platform_has_fast_fp16 else []
        # A DLA core has no fp32.
        return tuple(found + (['fp32'] if dla_core_of(device) is None else []))

    def version(self) -> str:
        """See `BackEnd.version`."""
        import tensorrt

        if from_onnx():
            return f'{tensorrt.__version__} (ONNX)'
        try:
            converter = version('torch2trt')
        except PackageNotFoundError:
            converter = 'from source'
        return f'{tensorrt.__version__} (torch2trt {converter})'

    def target(self, device: str) -> str:
        """See `BackEnd.target`."""
        where = pytorch.BACK_END.target(str(torch_device_of(device)))
        return where if dla_core_of(device) is None else f'{where}, {device}'

    def build(self, recipe: Recipe, path: Path) -> None:
        """See `BackEnd.build`."""
        device = torch_device_of(recipe.device)
        if from_onnx():
            file = tensorrt_onnx.network_onnx(recipe, device)
            path.write_bytes(tensorrt_onnx.build(file, recipe.workspace_mib))
            return
        from edgesegnet_ros.engines.tensorrt_conversion import Conversion, convert

        calibration = None
        if recipe.precision == 'int8':
            calibration = NormalisedImages(recipe.calibration(), recipe, device)
        conversion = Conversion(
            recipe.precision, recipe.workspace_mib, dla_core_of(recipe.device), calibration
        )
        height, width = recipe.input_size
        module = convert(recipe.network(), (1, 3, height, width), device, conversion)
        torch.save(module.state_dict(), str(path))

    def load(self, recipe: Recipe, path: Path) -> Engine:
        """See `BackEnd.load`."""
        device = torch_device_of(recipe.device)
        if from_onnx():
            try:
                return TensorRtEngine(
                    tensorrt_onnx.load(Path(path), recipe, device), recipe, device
                )
            except EngineError as error:
                raise EngineError(f'{path}: {error}') from None
        try:
            # Names, shapes and the engine's bytes: nothing that needs full unpickling.
            state: Dict[str, Any] = torch.load(str(path), map_location='cpu', weights_only=True)
            module = self._restored(state, dla_core_of(recipe.device))
        except (
            AttributeError,
            EOFError,
            KeyError,
            OSError,
            RuntimeError,
            TypeError,
            ValueError,
            pickle.UnpicklingError,
        ) as error:
            reason = (str(error).splitlines() or [''])[0]
            raise EngineError(
                f'{path}: not an engine file that TensorRT {self.version()} can load here '
                f'({type(error).__name__}: {reason})'
            ) from None
        height, width = recipe.input_size
        try:
            bound = BoundModule(module, (1, 3, height, width), recipe.logits_shape, device)
            return TensorRtEngine(bound, recipe, device)
        except EngineError as error:
            raise EngineError(f'{path}: {error}') from None

    @staticmethod
    def _restored(state: Dict[str, Any], dla_core: Optional[int]) -> TRTModule:
        """The module of a state dict.

        Raises:
            ValueError: TensorRT refuses the engine; its own log says why.
        """
        import tensorrt as trt
        from torch2trt import TRTModule

        module = TRTModule()
        if dla_core:
            # torch2trt's own loading always takes core 0.
            runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
            runtime.DLA_core = dla_core
            engine = runtime.deserialize_cuda_engine(state['engine'])
            module = TRTModule(engine, state['input_names'], state['output_names'])
        else:
            module.load_state_dict(state)
        if module.engine is None:
            raise ValueError('built by another version of TensorRT or for another GPU')
        # One tensor in and one out: flattening them is not needed.
        module.input_flattener = module.output_flattener = None
        return module

    @staticmethod
    def _dla_cores() -> int:
        import tensorrt as trt

        return int(getattr(trt.Builder(trt.Logger(trt.Logger.ERROR)), 'num_DLA_cores', 0))


BACK_END = TensorRtBackEnd()

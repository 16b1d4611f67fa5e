"""ONNX Runtime, on the CPU, or on a GPU where its CUDA provider is installed."""

from __future__ import annotations

import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Optional, Tuple, Union

import numpy as np
import torch

from edgesegnet_ros.engines import cpu
from edgesegnet_ros.engines.base import BackEnd, Engine, EngineDescription
from edgesegnet_ros.engines.device_path import write_confidence
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.extras import install

if TYPE_CHECKING:
    import onnxruntime


class OnnxRuntimeEngine(Engine):
    """A session bound to buffers of its own.

    Args:
        session: Session of a file that `onnx_graph` describes.
        recipe: What it was built from.
    """

    def __init__(self, session: onnxruntime.InferenceSession, recipe: Recipe) -> None:
        import onnxruntime

        self.input_size = recipe.input_size
        self.num_classes = recipe.info.num_classes
        self._precision, self._threads = recipe.precision, recipe.threads
        self._device = cpu.name()
        if 'CUDAExecutionProvider' in session.get_providers():
            self._threads = 0
            self._device = torch.cuda.get_device_name(recipe.device)
        self._temperature = float(recipe.info.temperature)
        height, width = recipe.input_size
        self._image = np.zeros((1, height, width, 3), np.uint8)
        self._labels = np.zeros((1, height, width), np.uint8)
        self._session = session
        self._logits: Optional[np.ndarray] = self._first_logits(recipe)
        self._options = onnxruntime.RunOptions()
        self._binding = session.io_binding()
        # By address, since values made of arrays are copies.
        self._binding.bind_input(
            'picture', 'cpu', 0, np.uint8, self._image.shape, self._image.ctypes.data
        )
        for name, array in (('labels', self._labels), ('logits', self._logits)):
            if array is None:
                continue
            self._binding.bind_output(
                name, 'cpu', 0, array.dtype.type, array.shape, array.ctypes.data
            )

    def _first_logits(self, recipe: Recipe) -> Optional[np.ndarray]:
        """A buffer for the logits; None for a network that only gives class ids.

        Raises:
            EngineError: The network cannot be run.
        """
        if recipe.onnx is None:
            return np.zeros(recipe.logits_shape, np.float32)
        if 'logits' not in {one.name for one in self._session.get_outputs()}:
            return None
        try:
            # Only a run tells the size that a network of other origin gives.
            return self._session.run(['logits'], {'picture': self._image})[0]
        except Exception as error:  # its classes are made by the library's C++ part
            reason = (str(error).splitlines() or [''])[0]
            raise EngineError(f'onnxruntime cannot run {recipe.onnx.path} ({reason})') from None

    def _infer(
        self, image: np.ndarray, labels: np.ndarray, confidence: Optional[np.ndarray]
    ) -> None:
        """See `Engine.infer`."""
        np.copyto(self._image[0], image)
        try:
            self._session.run_with_iobinding(self._binding, self._options)
        except Exception as error:  # its classes are made by the library's C++ part
            reason = str(error).splitlines()[0]
            raise EngineError(f'the onnxruntime engine failed: {reason}') from error
        np.copyto(labels, self._labels[0])
        if confidence is not None and self._logits is None:
            confidence.fill(255)  # class ids alone say nothing of it
        elif confidence is not None:
            with torch.inference_mode():
                logits, out = torch.from_numpy(self._logits), torch.from_numpy(confidence)
                write_confidence(logits, self._temperature, out)

    def describe(self) -> EngineDescription:
        """See `Engine.describe`."""
        return EngineDescription(
            'onnxruntime',
            self._precision,
            self._device,
            BACK_END.version(),
            self._threads,
            self.reason,
        )

    def last_logits(self) -> Optional[np.ndarray]:
        """See `Engine.last_logits`."""
        return self._logits

    def _free(self) -> None:
        """See `Engine.close`."""
        del self._binding, self._session


def model_bytes(recipe: Recipe) -> bytes:
    """The ONNX file of a recipe: the network of this package, or that of a user's file.

    Raises:
        EngineError: It cannot be made.
    """
    if recipe.onnx is not None:
        from edgesegnet_ros.engines.onnx_wrapping import wrapped

        return bytes(wrapped(recipe).SerializeToString())
    from edgesegnet_ros.engines.onnx_graph import onnx_model

    return bytes(onnx_model(recipe).SerializeToString())


def reference(recipe: Recipe) -> OnnxRuntimeEngine:
    """The reference for other engines of a user's ONNX file: the file itself, in fp32.

    Raises:
        EngineError: ONNX Runtime is missing, or does not run it.
    """
    reason = BACK_END.why_not('cpu')
    if reason:
        raise EngineError(f'{reason}; other engines of an ONNX file are compared with it')
    return OnnxRuntimeEngine(_session(model_bytes(recipe), recipe), recipe)


def _on_cuda(device: str) -> bool:
    """Whether the device is a CUDA GPU that this ONNX Runtime has a provider for."""
    import onnxruntime

    if not device.startswith('cuda') or not torch.cuda.is_available():
        return False
    return 'CUDAExecutionProvider' in onnxruntime.get_available_providers()


def _session(
    model: Union[str, bytes], recipe: Recipe, device: str = 'cpu'
) -> onnxruntime.InferenceSession:
    import onnxruntime

    providers: List[Any] = ['CPUExecutionProvider']
    if _on_cuda(device):
        index = int(device.partition(':')[2] or 0)
        providers.insert(0, ('CUDAExecutionProvider', {'device_id': index}))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = recipe.threads
    options.inter_op_num_threads = 1
    # Threads that wait busily would take the cores from the rest of the robot.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # its classes are made by the library's C++ part
        reason = (str(error).splitlines() or [''])[0]
        where = recipe.onnx.path if recipe.onnx is not None else 'the file'
        raise EngineError(f'onnxruntime cannot load {where} ({reason})') from None


class OnnxRuntimeBackEnd(BackEnd):
    """The ONNX Runtime back end; its engine files are ONNX files for other tools, too."""

    name = 'onnxruntime'
    suffix = '.onnx'
    takes_onnx = True

    def why_not(self, device: str) -> Optional[str]:
        """See `BackEnd.why_not`."""
        missing = [
            name for name in ('onnx', 'onnxruntime') if importlib.util.find_spec(name) is None
        ]
        if missing:
            return f'{" and ".join(missing)} not installed: {install(*missing)}'
        if device not in ('auto', 'cpu') and not _on_cuda(device):
            return (
                f'this onnxruntime does not run on {device}: set device to cpu, or install '
                'onnxruntime-gpu'
            )
        return None

    def precisions(self, device: str) -> Tuple[str, ...]:
        """See `BackEnd.precisions`."""
        return ('fp32',)

    def version(self) -> str:
        """See `BackEnd.version`."""
        try:
            return version('onnxruntime')
        except PackageNotFoundError:  # its GPU and other builds go by other names
            import onnxruntime

            return str(onnxruntime.__version__)

    def target(self, device: str) -> str:
        """See `BackEnd.target`; the file is no machine code, its proof is this machine's."""
        return torch.cuda.get_device_name(device) if _on_cuda(device) else cpu.target()

    def build(self, recipe: Recipe, path: Path) -> None:
        """See `BackEnd.build`."""
        if recipe.precision != 'fp32':
            raise EngineError(
                f'precision {recipe.precision!r} is not one of the onnxruntime engine: fp32'
            )
        path.write_bytes(model_bytes(recipe))

    def load(self, recipe: Recipe, path: Path) -> Engine:
        """See `BackEnd.load`."""
        try:
            return OnnxRuntimeEngine(_session(str(path), recipe, recipe.device), recipe)
        except EngineError as error:
            raise EngineError(f'{path}: {error}') from None


BACK_END = OnnxRuntimeBackEnd()

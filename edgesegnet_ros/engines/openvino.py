"""OpenVINO, on the CPU: fp32, bf16 where the CPU has it, and int8 quantised by NNCF."""

from __future__ import annotations

import importlib.util
import io
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

import numpy as np

from edgesegnet_ros.engines import cpu
from edgesegnet_ros.engines.base import BackEnd, Engine, EngineDescription
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.extras import install

if TYPE_CHECKING:
    import openvino

_HINT = 'INFERENCE_PRECISION_HINT'


@lru_cache(maxsize=None)
def process_core() -> openvino.Core:
    """The only Core of this process. It is never freed, so that the CPU plugin stays loaded.

    The plugin gives the thread that loads it an alternate signal stack, and unmaps that stack in
    whichever thread frees the last model. If this is another thread, the first thread keeps the
    dangling stack, and the next signal, such as that of Ctrl-C, is a segmentation fault (seen with
    OpenVINO 2026.4).
    """
    import openvino

    return openvino.Core()


class OpenVinoEngine(Engine):
    """A compiled graph on buffers of its own.

    Args:
        compiled: Compiled graph of `openvino_graph.with_bytes`.
        confidence: Compiled graph of `openvino_graph.confidence_graph`; None without logits.
        recipe: What they were built from.
    """

    def __init__(
        self,
        compiled: openvino.CompiledModel,
        confidence: Optional[openvino.CompiledModel],
        recipe: Recipe,
    ) -> None:
        import openvino

        self.input_size = recipe.input_size
        self.num_classes = recipe.info.num_classes
        self._precision, self._threads = recipe.precision, recipe.threads
        height, width = recipe.input_size
        self._image = np.zeros((1, height, width, 3), np.uint8)
        self._labels = np.zeros((1, height, width), np.uint8)
        self._confidence = np.zeros((1, height, width), np.uint8)
        self._logits: Optional[np.ndarray] = None

        # Tensors over NumPy's memory: nothing of a frame's size is made for a frame. A
        # request does not keep that memory alive.
        self._kept: List[object] = []

        def share(array: np.ndarray) -> openvino.Tensor:
            self._kept.append(openvino.Tensor(array, shared_memory=True))
            return self._kept[-1]

        self._request = compiled.create_infer_request()
        self._request.set_input_tensor(share(self._image))
        self._request.set_output_tensor(0, share(self._labels))
        self._second: Optional[openvino.InferRequest] = None
        if confidence is not None:
            self._logits = np.zeros(tuple(compiled.output(1).get_shape()), np.float32)
            self._request.set_output_tensor(1, share(self._logits))
            self._second = confidence.create_infer_request()
            self._second.set_input_tensor(share(self._logits))
            self._second.set_output_tensor(share(self._confidence))
        else:
            self._confidence.fill(255)  # class ids alone say nothing of it

    def _infer(
        self, image: np.ndarray, labels: np.ndarray, confidence: Optional[np.ndarray]
    ) -> None:
        """See `Engine.infer`."""
        np.copyto(self._image[0], image)
        try:
            # `infer` would copy the outputs into new arrays.
            self._request.start_async()
            self._request.wait()
            if confidence is not None and self._second is not None:
                self._second.start_async()
                self._second.wait()
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise EngineError(f'the openvino engine failed: {reason}') from error
        np.copyto(labels, self._labels[0])
        if confidence is not None:
            np.copyto(confidence, self._confidence[0])

    def describe(self) -> EngineDescription:
        """See `Engine.describe`."""
        return EngineDescription(
            'openvino',
            self._precision,
            cpu.name(),
            BACK_END.version(),
            self._threads,
            self.reason,
        )

    def last_logits(self) -> Optional[np.ndarray]:
        """See `Engine.last_logits`."""
        return self._logits

    def _free(self) -> None:
        """See `Engine.close`."""
        del self._request, self._second


class OpenVinoBackEnd(BackEnd):
    """The OpenVINO back end; its engine files are compiled models of the CPU plugin."""

    name = 'openvino'
    suffix = '.blob'
    takes_onnx = True

    def why_not(self, device: str) -> Optional[str]:
        """See `BackEnd.why_not`."""
        if device not in ('auto', 'cpu'):
            return f'the openvino engine runs on the CPU, not on {device}: set device to cpu'
        if importlib.util.find_spec('openvino') is None:
            return f'openvino is not installed: {install("openvino")}'
        return None

    def precisions(self, device: str) -> Tuple[str, ...]:
        """See `BackEnd.precisions`."""
        return ('int8', 'bf16', 'fp32') if cpu.has_bf16() else ('int8', 'fp32')

    def version(self) -> str:
        """See `BackEnd.version`."""
        return version('openvino')

    def target(self, device: str) -> str:
        """See `BackEnd.target`."""
        return cpu.target()

    def build(self, recipe: Recipe, path: Path) -> None:
        """See `BackEnd.build`."""
        from edgesegnet_ros.engines.openvino_graph import network_graph, with_bytes

        if recipe.precision not in self.precisions(recipe.device):
            raise EngineError(
                f'precision {recipe.precision!r} is not one of the openvino engine here: '
                f'{", ".join(self.precisions(recipe.device))}'
            )
        own = recipe.onnx is None
        network = network_graph(recipe) if own else self._foreign(recipe)
        if recipe.precision == 'int8':
            if importlib.util.find_spec('nncf') is None:
                raise EngineError(
                    f'int8 is made by nncf, which is not installed: {install("nncf")}'
                )
            from edgesegnet_ros.engines.openvino_int8 import quantised

            network = quantised(network, recipe)
        graph = with_bytes(network, recipe) if own else network
        compiled = process_core().compile_model(graph, 'CPU', self._settings(recipe))
        exported = compiled.export_model()
        # A BytesIO from some version on.
        path.write_bytes(getattr(exported, 'getvalue', lambda: exported)())

    def load(self, recipe: Recipe, path: Path) -> Engine:
        """See `BackEnd.load`."""
        from edgesegnet_ros.engines.openvino_graph import confidence_graph

        core, settings = process_core(), self._settings(recipe)
        try:
            compiled = core.import_model(path.read_bytes(), 'CPU', settings)
            # A probability in bf16 would have steps of its own.
            confidence = None
            if len(compiled.outputs) > 1:
                shape = tuple(compiled.output(1).get_shape())
                graph = confidence_graph(recipe, shape)
                confidence = core.compile_model(graph, 'CPU', dict(settings, **{_HINT: 'f32'}))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise EngineError(f'{path}: openvino cannot load it ({reason})') from None
        return OpenVinoEngine(compiled, confidence, recipe)

    def _foreign(self, recipe: Recipe) -> openvino.Model:
        """The graph of a user's ONNX file, bytes in and class ids out."""
        from edgesegnet_ros.engines.onnxruntime import model_bytes

        try:
            return process_core().read_model(io.BytesIO(model_bytes(recipe)))
        except RuntimeError as error:
            reason = (str(error).splitlines() or [''])[0]
            raise EngineError(f'openvino cannot read the ONNX file ({reason})') from None

    @staticmethod
    def _settings(recipe: Recipe) -> Dict[str, object]:
        # The floating-point parts of an int8 network are computed in bf16 where the CPU has it.
        half = recipe.precision != 'fp32' and cpu.has_bf16()
        return {
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_NUM_THREADS': recipe.threads,
            # Every process would pin its first thread to the first core: two nodes with one
            # thread each had half a core each, and the second core was idle.
            'ENABLE_CPU_PINNING': False,
            _HINT: 'bf16' if half else 'f32',
        }


BACK_END = OpenVinoBackEnd()

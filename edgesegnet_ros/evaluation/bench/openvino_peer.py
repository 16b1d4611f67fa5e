"""A peer through OpenVINO, as its users would deploy it: bytes in, class ids out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from edgesegnet_ros.engines import cpu
from edgesegnet_ros.engines.base import Engine, EngineDescription
from edgesegnet_ros.engines.recipe import threads_of
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.extras import install
from edgesegnet_ros.network.normalisation import Normalisation
from edgesegnet_ros.network.weights import WeightsInfo

if TYPE_CHECKING:
    import openvino


class _BytesToLabels(nn.Module):
    """(1, H, W, 3) uint8 RGB -> (1, H, W) uint8 class ids, all of it in the graph."""

    def __init__(self, network: nn.Module, info: WeightsInfo) -> None:
        super().__init__()
        self.network = network
        self.normalise = Normalisation(info.mean, info.std)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        pixels = self.normalise(image.permute(0, 3, 1, 2))
        return self.network(pixels).argmax(1).to(torch.uint8)


def _quantised(model: openvino.Model, shape: tuple[int, ...]) -> openvino.Model:
    """The model in 8 bits, its ranges measured on one image of noise."""
    try:
        import nncf
    except ImportError:
        raise EngineError(
            f'int8 is made by nncf, which is not installed: {install("nncf")}'
        ) from None
    nncf.set_log_level(logging.WARNING)
    noise = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    return nncf.quantize(model, nncf.Dataset([noise]), subset_size=1, fast_bias_correction=True)


class OpenVinoPeer(Engine):
    """Any network that gives logits of its input's size.

    Args:
        network: (1, 3, H, W) normalised floats -> (1, classes, H, W) logits.
        info: Its normalisation.
        input_size: Height and width.
        num_threads: CPU threads, 0 for all cores.
        precision: fp32, bf16 or int8. For int8 the ranges are measured on noise, since the
            weights are random and speed alone counts.

    Raises:
        EngineError: OpenVINO or, for int8, NNCF is missing.
        Exception: OpenVINO's own, or what tracing raises, where it does not know an operator.
    """

    def __init__(
        self,
        network: nn.Module,
        info: WeightsInfo,
        input_size: tuple[int, int],
        num_threads: int,
        precision: str = 'fp32',
    ) -> None:
        try:
            import openvino
        except ImportError:
            raise EngineError(f'openvino is not installed: {install("openvino")}') from None
        self.input_size, self.num_classes = input_size, info.num_classes
        self._precision = precision
        self._threads, self._version = threads_of(num_threads), openvino.__version__
        shape = (1,) + input_size + (3,)
        self._image = np.zeros(shape, np.uint8)
        with torch.no_grad():
            model = openvino.convert_model(
                _BytesToLabels(network, info).eval(),
                example_input=torch.from_numpy(self._image),
                input=[(openvino.PartialShape(shape), openvino.Type.u8)],
            )
        if precision == 'int8':
            model = _quantised(model, shape)
        half = precision != 'fp32' and cpu.has_bf16()
        compiled = openvino.Core().compile_model(
            model,
            'CPU',
            {
                'PERFORMANCE_HINT': 'LATENCY',
                'INFERENCE_NUM_THREADS': self._threads,
                'INFERENCE_PRECISION_HINT': 'bf16' if half else 'f32',
            },
        )
        self._request = compiled.create_infer_request()
        self._request.set_input_tensor(openvino.Tensor(self._image, shared_memory=True))

    def _infer(self, image: np.ndarray, labels: np.ndarray, confidence: np.ndarray | None) -> None:
        """See `Engine.infer`; it gives no confidence."""
        np.copyto(self._image[0], image)
        self._request.start_async()
        self._request.wait()
        np.copyto(labels, self._request.get_output_tensor(0).data[0])

    def describe(self) -> EngineDescription:
        """See `Engine.describe`."""
        return EngineDescription(
            'openvino', self._precision, cpu.name(), self._version, self._threads
        )

    def _free(self) -> None:
        """See `Engine.close`."""
        del self._request

"""The network as written, in eager PyTorch: the reference for the speed of all engines."""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np
import torch

from edgesegnet_ros.engines import cpu
from edgesegnet_ros.engines.base import Engine, EngineDescription
from edgesegnet_ros.engines.recipe import NEVER
from edgesegnet_ros.network.normalisation import Normalisation
from edgesegnet_ros.network.registry import Network
from edgesegnet_ros.network.weights import WeightsInfo


class EagerReference(Engine):
    """The paper's network step by step in fp32: no folding, no channels last, and the
    classifier at full size.

    Args:
        model: Trained network.
        info: Its normalisation.
        input_size: Height and width of its input.
        device: Device of the network.
        ignored: Ids that are never given.
    """

    def __init__(
        self,
        model: Network,
        info: WeightsInfo,
        input_size: Tuple[int, int],
        device: str = 'cpu',
        ignored: Tuple[int, ...] = (),
    ) -> None:
        self.input_size = input_size
        self.num_classes = info.num_classes
        self._ignored, self._finite = list(ignored), True
        self._device = torch.device(device)
        self._model = model.eval().to(self._device)
        self._normalise = Normalisation(info.mean, info.std).to(self._device)

    @torch.inference_mode()
    def _infer(
        self, image: np.ndarray, labels: np.ndarray, confidence: Optional[np.ndarray]
    ) -> None:
        """See `Engine.infer`; it gives no confidence."""
        pixels = torch.from_numpy(image).to(self._device).permute(2, 0, 1)[None]
        logits = self._model(self._normalise(pixels))
        self._finite = bool(logits.sum().isfinite())
        logits[:, self._ignored] = NEVER
        labels[:] = logits.argmax(1)[0].to(torch.uint8).cpu().numpy()

    def _logits_are_finite(self) -> bool:
        return self._finite

    def describe(self) -> EngineDescription:
        """See `Engine.describe`."""
        on_cpu = self._device.type == 'cpu'
        device = cpu.name() if on_cpu else torch.cuda.get_device_name(self._device)
        threads = torch.get_num_threads() if on_cpu else 0
        return EngineDescription('torch eager', 'fp32', device, torch.__version__, threads)

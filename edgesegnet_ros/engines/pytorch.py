"""PyTorch, on the CPU or a CUDA device."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Tuple

import numpy as np
import torch

from edgesegnet_ros.engines import cpu
from edgesegnet_ros.engines.base import (
    BackEnd,
    Engine,
    EngineDescription,
    EngineError,
    EngineRequest,
)
from edgesegnet_ros.engines.recipe import NEVER, Recipe, threads_of
from edgesegnet_ros.network.edgesegnet import HEAD_STRIDE, EdgeSegNet, upsample
from edgesegnet_ros.network.normalisation import scale_and_shift
from edgesegnet_ros.network.registry import inference_form
from edgesegnet_ros.network.weights import WeightsInfo

_DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}


def choose_device(wanted: str) -> torch.device:
    """The device that `wanted` (auto, cpu, cuda, cuda:N) means here.

    Raises:
        EngineError: It is not there.
    """
    if wanted == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    if device is None or device.type not in ('cpu', 'cuda'):
        raise EngineError(f'device {wanted!r} is unknown: use auto, cpu, cuda or cuda:N')
    if device.type == 'cuda':
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise EngineError(
                f'device {wanted!r} is not there: torch {torch.__version__} sees {count} CUDA '
                'devices; set device to cpu or auto, or install a torch built for this GPU'
            )
    return device


def choose_precision(wanted: str, device: torch.device) -> Tuple[str, str]:
    """The precision to run in, and why.

    Raises:
        EngineError: The engine does not have it, or the CPU would only emulate it.
    """
    if device.type == 'cuda':
        native = {'fp32': True, 'fp16': True, 'bf16': torch.cuda.is_bf16_supported()}
        fastest = 'fp16'
    else:
        native = {'fp32': True, 'bf16': cpu.has_bf16(), 'fp16': cpu.has_fp16()}
        fastest = 'bf16' if native['bf16'] else 'fp32'
    if wanted == 'auto':
        return fastest, f'the fastest that the {device.type} computes natively'
    if wanted not in native:
        raise EngineError(
            f'precision {wanted!r} is not one of the torch engine: fp32, bf16 or fp16'
        )
    if not native[wanted]:
        raise EngineError(
            f'precision {wanted!r} would be emulated, many times slower, on this {device.type}: '
            f'set precision to auto ({fastest} here) or fp32'
        )
    return wanted, ''


@torch.inference_mode()
def write_confidence(logits: torch.Tensor, temperature: float, out: np.ndarray) -> None:
    """The winner's probability at full size.

    Args:
        logits: (1, classes, H/4, W/4) floats.
        temperature: Divides them.
        out: (H, W) uint8, takes it; 255 for 1.
    """
    scaled = upsample(logits / temperature, HEAD_STRIDE)
    share = torch.exp(scaled.amax(1) - torch.logsumexp(scaled, dim=1))
    torch.from_numpy(out).copy_((share[0] * 255.0).round_().clamp_(0.0, 255.0))


class TorchEngine(Engine):
    """The inference form in PyTorch, channels last.

    Args:
        model: Trained network.
        info: Its normalisation and temperature.
        request: Device, precision, threads and input size.
        ignored: Ids that are never given.

    Raises:
        EngineError: Device or precision cannot be had.
    """

    def __init__(
        self,
        model: EdgeSegNet,
        info: WeightsInfo,
        request: EngineRequest,
        ignored: Tuple[int, ...] = (),
    ) -> None:
        self.device = choose_device(request.device)
        self.precision, self.reason = choose_precision(request.precision, self.device)
        height, width = self.input_size = request.input_size
        self.num_classes = info.num_classes
        self._threads = threads_of(request.num_threads)
        if self.device.type == 'cpu' and torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        network = inference_form(model)
        with torch.no_grad():
            network.classifier_bias[list(ignored)] = NEVER
        dtype = _DTYPES[self.precision]
        self._network = network.to(self.device, dtype, memory_format=torch.channels_last)
        self._temperature = float(info.temperature)
        self._scale, self._shift = (
            torch.from_numpy(values).to(self.device)
            for values in scale_and_shift(info.mean, info.std)
        )
        # Rows of pixels, as pictures come; seen as (1, 3, H, W) they are channels last.
        self._logits: Optional[torch.Tensor] = None
        self._pixels = torch.empty((1, height, width, 3), dtype=torch.float32, device=self.device)
        self._input = torch.empty((1, height, width, 3), dtype=dtype, device=self.device)

    @torch.inference_mode()
    def infer(
        self, image: np.ndarray, labels: np.ndarray, confidence: Optional[np.ndarray] = None
    ) -> None:
        """See `Engine.infer`."""
        try:
            self._infer(image, labels, confidence)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise EngineError(f'the torch engine failed on {self.device}: {reason}') from error

    def _infer(
        self, image: np.ndarray, labels: np.ndarray, confidence: Optional[np.ndarray]
    ) -> None:
        self._pixels[0].copy_(torch.from_numpy(image))
        self._pixels.mul_(self._scale).add_(self._shift)
        self._input.copy_(self._pixels)
        logits = self._network(self._input.permute(0, 3, 1, 2)).float()
        self._logits = logits
        torch.from_numpy(labels).copy_(upsample(logits, HEAD_STRIDE).argmax(1)[0])
        if confidence is not None:
            write_confidence(logits, self._temperature, confidence)

    def describe(self) -> EngineDescription:
        """See `Engine.describe`."""
        on_cpu = self.device.type == 'cpu'
        device = cpu.name() if on_cpu else torch.cuda.get_device_name(self.device)
        threads = self._threads if on_cpu else 0
        return EngineDescription(
            'torch', self.precision, device, torch.__version__, threads, self.reason
        )

    def last_logits(self) -> Optional[np.ndarray]:
        """See `Engine.last_logits`."""
        return None if self._logits is None else self._logits.cpu().numpy()

    def close(self) -> None:
        """See `Engine.close`."""
        self._logits = None
        del self._network, self._pixels, self._input
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()


class TorchBackEnd(BackEnd):
    """Needs no engine file; its half precisions are proved like any other engine."""

    name = 'torch'

    def why_not(self, device: str) -> Optional[str]:
        """See `BackEnd.why_not`."""
        try:
            choose_device(device)
        except EngineError as error:
            return str(error)
        return None

    def precisions(self, device: str) -> Tuple[str, ...]:
        """See `BackEnd.precisions`."""
        fastest, _ = choose_precision('auto', choose_device(device))
        return tuple(dict.fromkeys((fastest, 'fp32')))

    def version(self) -> str:
        """See `BackEnd.version`."""
        return str(torch.__version__)

    def target(self, device: str) -> str:
        """See `BackEnd.target`."""
        found = choose_device(device)
        if found.type == 'cpu':
            return cpu.target()
        major, minor = torch.cuda.get_device_capability(found)
        return f'{torch.cuda.get_device_name(found)} (compute capability {major}.{minor})'

    def load(self, recipe: Recipe, path: Path) -> Engine:
        """See `BackEnd.load`."""
        request = EngineRequest(
            precision=recipe.precision,
            device=recipe.device,
            num_threads=recipe.threads,
            input_size=recipe.input_size,
        )
        return TorchEngine(recipe.model, recipe.info, request, recipe.classes.ignored)


BACK_END = TorchBackEnd()

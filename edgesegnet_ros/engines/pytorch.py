"""PyTorch, on the CPU or a CUDA device."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Optional, Tuple

import numpy as np
import torch

from edgesegnet_ros.engines import cpu
from edgesegnet_ros.engines.base import BackEnd, Engine, EngineDescription
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.network import HEAD_STRIDE
from edgesegnet_ros.network.upsampling import upsample

Logits = Callable[[torch.Tensor], torch.Tensor]
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
        recipe: What runs, and how; its precision may be auto.
        logits: Computes (1, classes, H/4, W/4) logits of (1, 3, H, W) normalised float32 pixels on
            the recipe's device, in place of the recipe's network (which is then not built).

    Raises:
        EngineError: Device or precision is not available.
    """

    def __init__(self, recipe: Recipe, logits: Optional[Logits] = None) -> None:
        self.device = choose_device(recipe.device)
        self.precision, self.reason = choose_precision(recipe.precision, self.device)
        height, width = self.input_size = recipe.input_size
        self.num_classes = recipe.info.num_classes
        self._threads = recipe.threads
        if self.device.type == 'cpu' and torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        dtype = _DTYPES[self.precision]
        if logits is None:
            network = recipe.network()
            logits = network.to(self.device, dtype, memory_format=torch.channels_last)
        self._network = logits
        self._temperature = float(recipe.info.temperature)
        scale, shift = (torch.from_numpy(values) for values in recipe.normalisation())
        self._scale, self._shift = scale.to(self.device), shift.to(self.device)
        # Rows of pixels, as images come; seen as (1, 3, H, W) they are channels last.
        self._logits: Optional[torch.Tensor] = None
        self._pixels = torch.empty((1, height, width, 3), dtype=torch.float32, device=self.device)
        self._input = torch.empty((1, height, width, 3), dtype=dtype, device=self.device)

    @torch.inference_mode()
    def _infer(
        self, image: np.ndarray, labels: np.ndarray, confidence: Optional[np.ndarray]
    ) -> None:
        """See `Engine.infer`."""
        try:
            self._pixels[0].copy_(torch.from_numpy(image))
            self._pixels.mul_(self._scale).add_(self._shift)
            self._input.copy_(self._pixels)
            logits = self._network(self._input.permute(0, 3, 1, 2)).float()
            self._logits = logits
            torch.from_numpy(labels).copy_(upsample(logits, HEAD_STRIDE).argmax(1)[0])
            if confidence is not None:
                write_confidence(logits, self._temperature, confidence)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise EngineError(f'the torch engine failed on {self.device}: {reason}') from error

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

    def _free(self) -> None:
        """See `Engine.close`."""
        self._logits = None
        del self._network, self._pixels, self._input
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()


class TorchBackEnd(BackEnd):
    """Needs no engine file; its half precisions are proved like any other engine."""

    name = 'torch'
    runs_on = ('cpu', 'cuda')

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
        return TorchEngine(recipe)


BACK_END = TorchBackEnd()

"""The number format of the forward pass in training."""

from __future__ import annotations

import torch

from edgesegnet_ros.engines import cpu
from edgesegnet_ros.errors import EdgeSegNetError


class PrecisionError(EdgeSegNetError):
    """A precision that this hardware would only emulate."""


def training_precision(wanted: str, device: torch.device) -> str:
    """fp32, bf16 or fp16.

    Args:
        wanted: One of these, or auto for the fastest native one; of the half precisions bf16 is
            preferred, because its gradients need no scaling.
        device: Device of the training.

    Raises:
        PrecisionError: It is not native there, or (fp16 on a CPU) gradients cannot be scaled.
    """
    if device.type == 'cuda':
        # Since compute capability 8.0; earlier GPUs emulate it.
        bf16 = torch.cuda.get_device_capability(device) >= (8, 0)
        native = {'fp32': True, 'bf16': bf16, 'fp16': True}
        fastest = 'bf16' if bf16 else 'fp16'
    else:
        native = {'fp32': True, 'bf16': cpu.has_bf16(), 'fp16': False}
        fastest = 'bf16' if native['bf16'] else 'fp32'
    if wanted == 'auto':
        return fastest
    if not native[wanted]:
        raise PrecisionError(
            f'precision {wanted!r} is not native to this {device.type}, or not to be trained in: '
            f'use auto ({fastest} here) or fp32'
        )
    return wanted


class Autocast:
    """The contexts and the scaler of mixed precision on one device.

    Args:
        wanted: See `training_precision`.
        device: Where it trains.

    Raises:
        PrecisionError: See `training_precision`.
    """

    def __init__(self, wanted: str, device: torch.device) -> None:
        self.precision = training_precision(wanted, device)
        self._device = device.type
        self._dtype = torch.float16 if self.precision == 'fp16' else torch.bfloat16
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == 'fp16')

    def __call__(self) -> torch.autocast:
        """A context for the forward pass."""
        enabled = self.precision != 'fp32'
        return torch.autocast(self._device, self._dtype, enabled=enabled)

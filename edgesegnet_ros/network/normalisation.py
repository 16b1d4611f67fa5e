"""How bytes become what a network was trained on: `bytes * scale + shift`, for each channel."""

from __future__ import annotations

from typing import Tuple

import numpy as np
import torch
from torch import nn

Channels = Tuple[float, float, float]
"""Red, green and blue, for values from 0 to 1."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def scale_and_shift(mean: Channels, std: Channels) -> Tuple[np.ndarray, np.ndarray]:
    """The normalisation of bytes as one multiplication and one addition.

    Args:
        mean: Subtracted from red, green and blue in 0-1.
        std: Divides the difference.

    Returns:
        (3,) float32 scale and (3,) float32 shift: `pixel * scale + shift` equals
        `(pixel / 255 - mean) / std`.
    """
    means = np.asarray(mean, np.float64) * 255.0
    deviations = np.asarray(std, np.float64) * 255.0
    return (1.0 / deviations).astype(np.float32), (-means / deviations).astype(np.float32)


class Normalisation(nn.Module):
    """(N, 3, H, W) bytes, or floats from 0 to 255, to the floats that a network takes.

    Args:
        mean: See `scale_and_shift`.
        std: See `scale_and_shift`.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, mean: Channels = IMAGENET_MEAN, std: Channels = IMAGENET_STD) -> None:
        super().__init__()
        for name, values in zip(('scale', 'shift'), scale_and_shift(mean, std)):
            tensor = torch.from_numpy(values).reshape(1, 3, 1, 1)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Same shape, float32."""
        return pixels.float() * self.scale + self.shift

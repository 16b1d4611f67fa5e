"""From an image's bytes to class ids, on one device, in operations that never wait for it.

The torch engine takes this path on a CPU and on a GPU, so what is tested on one holds for the
other. On a GPU it lies between one upload and one download (`round_trip`).
"""

from __future__ import annotations

from typing import Callable, Optional

import torch

from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.network.upsampling import at_size, enlarge

Logits = Callable[[torch.Tensor], torch.Tensor]


def write_labels(logits: torch.Tensor, out: torch.Tensor) -> None:
    """Write the class ids at full size.

    Args:
        logits: (1, classes, h, w) float32.
        out: (H, W) uint8, receives the class ids.
    """
    out.copy_(at_size(logits, out.shape).argmax(1)[0])


def write_confidence(logits: torch.Tensor, temperature: float, out: torch.Tensor) -> None:
    """Write the confidence, the probability of the class, at full size.

    Args:
        logits: (1, classes, h, w) float32.
        temperature: Divides them.
        out: (H, W) uint8, receives it; 255 for 1.
    """
    scaled = enlarge(logits / temperature, out[None, None])
    share = torch.exp(scaled.amax(1) - torch.logsumexp(scaled, dim=1))
    out.copy_((share[0] * 255.0).round_().clamp_(0.0, 255.0))


class DevicePath:
    """Normalises images, computes logits, and derives class ids and confidence.

    Args:
        recipe: Normalisation, temperature and input size.
        network: Computes (1, classes, h, w) logits of (1, 3, H, W) normalised pixels.
        device: Device of all tensors.
        dtype: Number format of the network's input.
        memory_format: Memory format of the network's input.

    Attributes:
        device: Device of all tensors.
        input_size: Height and width.
        logits: Those of the last image, float32; None before the first.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: Logits,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.channels_last,
    ) -> None:
        self.device = device
        height, width = self.input_size = recipe.input_size
        self.logits: Optional[torch.Tensor] = None
        self._network = network
        self._temperature = float(recipe.info.temperature)
        scale, shift = (torch.from_numpy(values) for values in recipe.normalisation())
        self._scale, self._shift = scale.to(device), shift.to(device)
        # Rows of pixels, as images come; seen as (1, 3, H, W) they are channels last.
        self._pixels = torch.empty((1, height, width, 3), dtype=torch.float32, device=device)
        self._input = torch.empty(
            (1, 3, height, width), dtype=dtype, device=device, memory_format=memory_format
        )

    def compute(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of an image: (H, W, 3) uint8 RGB on the device -> (1, classes, h, w)."""
        self._pixels[0].copy_(image)
        self._pixels.mul_(self._scale).add_(self._shift)
        self._input.copy_(self._pixels.permute(0, 3, 1, 2))
        self.logits = self._network(self._input).float()
        return self.logits

    def write_confidence(self, logits: torch.Tensor, out: torch.Tensor) -> None:
        """See the module's function of this name."""
        write_confidence(logits, self._temperature, out)

    def result_size(self, confidence: bool) -> int:
        """Bytes that `write_result` writes."""
        height, width = self.input_size
        return (2 if confidence else 1) * height * width + 1

    def write_result(self, image: torch.Tensor, out: torch.Tensor, confidence: bool) -> None:
        """Everything of an image in one array, to be downloaded at once.

        Args:
            image: (H, W, 3) uint8 RGB on the device.
            out: (`result_size`,) uint8 on the device: receives class ids, then the confidence
                where it is wanted, then 1 if all logits were finite and 0 if not.
            confidence: Whether it is wanted.
        """
        height, width = self.input_size
        logits = self.compute(image)
        maps = out[:-1].view(-1, height, width)
        write_labels(logits, maps[0])
        if confidence:
            self.write_confidence(logits, maps[1])
        out[-1:].copy_(logits.sum().isfinite().reshape(1))

"""From bytes to logits, as training computes them."""

from __future__ import annotations

import torch
from torch import nn

from edgesegnet_ros.network.registry import Network
from edgesegnet_ros.network.weights import IMAGENET_MEAN, IMAGENET_STD


class NormalisedNetwork(nn.Module):
    """The network behind the normalisation of its inputs: uint8 pictures to coarse logits."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        mean, std = (torch.tensor(values) * 255.0 for values in (IMAGENET_MEAN, IMAGENET_STD))
        self.register_buffer('mean', mean.reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer('std', std.reshape(1, 3, 1, 1), persistent=False)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 to floats, channels last."""
        floats = (images.float() - self.mean) / self.std
        return floats.contiguous(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 -> (N, num_classes, H/4, W/4)."""
        return self.network.coarse_logits(self.normalise(images))

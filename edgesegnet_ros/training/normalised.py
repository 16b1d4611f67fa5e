"""The network behind the normalisation of its inputs, as training uses it."""

from __future__ import annotations

import torch
from torch import nn

from edgesegnet_ros.network.normalisation import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Channels,
    Normalisation,
)
from edgesegnet_ros.network.registry import Network


class NormalisedNetwork(nn.Module):
    """A network with normalisation: uint8 images to coarse logits.

    Args:
        network: Network for normalised floats.
        mean: Subtracted from red, green and blue in 0-1.
        std: Divides the difference.
    """

    def __init__(
        self, network: Network, mean: Channels = IMAGENET_MEAN, std: Channels = IMAGENET_STD
    ) -> None:
        super().__init__()
        self.network = network
        self.normalisation = Normalisation(mean, std)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 to floats, channels last."""
        return self.normalisation(images).contiguous(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 -> (N, num_classes, h, w), as `coarse_logits` gives them."""
        return self.network.coarse_logits(self.normalise(images))

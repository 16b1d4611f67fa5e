"""From bytes to logits, as training computes them."""

from __future__ import annotations

import torch
from torch import nn

from edgesegnet_ros.network.normalisation import Normalisation
from edgesegnet_ros.network.registry import Network


class NormalisedNetwork(nn.Module):
    """The network behind the normalisation of its inputs: uint8 pictures to coarse logits."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.normalisation = Normalisation()

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 to floats, channels last."""
        return self.normalisation(images).contiguous(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 -> (N, num_classes, H/4, W/4)."""
        return self.network.coarse_logits(self.normalise(images))

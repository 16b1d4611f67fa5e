"""The cost of a network: parameters and multiply-accumulates."""

from __future__ import annotations

from typing import Tuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(value.numel() for value in network.parameters())


def gmac(network: nn.Module, input_size: Tuple[int, int]) -> float:
    """10⁹ multiply-accumulates of the convolutions for one image.

    Args:
        network: Takes (1, 3, H, W); one on the device `meta` is counted without computing.
        input_size: Height and width.
    """
    image = torch.zeros(1, 3, *input_size, device=next(network.parameters()).device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    return counter.get_total_flops() / 2e9

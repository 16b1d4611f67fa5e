"""What a network computes: its multiply-accumulates, with and without those on padding.

A multiplication by padding gives nothing, and most libraries leave it out. At 256x256, where maps
shrink to 8x8, it is several percent of a network's count: a share of the peak must not credit it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class Work(NamedTuple):
    """What one image costs.

    Attributes:
        gmac: 10⁹ multiply-accumulates, as papers count them.
        inside: Of those, 10⁹ whose factor is a pixel and not padding.
    """

    gmac: float
    inside: float


def work(network: nn.Module, size: tuple[int, int]) -> Work:
    """Count without computing.

    Args:
        network: Moved to the device `meta`: of no more use afterwards.
        size: Height and width.
    """
    outside = 0

    def inside(*shapes: Any, **more: Any) -> int:
        nonlocal outside
        every, pixels = _products(*shapes, **more)
        outside += every - pixels
        return 2 * pixels

    mapping: dict[Any, Any] = {torch.ops.aten.convolution: inside}
    image = torch.zeros(1, 3, *size, device='meta')
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        network.to('meta')(image)
    pixels = counter.get_total_flops() / 2
    return Work((pixels + outside) / 1e9, pixels / 1e9)


def taps(positions: int, edge: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Multiplications along one axis whose factor is a pixel.

    Args:
        positions: Of the kernel: outputs of a convolution, inputs of a transposed one.
        edge: Pixels that it slides over: inputs of a convolution, outputs of a transposed one.
        kernel: Weights.
        stride: Pixels from one position to the next.
        padding: Before the first pixel.
        dilation: Pixels from one weight to the next.
    """
    starts = range(-padding, positions * stride - padding, stride)
    return sum(0 <= start + k * dilation < edge for start in starts for k in range(kernel))


def _products(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    _bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    *_: Any,
    out_shape: Sequence[int],
    **__: Any,
) -> tuple[int, int]:
    """Multiply-accumulates of a convolution: all, and those whose factor is a pixel."""
    few, many = (x_shape, out_shape) if transposed else (out_shape, x_shape)
    every = pixels = x_shape[0] * w_shape[0] * w_shape[1]
    for axis, kernel in enumerate(w_shape[2:]):
        known = (stride[axis], padding[axis], dilation[axis])
        pixels *= taps(few[2 + axis], many[2 + axis], kernel, *known)
        every *= few[2 + axis] * kernel
    return every, pixels

"""The multiply-accumulates of a network, with and without those with padding.

Products with padding contribute nothing, and most libraries skip them. At 256x256, where feature
maps shrink to 8x8, they are several percent of the count, and a share of the peak excludes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class Work(NamedTuple):
    """The cost of one image.

    Attributes:
        gmac: 10⁹ multiply-accumulates, as papers count them.
        inside: 10⁹ of those whose factor is not padding.
    """

    gmac: float
    inside: float


def work(network: nn.Module, size: tuple[int, int]) -> Work:
    """Count the cost without computing.

    Args:
        network: The network; it is moved to the device `meta`, which deletes its values.
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
    """Number of products along one axis whose factor is not padding.

    Args:
        positions: Positions of the kernel: outputs of a convolution, inputs of a transposed one.
        edge: Pixels under the kernel: inputs of a convolution, outputs of a transposed one.
        kernel: Length of the kernel.
        stride: Pixels from one position to the next.
        padding: Padding before the first pixel.
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
    """Multiply-accumulates of a convolution: all, and those whose factor is not padding."""
    few, many = (x_shape, out_shape) if transposed else (out_shape, x_shape)
    every = pixels = x_shape[0] * w_shape[0] * w_shape[1]
    for axis, kernel in enumerate(w_shape[2:]):
        known = (stride[axis], padding[axis], dilation[axis])
        pixels *= taps(few[2 + axis], many[2 + axis], kernel, *known)
        every *= few[2 + axis] * kernel
    return every, pixels

"""The arithmetic and the memory traffic of each operator, counted on meta tensors."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

_MOVING = {'max_pool2d_with_indices': 'max-pool', 'upsample_bilinear2d': 'bilinear', 'add': 'add'}
"""Operators with almost no arithmetic, which read and write whole tensors.

ReLU and multiplications by a constant are part of the previous operator, as TensorRT fuses them.
"""


class Layer(NamedTuple):
    """One operator.

    Attributes:
        name: Kind and output.
        mac: Number of multiply-accumulates per image.
        read: Number of values of the inputs.
        weights: Number of parameters.
        written: Number of values of the output.
    """

    name: str
    mac: int
    read: int
    weights: int
    written: int

    def moved(self, width: int) -> int:
        """Bytes read and written, with values of `width` bytes, each moved once."""
        return (self.read + self.weights + self.written) * width


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.layers: list[Layer] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        kind = func.overloadpacket.__name__
        output = result[0] if isinstance(result, tuple) else result
        if kind == 'convolution':
            weight = args[1]
            _, channels, height, width = output.shape
            mac = output.numel() * weight[0].numel()
            side, stride = weight.shape[-1], args[3][0]
            name = f'conv {side}×{side}' + (f' /{stride}' if stride > 1 else '')
            self.layers.append(
                Layer(
                    f'{name} {weight.shape[1]}→{channels} at {height}×{width}',
                    mac,
                    args[0].numel(),
                    weight.numel() + channels,
                    output.numel(),
                )
            )
        elif kind in _MOVING:
            read = sum(value.numel() for value in args if isinstance(value, torch.Tensor))
            small = [v for v in args if isinstance(v, torch.Tensor) and v.numel() < 1000]
            if not small:
                name = f'{_MOVING[kind]} {output.shape[1]} at {output.shape[2]}×{output.shape[3]}'
                self.layers.append(Layer(name, 0, read, 0, output.numel()))
        return result


def layers_of(network: nn.Module, size: tuple[int, int]) -> list[Layer]:
    """The operators for one image, in the order in which they run.

    Args:
        network: A network for (1, 3, H, W); it is moved to the device `meta`, which deletes its
            values.
        size: Height and width.
    """
    network = network.to('meta')
    with torch.no_grad(), _Recorder() as recorder:
        network(torch.zeros(1, 3, *size, device='meta'))
    return recorder.layers

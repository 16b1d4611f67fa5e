"""Starting from given weights in place of random ones."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network.fold import FoldableConv2d
from edgesegnet_ros.network.registry import Network, identity, identity_of, name_of
from edgesegnet_ros.network.weights import load_weights


class InitialWeightsError(EdgeSegNetError):
    """Weights of another network, or for another number of classes."""


def read_network(path: str, num_classes: int, wanted: str | None = None) -> Network:
    """A network from a weights file, in evaluation mode.

    Args:
        path: A weights file.
        num_classes: That its outputs have to be.
        wanted: Name or design file of the network that it has to be, where only one will do.

    Raises:
        InitialWeightsError: It is none of these.
        WeightsError: The file cannot be used.
    """
    network, info = load_weights(path)
    if wanted and identity_of(network) != identity(wanted):
        raise InitialWeightsError(
            f'{path}: weights of {info.network}, but {wanted} is trained; '
            'give --network, or another file'
        )
    if info.num_classes != num_classes:
        raise InitialWeightsError(
            f'{path}: {info.num_classes} outputs for the classes '
            f'{info.classes}, but {num_classes} classes are trained'
        )
    return network


@torch.no_grad()
def start_from(model: Network, plain: Network, views: Iterable[torch.Tensor]) -> None:
    """Give `model` the weights of `plain`, its training norms included.

    Published weights have their norms folded. A norm that is put behind such a convolution gets
    the mean and variance that the convolution's output really has, and the scale and shift that
    undo them: the network computes what it did, and learns as one that was trained with norms.

    Args:
        model: Changed in place; with or without training norms.
        plain: The same network without them, in evaluation mode.
        views: Batches (N, 3, H, W) of normalised floats to measure on.

    Raises:
        InitialWeightsError: The weights are another network's.
    """
    if identity_of(model) != identity_of(plain):
        raise InitialWeightsError(f'weights of {name_of(plain)} for {name_of(model)}')
    missing, _ = model.load_state_dict(plain.state_dict(), strict=False)
    if not missing:
        return
    measured = {
        name: _Moments(module)
        for name, module in plain.named_modules()
        if isinstance(module, FoldableConv2d)
    }
    for batch in views:
        plain(batch)
    for name, moments in measured.items():
        moments.handle.remove()
        norm = model.get_submodule(name).norm
        mean, variance = moments.result()
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.copy_(mean)


class _Moments:
    """Mean and variance of a convolution's output channels, over all positions that it sees."""

    def __init__(self, module: nn.Conv2d) -> None:
        self._sum = torch.zeros(module.out_channels, dtype=torch.float64)
        self._squares = torch.zeros_like(self._sum)
        self._count = 0
        self.handle = module.register_forward_hook(self._see)

    def _see(self, _module: nn.Module, _inputs: tuple, output: torch.Tensor) -> None:
        values = output.double().transpose(0, 1).flatten(1)
        self._sum += values.sum(1).cpu()
        self._squares += values.square().sum(1).cpu()
        self._count += values.shape[1]

    def result(self) -> tuple[torch.Tensor, torch.Tensor]:
        mean = self._sum / self._count
        return mean, (self._squares / self._count - mean.square()).clamp_min(0.0)

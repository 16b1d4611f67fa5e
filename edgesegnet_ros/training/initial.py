"""Initialisation with given weights instead of random ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import nn

from edgesegnet_ros import shipped
from edgesegnet_ros.data.classes import ClassSet, class_set_of, load_classes
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network.fold import FoldableConv2d
from edgesegnet_ros.network.registry import (
    Network,
    build_network,
    identity,
    identity_of,
    name_of,
)
from edgesegnet_ros.network.weights import WeightsInfo, load_weights


class InitialWeightsError(EdgeSegNetError):
    """Weights of another network, or for another number of classes."""


class Initial(NamedTuple):
    """A network whose body has given weights, and whose head is that of the trained classes.

    Attributes:
        network: In evaluation mode, without training norms.
        info: Header of the weights file, mainly for the normalisation.
        kept: Names of the classes whose rows of the head come from the file.
        drawn: Names of the classes whose rows are random.
        left: Names of the classes of the file that are not trained.
    """

    network: Network
    info: WeightsInfo
    kept: tuple[str, ...]
    drawn: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def table(self, path: str) -> str:
        """A table of the classes that were kept and of those that were not."""
        rows = [('body', f'all of {path}')]
        for title, names in (
            ('classes kept', self.kept),
            ('new classes', self.drawn),
            ('classes left out', self.left),
        ):
            rows.append((title, f'{len(names)}: {", ".join(names)}' if names else 'none'))
        return '\n'.join(f'  {title:20}{text}' for title, text in rows)


def class_names(path: str, info: WeightsInfo) -> list[str] | None:
    """Names of a file's classes in the order of its outputs; None if they are unknown.

    Args:
        path: Path of the file, for messages.
        info: Header of the file, with its class set or the name of a shipped one.

    Raises:
        ClassFileError: The class set in the file cannot be read.
    """
    if info.class_set is not None:
        return class_set_of(info.class_set, path).names
    if info.classes in shipped.names('classes'):
        names = load_classes(info.classes).names
        return names if len(names) == info.num_classes else None
    return None


def read_network(path: str, classes: ClassSet) -> tuple[Network, WeightsInfo, list[int]]:
    """A network of the trained classes from a weights file, in evaluation mode.

    Args:
        path: A weights file.
        classes: Classes that the outputs must have, in any order.

    Returns:
        The network, the header of its file, and the output of each class of `classes`.

    Raises:
        InitialWeightsError: The outputs have other classes.
        WeightsError: The file cannot be used.
    """
    network, info = load_weights(path)
    wanted, names = classes.names, class_names(path, info)
    if info.num_classes != len(wanted):
        raise InitialWeightsError(
            f'{path}: {info.num_classes} outputs for the classes {info.classes}, but '
            f'{len(wanted)} classes ({classes.name}) are trained'
        )
    if names is None or names == wanted:
        return network, info, list(range(len(wanted)))
    if set(names) != set(wanted):
        raise InitialWeightsError(
            f'{path}: it knows {", ".join(sorted(set(names) - set(wanted)))}, but not '
            f'{", ".join(sorted(set(wanted) - set(names)))} of {classes.name}; give a teacher '
            'that was trained for the same classes'
        )
    return network, info, [names.index(name) for name in wanted]


@torch.no_grad()
def read_initial(path: str, wanted: str, classes: ClassSet) -> Initial:
    """A network with all weights of a file that fit; the others are random.

    Args:
        path: A weights file.
        wanted: Name or design file of the network to train.
        classes: Classes to train. Rows of the head are kept by the name of their class or, if the
            names in the file are unknown, by number if there are as many classes.

    Raises:
        InitialWeightsError: The file is of another network.
        WeightsError: The file cannot be used.
    """
    given, info = load_weights(path)
    if identity_of(given) != identity(wanted):
        raise InitialWeightsError(
            f'{path}: weights of {info.network}, but {wanted} is trained; '
            'give --network, or another file'
        )
    new, old = classes.names, class_names(path, info)
    if old is None:
        old = list(new) if info.num_classes == len(new) else ['?'] * info.num_classes
    if old == new:
        return Initial(given, info, tuple(new))
    network = build_network(identity_of(given), len(new)).eval()
    own, source = network.state_dict(), given.state_dict()
    rows = [(new.index(name), old.index(name)) for name in new if name in old]
    for name, value in source.items():
        if own[name].shape == value.shape and not name.startswith('head.'):
            own[name].copy_(value)
            continue
        # The head has a row for each class; a transposed convolution's rows are its second axis.
        axis = int(isinstance(network.head, nn.ConvTranspose2d) and value.ndim > 1)
        for to, of in rows:
            own[name].select(axis, to).copy_(value.select(axis, of))
    return Initial(
        network,
        info,
        tuple(name for name in new if name in old),
        tuple(name for name in new if name not in old),
        tuple(name for name in old if name not in new),
    )


@torch.no_grad()
def start_from(model: Network, plain: Network, views: Iterable[torch.Tensor]) -> None:
    """Copy the weights of `plain` to `model`, which may have training norms.

    Published weights have their norms folded. A norm that is added after such a convolution gets
    the mean and variance of the convolution's actual output, and the scale and shift that cancel
    them: the network computes the same as before, and trains like one that has had norms.

    Args:
        model: Changed in place; with or without training norms.
        plain: The same network without them, in evaluation mode.
        views: Batches (N, 3, H, W) of normalised floats to measure on.

    Raises:
        InitialWeightsError: The weights are of another network.
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

"""What a student learns from beside the labels: trained networks' logits of the same views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network import HEAD_STRIDE
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.training.initial import read_network
from edgesegnet_ros.training.normalised import NormalisedNetwork


class DistillationError(EdgeSegNetError):
    """A distillation without a teacher, or a teacher without a distillation."""


class DistillationBatch(NamedTuple):
    """A batch as the student gets it.

    Attributes:
        images: (N, 3, h, w) uint8, of the crop size.
        labels: (N, h, w) uint8.
        logits: (N, C, h/4, w/4), the teacher's.
    """

    images: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor


class Teacher:
    """Networks that look at a view and its surroundings together.

    Args:
        networks: In evaluation mode, uint8 images to logits of the same classes; the mean of
            their logits counts.
        crop: Height and width of what the student sees of a view.
        device: Where they compute.
    """

    def __init__(
        self, networks: Sequence[nn.Module], crop: tuple[int, int], device: torch.device
    ) -> None:
        self._networks = [
            network.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
            for network in networks
        ]
        self._crop = crop

    @torch.no_grad()
    def distillation_batch(self, images: torch.Tensor, labels: torch.Tensor) -> DistillationBatch:
        """A random part of the views, and what the teacher, who has seen all, says of it.

        Args:
            images: (N, 3, H, W) uint8, at least as large as the crop.
            labels: (N, H, W) uint8.
        """
        logits = torch.stack([network(images) for network in self._networks]).mean(0)
        coarse, fine = [], []
        for size, crop in zip(images.shape[2:], self._crop, strict=True):
            room = (size - crop) // HEAD_STRIDE
            first = int(torch.randint(room + 1, ())) if room else 0
            coarse.append(slice(first, first + crop // HEAD_STRIDE))
            fine.append(slice(first * HEAD_STRIDE, first * HEAD_STRIDE + crop))
        return DistillationBatch(
            images[:, :, fine[0], fine[1]],
            labels[:, fine[0], fine[1]],
            logits[:, :, coarse[0], coarse[1]],
        )


class _Ordered(nn.Module):
    """A network whose outputs are put into another order of the same classes."""

    def __init__(self, network: NormalisedNetwork, order: list[int]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer('order', torch.tensor(order))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images).index_select(1, self.order)


def open_teacher(
    config: TrainConfig, paths: Sequence[str], classes: ClassSet, device: torch.device
) -> Teacher | None:
    """The teacher that a run asks for; None where it asks for none.

    Args:
        config: Its `distillation` asks for one.
        paths: Weights files; each network gets the normalisation that it was trained with.
        classes: That the outputs of each have to be.
        device: Where it computes.

    Raises:
        DistillationError: One of the two is given without the other.
        InitialWeightsError: A teacher of other classes.
        WeightsError: A file cannot be used.
    """
    if bool(config.distillation) != bool(paths):
        raise DistillationError(
            'distillation needs the weights of a teacher: give --teacher FILE'
            if config.distillation
            else '--teacher is given, but nothing is learned from it: give --distillation, such '
            'as 0.5'
        )
    if not paths:
        return None
    networks: list[nn.Module] = []
    for path in paths:
        network, info, order = read_network(path, classes)
        teacher = NormalisedNetwork(network, info.mean, info.std)
        in_order = order == sorted(order)
        networks.append(teacher if in_order else _Ordered(teacher, order))
    return Teacher(networks, config.crop, device)

"""Knowledge distillation: the student learns from the logits of teachers on the same views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network import HEAD_STRIDE
from edgesegnet_ros.network.upsampling import at_size
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.training.initial import read_network
from edgesegnet_ros.training.normalised import NormalisedNetwork


class DistillationError(EdgeSegNetError):
    """Distillation without a teacher, or a teacher without distillation."""


class DistillationBatch(NamedTuple):
    """A batch for the student.

    Attributes:
        images: (N, 3, h, w) uint8, of the crop size.
        labels: (N, h, w) uint8.
        logits: (N, C, h/4, w/4), the mean logits of the teachers.
    """

    images: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor


class Teacher:
    """Networks that see a view with a margin around it.

    Args:
        networks: In evaluation mode, uint8 images to logits of the same classes; the mean of
            their logits counts.
        crop: Height and width of the student's part of a view.
        device: Device of the networks.
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
    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 views to the (N, C, H/4, W/4) mean of the networks' logits."""
        size = [side // HEAD_STRIDE for side in images.shape[2:]]
        return torch.stack([at_size(network(images), size) for network in self._networks]).mean(0)

    @torch.no_grad()
    def distillation_batch(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        logits: torch.Tensor | None = None,
    ) -> DistillationBatch:
        """A random crop of the views for the student, with the logits of the teachers for it.

        Args:
            images: (N, 3, H, W) uint8, at least as large as the crop.
            labels: (N, H, W) uint8.
            logits: The networks' answers to the views, where they are known already.
        """
        if logits is None:
            logits = self.logits(images)
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
    """A network whose outputs are reordered to another order of the same classes."""

    def __init__(self, network: NormalisedNetwork, order: list[int]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer('order', torch.tensor(order))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images).index_select(1, self.order)


def open_teacher(
    config: TrainConfig, paths: Sequence[str], classes: ClassSet, device: torch.device
) -> Teacher | None:
    """The teacher of a run; None if the run has no distillation.

    Args:
        config: Its `distillation` requires a teacher.
        paths: Weights files; each network gets the normalisation that it was trained with.
        classes: Classes that each teacher must have, in any order.
        device: Device of the teacher.

    Raises:
        DistillationError: `distillation` and `paths` are not given together.
        InitialWeightsError: A teacher has other classes.
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

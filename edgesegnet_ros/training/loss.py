"""The loss: weighted cross-entropy of the labelled pixels, and the divergence from a teacher."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.data.camvid import LabelledPair, class_shares
from edgesegnet_ros.data.classes import VOID
from edgesegnet_ros.network import HEAD_STRIDE
from edgesegnet_ros.network.upsampling import at_size


class Summed(NamedTuple):
    """A sum over pixels and its divisor, kept apart so that processes can add theirs.

    Attributes:
        total: Scalar.
        weight: Scalar; the mean is total / weight.
    """

    total: torch.Tensor
    weight: torch.Tensor


def class_weights(pairs: list[LabelledPair], num_classes: int, power: float) -> torch.Tensor:
    """Weights of the classes in the loss; without them thin classes hardly count.

    Args:
        pairs: Labelled images.
        num_classes: Outputs of the network.
        power: 0 weights all pixels equally, 1 all classes equally.

    Returns:
        (num_classes,) float32 whose mean over the labelled pixels is 1; 1 for absent classes.
    """
    share = class_shares(pairs, num_classes)
    weights = np.where(share > 0, np.maximum(share, 1e-6) ** -power, 0.0)
    weights = weights / max((weights * share).sum(), 1e-9)
    return torch.from_numpy(np.where(share > 0, weights, 1.0).astype(np.float32))


def class_table(weights: torch.Tensor) -> torch.Tensor:
    """Weights by label value; a mask of void pixels would make the CPU wait for the GPU.

    Args:
        weights: (C,) float32 of the classes.

    Returns:
        (256,) float32; 0 for values without a class.
    """
    table = torch.zeros(256, dtype=weights.dtype, device=weights.device)
    table[: len(weights)] = weights
    return table


def cross_entropy(
    coarse: torch.Tensor, labels: torch.Tensor, table: torch.Tensor, smoothing: float
) -> Summed:
    """Cross-entropy at the resolution of the labels; void pixels are excluded.

    Args:
        coarse: (N, C, h, w) logits.
        labels: (N, H, W) uint8, 255 for void.
        table: (256,) weights by label value; see `class_table`.
        smoothing: Share of the target that is spread over all classes.
    """
    logits, labels = at_size(coarse.float(), labels.shape[1:]), labels.long()
    total = F.cross_entropy(
        logits,
        labels,
        table[: coarse.shape[1]],
        ignore_index=VOID,
        reduction='sum',
        label_smoothing=smoothing,
    )
    return Summed(total, table[labels].sum())


def distance_to_teacher(
    coarse: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, temperature: float
) -> Summed:
    """Kullback-Leibler divergence from the teacher (Hinton et al., arXiv 1503.02531, section 2).

    It is taken at a quarter of the views' size, to which finer and coarser logits are brought.

    Args:
        coarse: (N, C, h, w) logits.
        teacher: The teacher's, of the same views.
        labels: (N, H, W) uint8; void positions are excluded here, too.
        temperature: Divides both logits; the result is multiplied by its square.
    """
    middle = HEAD_STRIDE // 2
    known = labels[:, middle::HEAD_STRIDE, middle::HEAD_STRIDE] != VOID
    size = known.shape[1:]
    student = F.log_softmax(at_size(coarse.float(), size) / temperature, dim=1)
    wanted = F.log_softmax(at_size(teacher.float(), size) / temperature, dim=1)
    divergence = F.kl_div(student, wanted, reduction='none', log_target=True).sum(1)
    return Summed((divergence * known).sum() * temperature**2, known.sum().float())

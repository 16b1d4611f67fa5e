"""Enlarging features and logits, as every part of this package does it."""

from __future__ import annotations

from typing import Sequence

import torch
from torch.nn import functional as F  # noqa: N812


def upsample(features: torch.Tensor, factor: int) -> torch.Tensor:
    """Enlarge (N, C, H, W) bilinearly by a whole factor, pixel centres aligned."""
    if factor == 1:
        return features
    return F.interpolate(features, scale_factor=factor, mode='bilinear', align_corners=False)


def enlarge(features: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Enlarge (N, C, h, w) bilinearly to the height and width of `like`."""
    return F.interpolate(features, size=like.shape[2:], mode='bilinear', align_corners=False)


def at_size(logits: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Bring (N, C, h, w) bilinearly to a height and width; logits that have it are given back."""
    if tuple(logits.shape[2:]) == tuple(size):
        return logits
    return F.interpolate(logits, size=tuple(size), mode='bilinear', align_corners=False)

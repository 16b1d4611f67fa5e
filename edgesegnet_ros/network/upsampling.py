"""Enlarging features and logits, as every part of this package does it."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812


def upsample(features: torch.Tensor, factor: int) -> torch.Tensor:
    """Enlarge (N, C, H, W) bilinearly by a whole factor, pixel centres aligned."""
    return F.interpolate(features, scale_factor=factor, mode='bilinear', align_corners=False)


def enlarge(features: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Enlarge (N, C, h, w) bilinearly to the height and width of `like`."""
    return F.interpolate(features, size=like.shape[2:], mode='bilinear', align_corners=False)

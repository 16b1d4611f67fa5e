"""EdgeSegNet as its paper draws it (Lin, Chwyl, Wong, arXiv 1905.04222, Fig. 1)."""

from __future__ import annotations

from typing import Optional

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

STEM_WIDTH = 13
"""Channels of the stem."""
MIDDLE_WIDTH = 193
"""Channels of both bottlenecks and of the first refine module."""
REFINE_WIDTH = 217
"""Channels of the refine modules behind the first."""
HEAD_STRIDE = 4
"""The classifier sees one position for this many input pixels, each way."""


class FoldableConv2d(nn.Conv2d):
    """A padded convolution that can carry a batch norm while it is trained.

    Most of Fig. 1 has no normalisation and learns slowly. With `norm` a batch norm follows the
    convolution; `network.fold.fold_norms` removes it again without changing what is computed, so
    that the deployed network is the paper's to the parameter.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, norm: bool = False
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        self.norm: Optional[nn.BatchNorm2d] = nn.BatchNorm2d(outputs) if norm else None

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Convolve (N, inputs, H, W), then normalise where a norm is carried."""
        output = super().forward(input)
        return output if self.norm is None else self.norm(output)


class BottleneckReduction(nn.Module):
    """The paper's bottleneck reduction without a residual: to an eighth of the stem's size."""

    def __init__(self, inputs: int, outputs: int, norm: bool = False) -> None:
        super().__init__()
        self.reduce = FoldableConv2d(inputs, outputs, 3, stride=8, norm=norm)
        self.mix = FoldableConv2d(outputs, outputs, 1, norm=norm)
        self.expand = FoldableConv2d(outputs, outputs, 3, norm=norm)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H/8, W/8)."""
        return self.expand(F.relu(self.mix(F.relu(self.reduce(y)))))


class ResidualBottleneck(nn.Module):
    """The pre-activated residual bottleneck, which halves its input's size.

    Its batch norms are part of Fig. 1 and stay in the trained network.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 1)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride=2, padding=1)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv3 = nn.Conv2d(outputs, outputs, 1)
        self.shortcut = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H/2, W/2)."""
        active = F.relu(self.norm(z))
        inner = F.relu(self.norm1(self.conv1(active)))
        inner = F.relu(self.norm2(self.conv2(inner)))
        return self.conv3(inner) + self.shortcut(active)


class RefineModule(nn.Module):
    """The paper's refine module: a projection, and a residual of three convolutions on it."""

    def __init__(self, inputs: int, outputs: int, norm: bool = False) -> None:
        super().__init__()
        self.project = FoldableConv2d(inputs, outputs, 1, norm=norm)
        self.mix = FoldableConv2d(outputs, outputs, 1, norm=norm)
        self.conv1 = FoldableConv2d(outputs, outputs, 3, norm=norm)
        self.conv2 = FoldableConv2d(outputs, outputs, 3, norm=norm)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        projected = self.project(features)
        return projected + self.conv2(F.relu(self.conv1(F.relu(self.mix(projected)))))


def upsample(features: torch.Tensor, factor: int) -> torch.Tensor:
    """Enlarge (N, C, H, W) bilinearly by a whole factor, pixel centres aligned."""
    return F.interpolate(features, scale_factor=factor, mode='bilinear', align_corners=False)


class EdgeSegNet(nn.Module):
    """EdgeSegNet for any height and width divisible by 16.

    Args:
        num_classes: Outputs of the classifier; 32 give the paper's 4,327,920 parameters.
        training_norms: Put a batch norm behind each convolution that has none in Fig. 1, to train
            with; `network.fold.fold_norms` takes them out again.
    """

    def __init__(self, num_classes: int, training_norms: bool = False) -> None:
        super().__init__()
        norm = training_norms
        self.num_classes = num_classes
        self.training_norms = training_norms
        self.stem = FoldableConv2d(3, STEM_WIDTH, 7, stride=2, norm=norm)
        self.reduction = BottleneckReduction(STEM_WIDTH, MIDDLE_WIDTH, norm)
        self.bottleneck = ResidualBottleneck(STEM_WIDTH, MIDDLE_WIDTH)
        self.refine1 = RefineModule(MIDDLE_WIDTH, MIDDLE_WIDTH, norm)
        self.refine2 = RefineModule(MIDDLE_WIDTH, REFINE_WIDTH, norm)
        self.refine3 = RefineModule(STEM_WIDTH, REFINE_WIDTH, norm)
        self.refine4 = RefineModule(REFINE_WIDTH, REFINE_WIDTH, norm)
        self.head = nn.Conv2d(REFINE_WIDTH, num_classes, 1)

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Everything before the classifier: (N, 3, H, W) -> (N, 217, H/4, W/4).

        Args:
            image: Normalised floats, H and W divisible by 16.
        """
        y = self.stem(image)
        z = F.max_pool2d(y, 3, stride=2, padding=1)
        reduced = upsample(self.reduction(y), 2)
        middle = self.refine2(self.refine1(self.bottleneck(z)) + reduced)
        return self.refine4(upsample(middle, 2) + self.refine3(z))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits in the order of Fig. 1: (N, 3, H, W) -> (N, num_classes, H, W)."""
        return self.head(upsample(self.features(image), HEAD_STRIDE))

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        """Logits before the last upsampling: (N, 3, H, W) -> (N, num_classes, H/4, W/4).

        The 1×1 classifier commutes with the bilinear upsampling, so enlarging these by 4 equals
        `forward` but for rounding, at a fraction of its cost.
        """
        return self.head(self.features(image))

"""ResNet-101 (He et al., arXiv 1512.03385, Table 1) without its classifier."""

from __future__ import annotations

from typing import List

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

BLOCKS = (3, 4, 23, 3)
"""Bottlenecks of the four stages of ResNet-101."""
STAGE_WIDTHS = (256, 512, 1024, 2048)
"""Channels that the stages give, at 1/4, 1/8, 1/16 and 1/32 of the input's size."""
EXPANSION = 4


def conv3x3(inputs: int, outputs: int, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    """A padded 3×3 convolution."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=bias)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 around a shortcut; the 3×3 carries the stride."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, 4 * width, H / stride, W / stride)."""
        inner = F.relu(self.norm1(self.conv1(features)))
        inner = F.relu(self.norm2(self.conv2(inner)))
        return F.relu(self.norm3(self.conv3(inner)) + self.shortcut(features))


class ResNet101(nn.Module):
    """The four stages' features; weights are drawn as He et al. 2015 (arXiv 1502.01852) do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(64)
        stages, inputs = [], 64
        for number, (blocks, outputs) in enumerate(zip(BLOCKS, STAGE_WIDTHS)):
            width = outputs // EXPANSION
            stride = 1 if number == 0 else 2
            stages.append(
                nn.Sequential(
                    Bottleneck(inputs, width, stride),
                    *(Bottleneck(outputs, width) for _ in range(blocks - 1)),
                )
            )
            inputs = outputs
        self.stages = nn.ModuleList(stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
            if isinstance(module, Bottleneck):
                # A block begins as its shortcut (Goyal et al., arXiv 1706.02677, section 5.1).
                nn.init.zeros_(module.norm3.weight)

    def forward(self, image: torch.Tensor) -> List[torch.Tensor]:
        """Features of the stages, the finest first: (N, 3, H, W) -> STAGE_WIDTHS channels."""
        features = F.relu(self.norm(self.conv(image)))
        features = F.max_pool2d(features, 3, stride=2, padding=1)
        found = []
        for stage in self.stages:
            features = stage(features)
            found.append(features)
        return found

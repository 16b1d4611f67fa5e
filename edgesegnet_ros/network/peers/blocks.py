"""Building blocks of several peers."""

from __future__ import annotations

from typing import List

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


class ConvNorm(nn.Sequential):
    """A padded convolution without bias, a batch norm, and an optional ReLU.

    Args:
        inputs: Channels.
        outputs: Channels.
        kernel: Side of the kernel; the padding keeps the size at stride 1.
        stride: Stride in both directions.
        groups: `inputs` for a depthwise convolution.
        relu: Whether it ends with a ReLU.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> None:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        layers: List[nn.Module] = [conv, nn.BatchNorm2d(outputs)]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class NormConv(nn.Sequential):
    """Batch norm, ReLU, and a convolution without bias: pre-activated."""

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int = 1) -> None:
        super().__init__(
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False),
        )


class BasicBlock(nn.Module):
    """ResNet's block of two 3×3 convolutions (He et al. 2016).

    Args:
        inputs: Channels.
        outputs: Channels.
        stride: Stride of the first convolution.
        relu: Whether a ReLU follows the sum.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs, 3, stride)
        self.conv2 = ConvNorm(outputs, outputs, relu=False)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else ConvNorm(inputs, outputs, 1, stride, relu=False)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H/stride, W/stride)."""
        total = self.conv2(self.conv1(x)) + self.shortcut(x)
        return F.relu(total) if self.relu else total


class BottleneckBlock(nn.Module):
    """ResNet's 1×1, 3×3, 1×1 block, here widening to twice its middle; no ReLU on the sum."""

    def __init__(self, inputs: int, middle: int, stride: int = 1, relu: bool = False) -> None:
        super().__init__()
        outputs = 2 * middle
        self.inner = nn.Sequential(
            ConvNorm(inputs, middle, 1),
            ConvNorm(middle, middle, 3, stride),
            ConvNorm(middle, outputs, 1, relu=False),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else ConvNorm(inputs, outputs, 1, stride, relu=False)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, 2 middle, H/stride, W/stride)."""
        total = self.inner(x) + self.shortcut(x)
        return F.relu(total) if self.relu else total


def basic_stage(inputs: int, outputs: int, blocks: int, stride: int = 1) -> nn.Sequential:
    """A sequence of basic blocks, the last without its ReLU, as in DDRNet and PIDNet."""
    return nn.Sequential(
        *(
            BasicBlock(
                inputs if i == 0 else outputs,
                outputs,
                stride if i == 0 else 1,
                relu=i < blocks - 1,
            )
            for i in range(blocks)
        )
    )


def before_head(inputs: int, middle: int) -> nn.Sequential:
    """The pre-activated 3×3 convolution before the 1×1 head of DDRNet and PIDNet."""
    conv = nn.Conv2d(inputs, middle, 3, padding=1, bias=False)
    return nn.Sequential(
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        conv,
        nn.BatchNorm2d(middle),
        nn.ReLU(inplace=True),
    )


def stem(width: int) -> nn.Sequential:
    """The first two 3×3 convolutions of DDRNet and PIDNet, which reduce the size to a quarter."""
    layers: List[nn.Module] = []
    for inputs in (3, width):
        layers += [
            nn.Conv2d(inputs, width, 3, stride=2, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def pooled(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    """Average pooling (global if `kernel` is 0), then a pre-activated 1×1 convolution."""
    pool: nn.Module = (
        nn.AvgPool2d(kernel, stride, kernel // 2) if kernel else nn.AdaptiveAvgPool2d(1)
    )
    return nn.Sequential(pool, NormConv(inputs, outputs, 1))


POOLS = ((5, 2), (9, 4), (17, 8), (0, 0))
"""Kernel and stride of the pyramid poolings of DDRNet and PIDNet; 0 for global."""

"""The modules that EdgeSegNet's paper draws (Lin, Chwyl, Wong, arXiv 1905.04222, Fig. 1)."""

from __future__ import annotations

from typing import Any, Dict, Optional

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.fold import (
    FoldableConv2d,
    conv_then_pointwise,
    conv_with_norm,
    norm_scale_and_shift,
    without_bias,
)

Properties = Dict[str, Any]


class BottleneckReduction(nn.Module):
    """The paper's bottleneck reduction, without a residual."""

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__()
        width, kernel = properties['width'], properties['kernel']
        self.reduce = FoldableConv2d(inputs, width, kernel, properties['stride'], norm)
        self.mix = FoldableConv2d(width, width, 1, norm=norm)
        self.expand = FoldableConv2d(width, width, kernel, norm=norm)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, width, H/stride, W/stride)."""
        return self.expand(F.relu(self.mix(F.relu(self.reduce(y)))))

    def deployed(self) -> nn.Module:
        """See the module."""
        convs = (self.reduce.deployed(), self.mix.deployed(), self.expand.deployed())
        return nn.Sequential(convs[0], nn.ReLU(), convs[1], nn.ReLU(), convs[2])


class ResidualBottleneck(nn.Module):
    """The paper's pre-activated residual bottleneck.

    Its batch norms are part of Fig. 1 and stay in the trained network. A block that changes
    neither size nor width adds its input; any other adds a convolution of it.
    """

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__()
        width, kernel, stride = (properties[key] for key in ('width', 'kernel', 'stride'))
        inner = max(1, round(width * properties['expansion']))
        padding = kernel // 2
        self.norm = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, inner, 1)
        self.norm1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, kernel, stride, padding)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, width, 1)
        self.shortcut: Optional[nn.Conv2d] = None
        if stride != 1 or inputs != width:
            self.shortcut = nn.Conv2d(inputs, width, kernel, stride, padding)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, width, H/stride, W/stride)."""
        active = F.relu(self.norm(z))
        inner = F.relu(self.norm1(self.conv1(active)))
        inner = F.relu(self.norm2(self.conv2(inner)))
        return self.conv3(inner) + (z if self.shortcut is None else self.shortcut(active))

    def deployed(self) -> nn.Module:
        """See the module."""
        return _FoldedBottleneck(self)


class _FoldedBottleneck(nn.Module):
    """A residual bottleneck whose first norm is a scale and a shift."""

    def __init__(self, block: ResidualBottleneck) -> None:
        super().__init__()
        scale, shift = norm_scale_and_shift(block.norm)
        self.register_buffer('scale', scale.reshape(1, -1, 1, 1).clone())
        self.register_buffer('shift', shift.reshape(1, -1, 1, 1).clone())
        self.conv1 = conv_with_norm(block.conv1, block.norm1)
        self.conv2 = conv_with_norm(block.conv2, block.norm2)
        self.conv3 = conv_with_norm(block.conv3, None)
        self.shortcut = None if block.shortcut is None else conv_with_norm(block.shortcut, None)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        active = F.relu(z * self.scale + self.shift)
        inner = F.relu(self.conv2(F.relu(self.conv1(active))))
        return self.conv3(inner) + (z if self.shortcut is None else self.shortcut(active))


class RefineModule(nn.Module):
    """The paper's refine module: a projection, and a residual of three convolutions on it."""

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__()
        width, kernel = properties['width'], properties['kernel']
        self.project = FoldableConv2d(inputs, width, 1, norm=norm)
        self.mix = FoldableConv2d(width, width, 1, norm=norm)
        self.conv1 = FoldableConv2d(width, width, kernel, norm=norm)
        self.conv2 = FoldableConv2d(width, width, kernel, norm=norm)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, width, H, W)."""
        projected = self.project(features)
        return projected + self.conv2(F.relu(self.conv1(F.relu(self.mix(projected)))))

    def deployed(self, head: Optional[nn.Conv2d] = None) -> nn.Module:
        """See the module.

        Args:
            head: A 1×1 convolution right behind, which is multiplied in: both summands are linear
                in their last step.
        """
        return _FoldedRefine(self, head)


class _FoldedRefine(nn.Module):
    """A refine module whose two leading 1×1 convolutions read the input side by side."""

    def __init__(self, module: RefineModule, head: Optional[nn.Conv2d]) -> None:
        super().__init__()
        project, conv2 = module.project.deployed(), module.conv2.deployed()
        self.mix = conv_then_pointwise(project, module.mix.deployed())
        self.conv1 = module.conv1.deployed()
        self.project, self.conv2 = project, conv2
        if head is not None:
            self.project = conv_then_pointwise(project, head)
            # The sum carries the classifier's bias once, in the projection.
            self.conv2 = conv_then_pointwise(conv2, without_bias(head))

    @property
    def classifier(self) -> nn.Conv2d:
        """Whose bias is added to the logits, where a head was multiplied in."""
        return self.project

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        residual = F.relu(self.conv1(F.relu(self.mix(features))))
        return self.project(features) + self.conv2(residual)

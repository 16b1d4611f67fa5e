"""What the layers of a design compute.

Every block is built from (inputs, properties of its layer, norm) and has `deployed`, which gives
its inference form: a copy that computes the same with batch norms and neighbouring 1×1
convolutions multiplied out. Where `norm` is true, a batch norm follows each convolution while the
network is trained.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.fold import FoldableConv2d, conv_with_norm, deployed_parts
from edgesegnet_ros.network.paper_blocks import (
    BottleneckReduction,
    RefineModule,
    ResidualBottleneck,
)
from edgesegnet_ros.network.scene_blocks import (
    GridPyramid,
    NormLayer,
    PooledScene,
    ScenePyramid,
)

Properties = Dict[str, Any]


class ConvLayer(FoldableConv2d):
    """A convolution and, where wanted, a ReLU."""

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__(
            inputs,
            properties['width'],
            properties['kernel'],
            properties['stride'],
            norm,
            properties['dilation'],
        )
        self.relu = properties['act'] == 'relu'

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """(N, inputs, H, W) -> (N, width, H/stride, W/stride)."""
        output = super().forward(input)
        return F.relu(output) if self.relu else output

    def deployed(self) -> nn.Module:
        """See the module."""
        conv = conv_with_norm(self, self.norm)
        return nn.Sequential(conv, nn.ReLU()) if self.relu else conv


class MaxPoolLayer(nn.Module):
    """Max pooling."""

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__()
        self.kernel, self.stride = properties['kernel'], properties['stride']

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H/stride, W/stride)."""
        return F.max_pool2d(features, self.kernel, self.stride, self.kernel // 2)

    def deployed(self) -> nn.Module:
        """See the module."""
        return self


class ResidualBlock(nn.Module):
    """Two convolutions around a shortcut (He et al., arXiv 1512.03385).

    The shortcut of a block that changes size or width averages, then projects; with
    `shortcut: conv` it is a strided 1×1 convolution, as published.
    """

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__()
        width, kernel, stride = (properties[key] for key in ('width', 'kernel', 'stride'))
        dilation = properties['dilation']
        self.relu = properties['act'] == 'relu'
        self.first = FoldableConv2d(inputs, width, kernel, stride, norm, dilation)
        self.second = FoldableConv2d(width, width, kernel, norm=norm, dilation=dilation)
        self.pool: Optional[nn.Module] = None
        self.shortcut: Optional[FoldableConv2d] = None
        if stride != 1 or inputs != width:
            # Averaging sees every position, where a strided 1×1 would see one of four.
            averages = properties['shortcut'] == 'pool' and stride != 1
            self.pool = nn.AvgPool2d(stride, ceil_mode=True) if averages else None
            self.shortcut = FoldableConv2d(inputs, width, 1, 1 if averages else stride, norm)
        if self.second.norm is not None:
            # A block begins as its shortcut (Goyal et al., arXiv 1706.02677, section 5.1).
            nn.init.zeros_(self.second.norm.weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, width, H/stride, W/stride)."""
        beside = features if self.pool is None else self.pool(features)
        beside = beside if self.shortcut is None else self.shortcut(beside)
        total = self.second(F.relu(self.first(features))) + beside
        return F.relu(total) if self.relu else total

    def deployed(self) -> nn.Module:
        """See the module."""
        return deployed_parts(self)


class WideResidualBlock(nn.Module):
    """ResNet's 1×1, 3×3, 1×1 block, whose middle has `expansion` times its width."""

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__()
        width, kernel, stride = (properties[key] for key in ('width', 'kernel', 'stride'))
        inner = max(1, round(width * properties['expansion']))
        self.relu = properties['act'] == 'relu'
        self.first = FoldableConv2d(inputs, inner, 1, norm=norm)
        self.second = FoldableConv2d(inner, inner, kernel, stride, norm)
        self.third = FoldableConv2d(inner, width, 1, norm=norm)
        self.shortcut: Optional[FoldableConv2d] = None
        if stride != 1 or inputs != width:
            self.shortcut = FoldableConv2d(inputs, width, 1, stride, norm)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, width, H/stride, W/stride)."""
        inner = self.third(F.relu(self.second(F.relu(self.first(features)))))
        total = inner + (features if self.shortcut is None else self.shortcut(features))
        return F.relu(total) if self.relu else total

    def deployed(self) -> nn.Module:
        """See the module."""
        return deployed_parts(self)


class SeparableConv(nn.Module):
    """A depthwise convolution and a 1×1 (Chollet, arXiv 1610.02357)."""

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__()
        self.relu = properties['act'] == 'relu'
        self.depthwise = FoldableConv2d(
            inputs,
            inputs,
            properties['kernel'],
            properties['stride'],
            norm,
            properties['dilation'],
            groups=inputs,
        )
        self.pointwise = FoldableConv2d(inputs, properties['width'], 1, norm=norm)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, width, H/stride, W/stride)."""
        output = self.pointwise(F.relu(self.depthwise(features)))
        return F.relu(output) if self.relu else output

    def deployed(self) -> nn.Module:
        """See the module."""
        return deployed_parts(self)


class InvertedResidual(nn.Module):
    """Expand, depthwise, project (Sandler et al., arXiv 1801.04381)."""

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__()
        width, kernel, stride = (properties[key] for key in ('width', 'kernel', 'stride'))
        inner = max(1, round(inputs * properties['expansion']))
        self.adds = stride == 1 and inputs == width
        self.expand = FoldableConv2d(inputs, inner, 1, norm=norm)
        self.depthwise = FoldableConv2d(inner, inner, kernel, stride, norm, groups=inner)
        self.project = FoldableConv2d(inner, width, 1, norm=norm)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, width, H/stride, W/stride)."""
        inner = self.project(F.relu(self.depthwise(F.relu(self.expand(features)))))
        return features + inner if self.adds else inner

    def deployed(self) -> nn.Module:
        """See the module."""
        return deployed_parts(self)


class MergeLayer(nn.Module):
    """What it reads, merged, and a ReLU where wanted."""

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__()
        self.relu = properties['act'] == 'relu'

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same."""
        return F.relu(features) if self.relu else features

    def deployed(self) -> nn.Module:
        """See the module."""
        return self


class Repeated(nn.Sequential):
    """Blocks in a row."""

    def deployed(self) -> nn.Module:
        """See the module."""
        return nn.Sequential(*(block.deployed() for block in self))


_BLOCKS: Dict[str, Callable[[int, Properties, bool], nn.Module]] = {
    'conv': ConvLayer,
    'max_pool': MaxPoolLayer,
    'reduction': BottleneckReduction,
    'bottleneck': ResidualBottleneck,
    'residual': ResidualBlock,
    'wide_residual': WideResidualBlock,
    'separable': SeparableConv,
    'inverted': InvertedResidual,
    'refine': RefineModule,
    'pooled': PooledScene,
    'pyramid': ScenePyramid,
    'grid_pyramid': GridPyramid,
    'norm': NormLayer,
    'merge': MergeLayer,
}


def build_block(kind: str, inputs: int, properties: Properties, norm: bool) -> nn.Module:
    """The module of a layer.

    Args:
        kind: Key of `design.KINDS`.
        inputs: Channels that it reads.
        properties: Properties of its kind, all of them.
        norm: Whether convolutions carry a batch norm while they are trained.
    """
    count = properties.get('blocks', 1)
    blocks: List[nn.Module] = []
    for number in range(count):
        own = dict(properties)
        if number:
            own['stride'] = 1
        if kind in ('residual', 'wide_residual') and number < count - 1:
            own['act'] = 'relu'  # the layer's own is that of its last block
        blocks.append(_BLOCKS[kind](inputs, own, norm))
        inputs = properties.get('width', inputs)
    return blocks[0] if count == 1 else Repeated(*blocks)

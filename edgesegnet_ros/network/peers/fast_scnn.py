"""Fast-SCNN (Poudel, Liwicki, Cipolla 2019, arXiv 1902.04502), Tables 1 to 3."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.handwritten import HandwrittenNetwork
from edgesegnet_ros.network.peers.blocks import ConvNorm
from edgesegnet_ros.network.upsampling import enlarge


def _separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A depthwise 3×3 and a 1×1 convolution."""
    return nn.Sequential(
        ConvNorm(inputs, inputs, 3, stride, groups=inputs), ConvNorm(inputs, outputs, 1)
    )


class _InvertedResidual(nn.Module):
    """Table 2: MobileNetV2's bottleneck, expanded six times."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = 6 * inputs
        self.residual = stride == 1 and inputs == outputs
        self.inner = nn.Sequential(
            ConvNorm(inputs, wide, 1),
            ConvNorm(wide, wide, 3, stride, groups=wide),
            ConvNorm(wide, outputs, 1, relu=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x) if self.residual else self.inner(x)


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Three bottlenecks, the first with the stride."""
    return nn.Sequential(
        _InvertedResidual(inputs, outputs, stride),
        _InvertedResidual(outputs, outputs, 1),
        _InvertedResidual(outputs, outputs, 1),
    )


class _CellMeans(nn.AdaptiveAvgPool2d):
    """Means of a grid of cells; the inference form avoids the operator, which ONNX lacks."""

    def deployed(self) -> nn.Module:
        """See `HandwrittenInference`."""
        return _SlicedCellMeans(int(self.output_size))


class _SlicedCellMeans(nn.Module):
    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.cells == 1:
            return features.mean((2, 3), keepdim=True)
        for dim in (2, 3):  # a mean of means: the cells of a row have the same height
            size = int(features.shape[dim])
            parts = []
            for index in range(self.cells):
                first, end = index * size // self.cells, -(-(index + 1) * size // self.cells)
                part = features[:, :, first:end] if dim == 2 else features[:, :, :, first:end]
                parts.append(part.mean(dim, keepdim=True))
            features = torch.cat(parts, dim)
        return features


class _PyramidPooling(nn.Module):
    """PSPNet's pooling to 1, 2, 3 and 6 cells per side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(_CellMeans(cells), ConvNorm(channels, channels // 4, 1))
            for cells in (1, 2, 3, 6)
        )
        self.merge = ConvNorm(2 * channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.merge(torch.cat([x] + [enlarge(level(x), x) for level in self.levels], 1))


class FastSCNN(HandwrittenNetwork):
    """Fast-SCNN as it is deployed.

    The paper trains it with auxiliary losses (Section 3.5); here only the main head is trained.
    The paper gives 1.11 million parameters for 19 classes.

    Args:
        num_classes: Number of outputs.
    """

    head_stride = 8

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.learning_to_downsample = nn.Sequential(
            ConvNorm(3, 32, 3, 2), _separable(32, 48, 2), _separable(48, 64, 2)
        )
        self.global_features = nn.Sequential(
            _stage(64, 64, 2), _stage(64, 96, 2), _stage(96, 128, 1), _PyramidPooling(128)
        )
        # Table 3: the low resolution is enlarged four times, refined by a dilated depthwise
        # convolution, and both sides meet in 1x1 convolutions.
        self.refine = nn.Sequential(
            nn.Conv2d(128, 128, 3, padding=4, dilation=4, groups=128, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 128, 1),
            nn.BatchNorm2d(128),
        )
        self.high = nn.Sequential(nn.Conv2d(64, 128, 1), nn.BatchNorm2d(128))
        self.before_head = nn.Sequential(
            _separable(128, 128), _separable(128, 128), nn.Dropout(0.1)
        )
        self.head = nn.Conv2d(128, num_classes, 1)

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        """See `HandwrittenNetwork.coarse_logits`."""
        high = self.learning_to_downsample(image)
        low = enlarge(self.global_features(high), high)
        merged = F.relu(self.high(high) + self.refine(low))
        return self.head(self.before_head(merged))

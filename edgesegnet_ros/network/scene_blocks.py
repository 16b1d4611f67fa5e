"""Layers that tell every position about the whole scene, and norms of their own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.fold import FoldableConv2d, deployed_parts, norm_scale_and_shift
from edgesegnet_ros.network.upsampling import enlarge

Properties = Dict[str, Any]


class PooledScene(nn.Module):
    """Adds to every position what the mean over all of them says (arXiv 1506.04579)."""

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__()
        self.read = nn.Conv2d(inputs, inputs, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same."""
        return features + F.relu(self.read(features.mean((2, 3), keepdim=True)))

    def deployed(self) -> nn.Module:
        """See the module."""
        return self


class _Activated(nn.Module):
    """A batch norm that follows no convolution, and a ReLU: a scale and a shift, deployed."""

    def __init__(self, width: int, relu: bool = True) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.relu = relu

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        output = self.norm(features)
        return F.relu(output) if self.relu else output

    def deployed(self) -> nn.Module:
        return _ScaledAndShifted(self.norm, self.relu)


class _ScaledAndShifted(nn.Module):
    def __init__(self, norm: nn.BatchNorm2d, relu: bool) -> None:
        super().__init__()
        scale, shift = norm_scale_and_shift(norm)
        self.register_buffer('scale', scale.reshape(1, -1, 1, 1).clone())
        self.register_buffer('shift', shift.reshape(1, -1, 1, 1).clone())
        self.relu = relu

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        output = features * self.scale + self.shift
        return F.relu(output) if self.relu else output


class NormLayer(_Activated):
    """A batch norm on its own, which stays in the trained network."""

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__(inputs, properties['act'] == 'relu')


class _NormConv(nn.Module):
    """Batch norm, ReLU, and a convolution: pre-activated."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.before = _Activated(inputs)
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.conv(self.before(features))

    def deployed(self) -> nn.Module:
        return nn.Sequential(self.before.deployed(), self.conv)


class ScenePyramid(nn.Module):
    """Pooled contexts, each refined on top of the smaller one (DDRNet, arXiv 2101.06085, Fig. 5).

    Its batch norms precede its convolutions and stay in the trained network.
    """

    POOLS = ((5, 2), (9, 4), (17, 8))
    """Kernel and stride of the poolings; one more takes the mean of everything."""

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__()
        branch, width = properties['branch'], properties['width']
        self.first = _NormConv(inputs, branch, 1)
        count = len(self.POOLS) + 1
        self.pooled = nn.ModuleList(_NormConv(inputs, branch, 1) for _ in range(count))
        self.process = nn.ModuleList(_NormConv(branch, branch, 3) for _ in range(count))
        self.compress = _NormConv((count + 1) * branch, width, 1)
        self.shortcut = _NormConv(inputs, width, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, width, H, W)."""
        contexts = [self.first(features)]
        for index, (read, process) in enumerate(zip(self.pooled, self.process)):
            if index < len(self.POOLS):
                kernel, stride = self.POOLS[index]
                pooled = F.avg_pool2d(features, kernel, stride, kernel // 2)
            else:
                pooled = features.mean((2, 3), keepdim=True)
            contexts.append(process(enlarge(read(pooled), features) + contexts[-1]))
        return self.compress(torch.cat(contexts, 1)) + self.shortcut(features)

    def deployed(self) -> nn.Module:
        """See the module."""
        return deployed_parts(self)


class GridPyramid(nn.Module):
    """The features beside their means over grids of 1, 2, 3 and 6 cells a side, merged by a 1×1.

    The pyramid pooling module of PSPNet (Zhao et al., arXiv 1612.01105, section 3.2), whose 1×1
    convolutions give a quarter of the input's channels for each grid.
    """

    CELLS = (1, 2, 3, 6)

    def __init__(self, inputs: int, properties: Properties, norm: bool) -> None:
        super().__init__()
        branch = max(1, inputs // 4)
        self.levels = nn.ModuleList(
            FoldableConv2d(inputs, branch, 1, norm=norm) for _ in self.CELLS
        )
        merged = inputs + len(self.CELLS) * branch
        self.merge = FoldableConv2d(merged, properties['width'], 1, norm=norm)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, width, H, W)."""
        parts = [features]
        for cells, level in zip(self.CELLS, self.levels):
            parts.append(enlarge(F.relu(level(_mean_of_cells(features, cells))), features))
        return F.relu(self.merge(torch.cat(parts, 1)))

    def deployed(self) -> nn.Module:
        """See the module."""
        return deployed_parts(self)


def _mean_of_cells(features: torch.Tensor, cells: int) -> torch.Tensor:
    """`F.adaptive_avg_pool2d(features, cells)`, as matrix products.

    No engine's converter knows adaptive pooling to a size that does not divide the features' size.
    """
    height, width = features.shape[2:]
    rows = _averages(int(height), cells, features.device, features.dtype)
    columns = _averages(int(width), cells, features.device, features.dtype)
    return torch.matmul(torch.matmul(rows, features), columns.t())


@lru_cache(maxsize=64)
def _averages(size: int, cells: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """(cells, size): each row averages the positions of its cell, as adaptive pooling does."""
    rows = []
    for cell in range(cells):
        first, last = cell * size // cells, -(-(cell + 1) * size // cells)
        rows.append([float(first <= at < last) / (last - first) for at in range(size)])
    with torch.inference_mode(False):
        return torch.tensor(rows, device=device, dtype=dtype)

"""Layers that tell every position about the whole scene, and norms of their own."""

from __future__ import annotations

from typing import Any, Dict

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.fold import deployed_parts, norm_scale_and_shift
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

"""PIDNet-S (Xu, Xiong, Bhattacharyya 2023, arXiv 2206.02066), Table 2 and Figs. 4 to 7."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.handwritten import HandwrittenNetwork
from edgesegnet_ros.network.peers.blocks import (
    POOLS,
    BasicBlock,
    BottleneckBlock,
    ConvNorm,
    NormConv,
    basic_stage,
    before_head,
    pooled,
    stem,
)
from edgesegnet_ros.network.upsampling import enlarge


class _PixelAttentionFusion(nn.Module):
    """Fig. 4 (Pag): takes features from the integral branch where both agree."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.of_p = ConvNorm(channels, middle, 1, relu=False)
        self.of_i = ConvNorm(channels, middle, 1, relu=False)

    def forward(self, p: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
        agreement = self.of_p(p) * enlarge(self.of_i(i), p)
        share = torch.sigmoid(agreement.sum(1, keepdim=True))
        return (1 - share) * p + share * enlarge(i, p)


class _ParallelPyramidPooling(nn.Module):
    """Fig. 5 (PAPPM): pooled contexts as in DDRNet, refined in parallel."""

    def __init__(self, inputs: int, branch: int, outputs: int) -> None:
        super().__init__()
        self.first = NormConv(inputs, branch, 1)
        self.pools = nn.ModuleList(pooled(inputs, branch, *pool) for pool in POOLS)
        self.process = NormConv(4 * branch, 4 * branch, 3, groups=4)
        self.compress = NormConv(5 * branch, outputs, 1)
        self.shortcut = NormConv(inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        contexts = [enlarge(pool(x), x) + first for pool in self.pools]
        processed = self.process(torch.cat(contexts, 1))
        return self.compress(torch.cat((first, processed), 1)) + self.shortcut(x)


class _LightBag(nn.Module):
    """Fig. 6 (Light-Bag): the boundary decides between detail and context."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.of_p = ConvNorm(channels, channels, 1, relu=False)
        self.of_i = ConvNorm(channels, channels, 1, relu=False)

    def forward(self, p: torch.Tensor, i: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        edge = torch.sigmoid(d)
        return self.of_p((1 - edge) * i + p) + self.of_i(i + edge * p)


class PIDNetS(HandwrittenNetwork):
    """PIDNet-S as it is deployed: P keeps detail, I gathers context, D finds boundaries.

    The paper trains it with auxiliary heads, one of them for boundaries; here only the main head
    is trained, so D learns boundaries only from the labels. The paper's Table
    6 gives 7.6 million parameters.

    Args:
        num_classes: Number of outputs.
    """

    head_stride = 8

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.stem = stem(32)
        self.layer1 = basic_stage(32, 32, 2)
        self.layer2 = basic_stage(32, 64, 2, 2)
        self.i3 = basic_stage(64, 128, 3, 2)
        self.i4 = basic_stage(128, 256, 3, 2)
        self.i5 = nn.Sequential(BottleneckBlock(256, 256, 2, True), BottleneckBlock(512, 256))
        self.p3 = basic_stage(64, 64, 2)
        self.p4 = basic_stage(64, 64, 2)
        self.p5 = BottleneckBlock(64, 64)
        self.d3 = BasicBlock(64, 32, relu=False)
        self.d4 = BottleneckBlock(32, 32)
        self.d5 = BottleneckBlock(64, 64)
        self.i3_to_p = ConvNorm(128, 64, 1, relu=False)
        self.i4_to_p = ConvNorm(256, 64, 1, relu=False)
        self.i3_to_d = ConvNorm(128, 32, relu=False)
        self.i4_to_d = ConvNorm(256, 64, relu=False)
        self.fuse3 = _PixelAttentionFusion(64, 32)
        self.fuse4 = _PixelAttentionFusion(64, 32)
        self.pyramid = _ParallelPyramidPooling(512, 96, 128)
        self.merge = _LightBag(128)
        self.before_head = before_head(128, 128)
        self.head = nn.Conv2d(128, num_classes, 1)

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        """See `HandwrittenNetwork.coarse_logits`."""
        x = F.relu(self.layer2(F.relu(self.layer1(self.stem(image)))))
        p, d = self.p3(x), self.d3(x)
        i = F.relu(self.i3(x))
        p = self.fuse3(p, self.i3_to_p(i))
        d = d + enlarge(self.i3_to_d(i), d)
        i = F.relu(self.i4(i))
        p, d = self.p4(F.relu(p)), self.d4(F.relu(d))
        p = self.fuse4(p, self.i4_to_p(i))
        d = d + enlarge(self.i4_to_d(i), d)
        p, d = self.p5(F.relu(p)), self.d5(F.relu(d))
        i = enlarge(self.pyramid(self.i5(i)), p)
        return self.head(self.before_head(self.merge(p, i, d)))

"""DDRNet-23-slim (Hong, Pan, Sun, Jia 2021, arXiv 2101.06085), Table I and Figs. 3 to 5."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.handwritten import HandwrittenNetwork
from edgesegnet_ros.network.peers.blocks import (
    POOLS,
    BottleneckBlock,
    ConvNorm,
    NormConv,
    basic_stage,
    before_head,
    pooled,
    stem,
)
from edgesegnet_ros.network.upsampling import enlarge


class DeepAggregationPyramidPooling(nn.Module):
    """Fig. 5 (DAPPM): pooled contexts, each refined together with the next smaller one.

    Args:
        inputs: Channels.
        branch: Channels of each context.
        outputs: Channels.
    """

    def __init__(self, inputs: int, branch: int, outputs: int) -> None:
        super().__init__()
        self.first = NormConv(inputs, branch, 1)
        self.pools = nn.ModuleList(pooled(inputs, branch, *pool) for pool in POOLS)
        self.process = nn.ModuleList(NormConv(branch, branch, 3) for _ in POOLS)
        self.compress = NormConv(5 * branch, outputs, 1)
        self.shortcut = NormConv(inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        contexts = [self.first(x)]
        for pool, process in zip(self.pools, self.process):
            contexts.append(process(enlarge(pool(x), x) + contexts[-1]))
        return self.compress(torch.cat(contexts, 1)) + self.shortcut(x)


class DDRNet23Slim(HandwrittenNetwork):
    """DDRNet-23-slim as it is deployed.

    The paper trains it with an auxiliary head; here only the main head is trained. The paper's
    Table IV gives 5.7 million parameters.

    Args:
        num_classes: Number of outputs.
    """

    head_stride = 8

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.stem = stem(32)
        self.layer1 = basic_stage(32, 32, 2)
        self.layer2 = basic_stage(32, 64, 2, 2)
        self.low3 = basic_stage(64, 128, 2, 2)
        self.low4 = basic_stage(128, 256, 2, 2)
        self.low5 = BottleneckBlock(256, 256, 2)
        self.high3 = basic_stage(64, 64, 2)
        self.high4 = basic_stage(64, 64, 2)
        self.high5 = BottleneckBlock(64, 64)
        self.low_to_high3 = ConvNorm(128, 64, 1, relu=False)
        self.low_to_high4 = ConvNorm(256, 64, 1, relu=False)
        self.high_to_low3 = ConvNorm(64, 128, 3, 2, relu=False)
        self.high_to_low4 = nn.Sequential(
            ConvNorm(64, 128, 3, 2), ConvNorm(128, 256, 3, 2, relu=False)
        )
        self.pyramid = DeepAggregationPyramidPooling(512, 128, 128)
        self.before_head = before_head(128, 64)
        self.head = nn.Conv2d(64, num_classes, 1)

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        """See `HandwrittenNetwork.coarse_logits`."""
        x = self.layer2(F.relu(self.layer1(self.stem(image))))
        low, high = self.low3(F.relu(x)), self.high3(F.relu(x))
        low, high = (
            low + self.high_to_low3(F.relu(high)),
            high + enlarge(self.low_to_high3(F.relu(low)), high),
        )
        low, high = self.low4(F.relu(low)), self.high4(F.relu(high))
        low, high = (
            low + self.high_to_low4(F.relu(high)),
            high + enlarge(self.low_to_high4(F.relu(low)), high),
        )
        context = self.pyramid(self.low5(F.relu(low)))
        high = self.high5(F.relu(high))
        return self.head(self.before_head(high + enlarge(context, high)))

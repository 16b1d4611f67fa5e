"""BiSeNetV2 (Yu, Gao, Wang, Yu, Shen, Sang 2020, arXiv 2004.02147), Table 1 and Figs. 4 to 6."""

from __future__ import annotations

from typing import List

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.handwritten import HandwrittenNetwork
from edgesegnet_ros.network.peers.blocks import ConvNorm
from edgesegnet_ros.network.upsampling import enlarge


class _Stem(nn.Module):
    """Fig. 4a: two branches that both halve the size twice, merged."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvNorm(3, 16, 3, 2)
        self.left = nn.Sequential(ConvNorm(16, 8, 1), ConvNorm(8, 16, 3, 2))
        self.fuse = ConvNorm(32, 16)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.conv(image)
        pooled = F.max_pool2d(x, 3, stride=2, padding=1)
        return self.fuse(torch.cat((self.left(x), pooled), 1))


class _GatherExpand(nn.Module):
    """Fig. 5b, and 5c with a stride of 2: a 3×3, depthwise expansion by six, and a 1×1."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        wide = 6 * inputs
        if stride == 1:
            depthwise: List[nn.Module] = [ConvNorm(inputs, wide, 3, groups=inputs)]
            self.shortcut: nn.Module = nn.Identity()
        else:
            depthwise = [
                ConvNorm(inputs, wide, 3, 2, groups=inputs, relu=False),
                ConvNorm(wide, wide, 3, groups=wide),
            ]
            self.shortcut = nn.Sequential(
                ConvNorm(inputs, inputs, 3, 2, groups=inputs, relu=False),
                ConvNorm(inputs, outputs, 1, relu=False),
            )
        self.inner = nn.Sequential(
            ConvNorm(inputs, inputs), *depthwise, ConvNorm(wide, outputs, 1, relu=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.inner(x) + self.shortcut(x))


class _ContextEmbedding(nn.Module):
    """Fig. 4b: the global average, added to every position."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.embed = ConvNorm(channels, channels, 1)
        self.last = ConvNorm(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.norm(x.mean((2, 3), keepdim=True))
        return self.last(self.embed(mean) + x)


class _GuidedAggregation(nn.Module):
    """Fig. 6: detail and semantics, each gated by the other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        c = channels
        self.detail_keep = nn.Sequential(
            ConvNorm(c, c, 3, groups=c, relu=False), nn.Conv2d(c, c, 1, bias=False)
        )
        self.detail_down = nn.Sequential(ConvNorm(c, c, 3, 2, relu=False), nn.AvgPool2d(3, 2, 1))
        self.semantic_up = ConvNorm(c, c, relu=False)
        self.semantic_keep = nn.Sequential(
            ConvNorm(c, c, 3, groups=c, relu=False), nn.Conv2d(c, c, 1, bias=False)
        )
        self.merge = ConvNorm(c, c)

    def forward(self, detail: torch.Tensor, semantic: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(enlarge(self.semantic_up(semantic), detail))
        high = self.detail_keep(detail) * gate
        low = self.detail_down(detail) * torch.sigmoid(self.semantic_keep(semantic))
        return self.merge(high + enlarge(low, detail))


class BiSeNetV2(HandwrittenNetwork):
    """BiSeNetV2 as it is deployed.

    The paper trains it with auxiliary heads (Section 4.4); here only the main head is trained.
    Widths are those of Table 1; the hidden width of the classifier is 1,024 (the best one in
    Section 5.2).

    Args:
        num_classes: Number of outputs.
    """

    head_stride = 8

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.detail = nn.Sequential(
            ConvNorm(3, 64, 3, 2),
            ConvNorm(64, 64),
            ConvNorm(64, 64, 3, 2),
            ConvNorm(64, 64),
            ConvNorm(64, 64),
            ConvNorm(64, 128, 3, 2),
            ConvNorm(128, 128),
            ConvNorm(128, 128),
        )
        self.semantic = nn.Sequential(
            _Stem(),
            _GatherExpand(16, 32, 2),
            _GatherExpand(32, 32),
            _GatherExpand(32, 64, 2),
            _GatherExpand(64, 64),
            _GatherExpand(64, 128, 2),
            *(_GatherExpand(128, 128) for _ in range(3)),
            _ContextEmbedding(128),
        )
        self.aggregate = _GuidedAggregation(128)
        self.before_head = ConvNorm(128, 1024)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Conv2d(1024, num_classes, 1)

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        """See `HandwrittenNetwork.coarse_logits`."""
        merged = self.aggregate(self.detail(image), self.semantic(image))
        return self.head(self.dropout(self.before_head(merged)))

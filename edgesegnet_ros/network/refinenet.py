"""RefineNet-101 (Lin, Milan, Shen, Reid, arXiv 1611.06612), to which EdgeSegNet is compared.

Widths, biases and the number of pooling stages are those of the published code, since the paper
leaves them open: 118.1 M parameters at 32 classes.
"""

from __future__ import annotations

from typing import Optional

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgesegnet_ros.network.handwritten import HandwrittenNetwork
from edgesegnet_ros.network.resnet import STAGE_WIDTHS, Bottleneck, ResNet101, conv3x3

COARSEST_WIDTH = 512
"""Channels of the block that works at 1/32 of the input's size."""
WIDTH = 256
"""Channels of the other three blocks."""
POOLING_STAGES = 4
DROPOUT = 0.5


class ResidualConvUnit(nn.Module):
    """ReLU, 3×3, ReLU, 3×3 around a shortcut (Fig. 3b)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(width, width, bias=True)
        self.conv2 = conv3x3(width, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, width, H, W) -> the same."""
        return features + self.conv2(F.relu(self.conv1(F.relu(features))))


class ChainedResidualPooling(nn.Module):
    """A chain of max-pool 5×5 and 3×3 whose every stage is added to the input (Fig. 3d)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv3x3(width, width) for _ in range(POOLING_STAGES))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, width, H, W) -> the same."""
        total = link = F.relu(features)
        for conv in self.convs:
            link = conv(F.max_pool2d(link, 5, stride=1, padding=2))
            total = total + link
        return total


class RefineNetBlock(nn.Module):
    """One of the cascade (Fig. 3a): adapt a stage's features, fuse, pool, refine.

    Args:
        inputs: Channels of the ResNet stage.
        width: Channels inside.
        coarser: Channels of the block before, which works at half this one's size; None for the
            first.
    """

    def __init__(self, inputs: int, width: int, coarser: Optional[int]) -> None:
        super().__init__()
        self.project = conv3x3(inputs, width)
        self.adapt = nn.Sequential(ResidualConvUnit(width), ResidualConvUnit(width))
        self.fuse: Optional[nn.Conv2d] = None
        self.fuse_coarser: Optional[nn.Conv2d] = None
        if coarser is not None:
            self.fuse = conv3x3(width, width)
            self.fuse_coarser = conv3x3(coarser, width)
        self.pool = ChainedResidualPooling(width)
        self.refine = nn.Sequential(*(ResidualConvUnit(width) for _ in range(3)))

    def forward(
        self, features: torch.Tensor, coarser: Optional[torch.Tensor] = None
    ) -> torch.Tensor:
        """(N, inputs, H, W) and (N, coarser, ⌈H/2⌉, ⌈W/2⌉) -> (N, width, H, W)."""
        fused = self.adapt(self.project(features))
        if self.fuse is not None and self.fuse_coarser is not None and coarser is not None:
            enlarged = F.interpolate(
                self.fuse_coarser(coarser),
                size=fused.shape[2:],
                mode='bilinear',
                align_corners=False,
            )
            fused = self.fuse(fused) + enlarged
        return self.refine(self.pool(fused))


class RefineNet101(HandwrittenNetwork):
    """RefineNet on a ResNet-101, for any height and width divisible by 16.

    Args:
        num_classes: Outputs of the classifier; 32 give 118.1 M parameters.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.backbone = ResNet101()
        widths = (COARSEST_WIDTH, WIDTH, WIDTH, WIDTH)
        self.blocks = nn.ModuleList(
            RefineNetBlock(inputs, width, coarser)
            for inputs, width, coarser in zip(
                reversed(STAGE_WIDTHS), widths, (None, COARSEST_WIDTH, WIDTH, WIDTH)
            )
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.head = conv3x3(WIDTH, num_classes, bias=True)

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        """Logits at a quarter of the input's size: (N, 3, H, W) -> (N, num_classes, H/4, W/4).

        Args:
            image: Normalised floats.
        """
        stages = self.backbone(image)
        # The published code drops out the two coarsest stages and the classifier's input.
        stages[2], stages[3] = self.dropout(stages[2]), self.dropout(stages[3])
        refined = None
        for block, features in zip(self.blocks, reversed(stages)):
            refined = block(features, refined)
        return self.head(self.dropout(refined))

    def fold_norms(self) -> None:
        """See `HandwrittenNetwork.fold_norms`."""
        backbone = self.backbone
        backbone.conv, backbone.norm = _fused(backbone.conv, backbone.norm)
        for module in backbone.modules():
            if isinstance(module, Bottleneck):
                module.conv1, module.norm1 = _fused(module.conv1, module.norm1)
                module.conv2, module.norm2 = _fused(module.conv2, module.norm2)
                module.conv3, module.norm3 = _fused(module.conv3, module.norm3)
                if len(module.shortcut):
                    module.shortcut = nn.Sequential(*_fused(*module.shortcut))


def _fused(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple:
    return fuse_conv_bn_eval(conv, norm), nn.Identity()

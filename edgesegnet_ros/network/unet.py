"""A U-Net on a residual encoder: the teacher that EdgeSegNet is distilled from, never deployed.

Encoder after He et al. (arXiv 1512.03385, the basic blocks of their 34 layers), decoder after
Ronneberger et al. (arXiv 1505.04597), scene context by pooling after ParseNet (Liu et al., arXiv
1506.04579). It sees whole scenes, with more than twice EdgeSegNet's depth and two thirds of its
multiplications.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgesegnet_ros.network.handwritten import HandwrittenNetwork

WIDTHS = (64, 128, 256, 384)
"""Channels of the stages, at 1/4, 1/8, 1/16 and 1/32 of the input's size."""
BLOCKS = (3, 4, 6, 2)
"""Residual blocks of the stages."""
STEM_WIDTH = 32
DECODER_WIDTH = 96
"""Channels that the classifier reads."""
DROPOUT = 0.2


class ConvNorm(nn.Module):
    """A convolution without bias and the batch norm behind it."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return self.norm(self.conv(features))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut; the first carries the stride."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, stride=stride)
        self.second = ConvNorm(outputs, outputs)
        # A block begins as its shortcut (Goyal et al., arXiv 1706.02677, section 5.1).
        nn.init.zeros_(self.second.norm.weight)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            # Averaging sees every position, where a strided 1×1 would see one of four.
            pool = nn.AvgPool2d(stride, ceil_mode=True)
            self.shortcut = nn.Sequential(pool, ConvNorm(inputs, outputs, kernel=1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        inner = self.second(F.relu(self.first(features)))
        return F.relu(inner + self.shortcut(features))


class SceneContext(nn.Module):
    """Adds to every position what the mean over all of them says."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.Conv2d(width, width, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, width, H, W) -> the same."""
        return features + F.relu(self.read(features.mean((2, 3), keepdim=True)))


class UNet(HandwrittenNetwork):
    """The teacher, for any height and width divisible by 16.

    Args:
        num_classes: Outputs of the classifier.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.stem = nn.Sequential(
            ConvNorm(3, STEM_WIDTH, stride=2),
            nn.ReLU(),
            ConvNorm(STEM_WIDTH, WIDTHS[0], stride=2),
            nn.ReLU(),
        )
        stages, inputs = [], WIDTHS[0]
        for number, (blocks, width) in enumerate(zip(BLOCKS, WIDTHS)):
            stride = 2 if number else 1
            stages.append(
                nn.Sequential(
                    BasicBlock(inputs, width, stride),
                    *(BasicBlock(width, width) for _ in range(blocks - 1)),
                )
            )
            inputs = width
        self.stages = nn.ModuleList(stages)
        self.context = SceneContext(WIDTHS[-1])
        self.dropout = nn.Dropout2d(DROPOUT)
        decoder = []
        for width in reversed(WIDTHS[:-1]):
            outputs = max(width, DECODER_WIDTH)
            decoder.append(
                nn.Sequential(
                    ConvNorm(inputs + width, outputs),
                    nn.ReLU(),
                    ConvNorm(outputs, outputs),
                    nn.ReLU(),
                )
            )
            inputs = outputs
        self.decoder = nn.ModuleList(decoder)
        self.head = nn.Conv2d(inputs, num_classes, 1)

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        """Logits at a quarter of the input's size: (N, 3, H, W) -> (N, num_classes, H/4, W/4).

        Args:
            image: Normalised floats.
        """
        features = self.stem(image)
        finer = []
        for stage in self.stages:
            features = stage(features)
            finer.append(features)
        features = self.dropout(self.context(finer.pop()))
        for block in self.decoder:
            beside = finer.pop()
            enlarged = F.interpolate(
                features, size=beside.shape[2:], mode='bilinear', align_corners=False
            )
            features = block(torch.cat([enlarged, beside], dim=1))
        return self.head(self.dropout(features))

    def fold_norms(self) -> None:
        """See `HandwrittenNetwork.fold_norms`."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.conv = fuse_conv_bn_eval(module.conv, module.norm)
                module.norm = nn.Identity()

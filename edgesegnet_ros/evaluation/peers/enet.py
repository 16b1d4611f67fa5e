"""ENet (Paszke, Chaurasia, Kim, Culurciello 2016, arXiv 1606.02147), Table 1 and Section 3."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


def _norm_act(channels: int, prelu: bool) -> list[nn.Module]:
    act: nn.Module = nn.PReLU(channels) if prelu else nn.ReLU(inplace=True)
    return [nn.BatchNorm2d(channels), act]


class _Initial(nn.Module):
    """Fig. 2a: 13 convolved and 3 pooled channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 13, 3, stride=2, padding=1, bias=False)
        self.after = nn.Sequential(*_norm_act(16, True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(torch.cat((self.conv(x), F.max_pool2d(x, 2)), 1))


class _Bottleneck(nn.Module):
    """Fig. 2b at one size: regular, dilated or asymmetric."""

    def __init__(
        self, channels: int, dilation: int = 1, asymmetric: bool = False, prelu: bool = True
    ) -> None:
        super().__init__()
        inner = channels // 4
        if asymmetric:
            middle: list[nn.Module] = [
                nn.Conv2d(inner, inner, (5, 1), padding=(2, 0), bias=False),
                nn.Conv2d(inner, inner, (1, 5), padding=(0, 2), bias=False),
            ]
        else:
            middle = [nn.Conv2d(inner, inner, 3, padding=dilation, dilation=dilation, bias=False)]
        self.inner = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            *_norm_act(inner, prelu),
            *middle,
            *_norm_act(inner, prelu),
            nn.Conv2d(inner, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.act = _norm_act(channels, prelu)[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.inner(x))


class _Down(nn.Module):
    """Fig. 2b halving: max pooling with indices, channels padded with zeros."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.more = outputs - inputs
        self.inner = nn.Sequential(
            nn.Conv2d(inputs, inner, 2, stride=2, bias=False),
            *_norm_act(inner, True),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            *_norm_act(inner, True),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.act = nn.PReLU(outputs)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled, indices = F.max_pool2d(x, 2, return_indices=True)
        padded = F.pad(pooled, (0, 0, 0, 0, 0, self.more))
        return self.act(padded + self.inner(x)), indices


class _Up(nn.Module):
    """Fig. 2b doubling: max unpooling beside a transposed convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.inner = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False),
            *_norm_act(inner, False),
            nn.ConvTranspose2d(inner, inner, 3, stride=2, padding=1, output_padding=1, bias=False),
            *_norm_act(inner, False),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        return F.relu(_unpooled(self.main(x), indices) + self.inner(x))


def _unpooled(x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Max unpooling to twice the size; F.max_unpool2d gives the same, and OpenVINO lacks it."""
    number, channels, height, width = x.shape
    wide = x.new_zeros(number, channels, 4 * height * width)
    wide = wide.scatter(2, indices.flatten(2), x.flatten(2))
    return wide.reshape(number, channels, 2 * height, 2 * width)


def _deep_stage() -> nn.Sequential:
    """Bottlenecks x.1 to x.8 of stages 2 and 3."""
    return nn.Sequential(
        _Bottleneck(128),
        _Bottleneck(128, 2),
        _Bottleneck(128, asymmetric=True),
        _Bottleneck(128, 4),
        _Bottleneck(128),
        _Bottleneck(128, 8),
        _Bottleneck(128, asymmetric=True),
        _Bottleneck(128, 16),
    )


class ENet(nn.Module):
    """ENet without its dropout, which does nothing at inference.

    The paper's Table III gives 0.37 million parameters. Where its text leaves a width or a kernel
    open, the authors' own code decides: a bottleneck works at a quarter of its output's width.

    Args:
        num_classes: Outputs.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.initial = _Initial()
        self.down1 = _Down(16, 64)
        self.stage1 = nn.Sequential(*(_Bottleneck(64) for _ in range(4)))
        self.down2 = _Down(64, 128)
        self.stage2 = _deep_stage()
        self.stage3 = _deep_stage()
        self.up4 = _Up(128, 64)
        self.stage4 = nn.Sequential(*(_Bottleneck(64, prelu=False) for _ in range(2)))
        self.up5 = _Up(64, 16)
        self.stage5 = _Bottleneck(16, prelu=False)
        self.full = nn.ConvTranspose2d(16, num_classes, 2, stride=2, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits: (N, 3, H, W) -> (N, num_classes, H, W), H and W divisible by 8."""
        x, first = self.down1(self.initial(image))
        x, second = self.down2(self.stage1(x))
        x = self.stage4(self.up4(self.stage3(self.stage2(x)), second))
        return self.full(self.stage5(self.up5(x, first)))

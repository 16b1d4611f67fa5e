"""ENet (Paszke, Chaurasia, Kim, Culurciello 2016, arXiv 1606.02147), Table 1 and Section 3."""

from __future__ import annotations

from typing import List, Tuple

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.handwritten import HandwrittenNetwork


def _norm_act(channels: int, prelu: bool) -> List[nn.Module]:
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
        self,
        channels: int,
        dilation: int = 1,
        asymmetric: bool = False,
        prelu: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        inner = channels // 4
        if asymmetric:
            middle: List[nn.Module] = [
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
            nn.Dropout2d(dropout),
        )
        self.act = _norm_act(channels, prelu)[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.inner(x))


class _Down(nn.Module):
    """Fig. 2b with halving: max pooling with positions, channels padded with zeros."""

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.1) -> None:
        super().__init__()
        inner = outputs // 4
        self.inputs = inputs
        self.inner = nn.Sequential(
            nn.Conv2d(inputs, inner, 2, stride=2, bias=False),
            *_norm_act(inner, True),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            *_norm_act(inner, True),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.Dropout2d(dropout),
        )
        self.act = nn.PReLU(outputs)

    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        pooled, inner = F.max_pool2d(x, 2), self.inner(x)
        # The padding with zeros adds nothing to the last channels.
        total = torch.cat((inner[:, : self.inputs] + pooled, inner[:, self.inputs :]), 1)
        return self.act(total), _largest(x)


class _Up(nn.Module):
    """Fig. 2b with doubling: max unpooling beside a transposed convolution."""

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
            nn.Dropout2d(0.1),
        )

    def forward(self, x: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
        return F.relu(_unpooled(self.main(x), largest) + self.inner(x))


@torch.no_grad()
def _largest(x: torch.Tensor) -> torch.Tensor:
    """Which of each 2x2 elements max pooling takes: the first of the largest, row by row.

    Indices and max unpooling are equivalent, but OpenVINO, ONNX or TensorRT lack one or both.

    Args:
        x: (N, C, H, W).

    Returns:
        (N, C, 4, H/2, W/2), 1 for the element that is taken and 0 for the others.
    """
    upper, lower = x[:, :, 0::2], x[:, :, 1::2]
    # 1 where the right element is larger than the left, and the lower row's than the upper's.
    right = (upper[..., 1::2] > upper[..., 0::2]).to(x.dtype)
    right_below = (lower[..., 1::2] > lower[..., 0::2]).to(x.dtype)
    of_upper = torch.maximum(upper[..., 0::2], upper[..., 1::2])
    of_lower = torch.maximum(lower[..., 0::2], lower[..., 1::2])
    below = (of_lower > of_upper).to(x.dtype)
    above = 1 - below
    parts = (above * (1 - right), above * right, below * (1 - right_below), below * right_below)
    return torch.stack(parts, 2)


def _unpooled(x: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
    """Max unpooling of (N, C, h, w) to (N, C, 2h, 2w), as F.max_unpool2d does it."""
    return F.pixel_shuffle((x.unsqueeze(2) * largest).flatten(1, 2), 2)


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


class ENet(HandwrittenNetwork):
    """ENet, trained end to end; the paper first trains the encoder with a separate output.

    The paper's Table III gives 0.37 million parameters. If its text does not state a width or a
    kernel, the code of the authors decides: a bottleneck has a quarter of the width of its output.

    Args:
        num_classes: Number of outputs.
    """

    head_stride = 1

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.initial = _Initial()
        self.down1 = _Down(16, 64, 0.01)
        self.stage1 = nn.Sequential(*(_Bottleneck(64, dropout=0.01) for _ in range(4)))
        self.down2 = _Down(64, 128)
        self.stage2 = _deep_stage()
        self.stage3 = _deep_stage()
        self.up4 = _Up(128, 64)
        self.stage4 = nn.Sequential(*(_Bottleneck(64, prelu=False) for _ in range(2)))
        self.up5 = _Up(64, 16)
        self.stage5 = _Bottleneck(16, prelu=False)
        self.head = nn.ConvTranspose2d(16, num_classes, 2, stride=2, bias=False)

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        """See `HandwrittenNetwork.coarse_logits`."""
        x, first = self.down1(self.initial(image))
        x, second = self.down2(self.stage1(x))
        x = self.stage4(self.up4(self.stage3(self.stage2(x)), second))
        return self.head(self.stage5(self.up5(x, first)))

"""ERFNet (Romera, Alvarez, Bergasa, Arroyo 2017, IEEE T-ITS 19(1)), Table I."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.handwritten import HandwrittenNetwork

_EPS = 1e-3


class _Down(nn.Module):
    """The downsampler: a strided convolution beside a max pooling (after ENet)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs - inputs, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(outputs, eps=_EPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.norm(torch.cat((self.conv(x), F.max_pool2d(x, 2)), 1)))


class _NonBottleneck1D(nn.Module):
    """Two factorised 3×3 convolutions, 3×1 then 1×3, the second pair dilated; a residual."""

    def __init__(self, channels: int, dilation: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        d = dilation
        self.inner = nn.Sequential(
            nn.Conv2d(channels, channels, (3, 1), padding=(1, 0)),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, (1, 3), padding=(0, 1)),
            nn.BatchNorm2d(channels, eps=_EPS),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, (3, 1), padding=(d, 0), dilation=(d, 1)),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, (1, 3), padding=(0, d), dilation=(1, d)),
            nn.BatchNorm2d(channels, eps=_EPS),
            nn.Dropout2d(dropout),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.inner(x))


def _up(inputs: int, outputs: int) -> nn.Sequential:
    """The upsampler: a transposed convolution."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(outputs, eps=_EPS),
        nn.ReLU(inplace=True),
    )


class ERFNet(HandwrittenNetwork):
    """ERFNet, trained end to end; the paper first trains the encoder with a separate output.

    The authors' code has 2.06 million parameters; the paper says about 2.1 million.

    Args:
        num_classes: Number of outputs.
    """

    head_stride = 1

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.encoder = nn.Sequential(
            _Down(3, 16),
            _Down(16, 64),
            *(_NonBottleneck1D(64, dropout=0.03) for _ in range(5)),
            _Down(64, 128),
            *(_NonBottleneck1D(128, d, 0.3) for _ in range(2) for d in (2, 4, 8, 16)),
        )
        self.decoder = nn.Sequential(
            _up(128, 64),
            _NonBottleneck1D(64),
            _NonBottleneck1D(64),
            _up(64, 16),
            _NonBottleneck1D(16),
            _NonBottleneck1D(16),
        )
        self.head = nn.ConvTranspose2d(16, num_classes, 2, stride=2)

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        """See `HandwrittenNetwork.coarse_logits`."""
        return self.head(self.decoder(self.encoder(image)))

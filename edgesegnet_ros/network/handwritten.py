"""Networks that no design describes: what all of them have, and their inference form."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network import HEAD_STRIDE
from edgesegnet_ros.network.fold import deployed_parts
from edgesegnet_ros.network.upsampling import enlarge


class MissingPackageError(EdgeSegNetError):
    """The package that a network comes from is not installed."""


class HandwrittenNetwork(nn.Module):
    """A network of a paper, written in PyTorch, for any height and width divisible by 16.

    A subclass has a `head`, the convolution (transposed or not) whose outputs are the classes, and
    implements `coarse_logits`.

    Args:
        num_classes: Outputs of the head.

    Attributes:
        head_stride: Pixels of the image for each position of the coarse logits, both ways.
    """

    head_stride: int = HEAD_STRIDE
    head: nn.Module

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def coarse_logits(self, image: torch.Tensor) -> torch.Tensor:
        """Logits as the head gives them: (N, 3, H, W) -> (N, num_classes, H/stride, W/stride).

        Args:
            image: Normalised floats.
        """
        raise NotImplementedError

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits: (N, 3, H, W) -> (N, num_classes, H, W)."""
        coarse = self.coarse_logits(image)
        return coarse if self.head_stride == 1 else enlarge(coarse, image)

    def fold_norms(self) -> None:
        """Multiply batch norms into the convolutions before them, in place, in evaluation mode.

        This folds those of each `nn.Sequential`. A norm that follows no convolution stays.
        """
        for module in list(self.modules()):
            if isinstance(module, nn.Sequential):
                _fold_sequence(module)


def _fold_sequence(sequence: nn.Sequential) -> None:
    for index in range(len(sequence) - 1):
        conv, norm = sequence[index], sequence[index + 1]
        transposed = isinstance(conv, nn.ConvTranspose2d)
        if (transposed or isinstance(conv, nn.Conv2d)) and isinstance(norm, nn.BatchNorm2d):
            sequence[index] = fuse_conv_bn_eval(conv, norm, transposed)
            sequence[index + 1] = nn.Identity()


class HandwrittenInference(nn.Module):
    """A network as it is deployed: its norms folded, parts in their inference form.

    It gives the `coarse_logits` of (N, 3, H, W) normalised floats.

    Args:
        model: A trained one, which is copied and left alone. Parts of it that have `deployed` are
            replaced by what that gives.
    """

    def __init__(self, model: HandwrittenNetwork) -> None:
        super().__init__()
        self.num_classes, self.head_stride = model.num_classes, model.head_stride
        with torch.no_grad():
            self.network = deployed_parts(model).eval()
            self.network.fold_norms()
            head = self.network.head
            if head.bias is None:
                head.bias = nn.Parameter(head.weight.new_zeros(self.num_classes))
        self.requires_grad_(False)
        self.eval()

    @property
    def classifier_bias(self) -> torch.Tensor:
        """(num_classes,) what is added to each class's logits, to be changed in place."""
        return self.network.head.bias

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The network's `coarse_logits`."""
        return self.network.coarse_logits(image)

"""The inference form: what EdgeSegNet computes, with everything linear multiplied out.

Three identities, all exact but for rounding:

* a batch norm in evaluation mode is a scale and a shift of the convolution before it;
* a 1×1 convolution behind a convolution, with no activation between, is one convolution of the
  first one's size (each refine module starts with two 1×1 ones, and the classifier follows the
  last refine module's 3×3);
* the 1×1 classifier commutes with the bilinear upsampling, so it works on a sixteenth of the
  positions.
"""

from __future__ import annotations

import copy
from typing import Callable, Optional, Tuple

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.network.edgesegnet import (
    EdgeSegNet,
    FoldableConv2d,
    RefineModule,
    upsample,
)


def norm_scale_and_shift(norm: nn.BatchNorm2d) -> Tuple[torch.Tensor, torch.Tensor]:
    """The (C,) scale and shift that `norm` applies in evaluation mode."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def _plain_conv(like: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor) -> nn.Conv2d:
    conv = nn.Conv2d(
        weight.shape[1],
        weight.shape[0],
        like.kernel_size,
        stride=like.stride,
        padding=like.padding,
    )
    conv.to(weight.device, weight.dtype)
    with torch.no_grad():
        conv.weight.copy_(weight)
        conv.bias.copy_(bias)
    return conv


def conv_with_norm(conv: nn.Conv2d, norm: Optional[nn.BatchNorm2d]) -> nn.Conv2d:
    """One convolution that does what `conv` and, where given, the batch norm behind it do."""
    if norm is None:
        return _plain_conv(conv, conv.weight, conv.bias)
    scale, shift = norm_scale_and_shift(norm)
    return _plain_conv(conv, conv.weight * scale[:, None, None, None], conv.bias * scale + shift)


def conv_then_pointwise(conv: nn.Conv2d, pointwise: nn.Conv2d) -> nn.Conv2d:
    """One convolution that does what `conv` and the 1×1 `pointwise` right behind it do."""
    matrix = pointwise.weight[:, :, 0, 0].double()
    weight = torch.einsum('om,mikl->oikl', matrix, conv.weight.double())
    bias = matrix @ conv.bias.double() + pointwise.bias.double()
    return _plain_conv(conv, weight.to(conv.weight.dtype), bias.to(conv.weight.dtype))


def fold_norms(model: EdgeSegNet) -> EdgeSegNet:
    """Fig. 1's network, to the parameter, that equals `model` in evaluation mode.

    Args:
        model: With or without the batch norms of `training_norms`; it is not changed.

    Returns:
        A network without them, in evaluation mode.
    """
    folded = copy.deepcopy(model).eval()
    for module in folded.modules():
        if isinstance(module, FoldableConv2d) and module.norm is not None:
            merged = conv_with_norm(module, module.norm)
            module.weight.data, module.bias.data = merged.weight.data, merged.bias.data
            module.norm = None
    folded.training_norms = False
    return folded


class FoldedCopy(nn.Module):
    """A network as it is deployed, where batch norms are all that can be folded.

    It gives logits (N, num_classes, H/4, W/4) of (N, 3, H, W) normalised floats.

    Args:
        model: A trained one with a `head`, which is copied and left alone.
        fold: Takes the norms out of the copy, in place.
    """

    def __init__(self, model: nn.Module, fold: Callable[[nn.Module], None]) -> None:
        super().__init__()
        self.num_classes = model.num_classes
        self.network = copy.deepcopy(model).eval()
        fold(self.network)
        self.requires_grad_(False)
        self.eval()

    @property
    def classifier_bias(self) -> torch.Tensor:
        """(num_classes,) what is added to each class's logits, to be changed in place."""
        return self.network.head.bias

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The network's `coarse_logits`."""
        return self.network.coarse_logits(image)


class _FoldedRefine(nn.Module):
    """A refine module whose two leading 1×1 convolutions read the input side by side.

    With a `head` it ends in the classifier: both of its summands are linear in their last step.
    """

    def __init__(self, module: RefineModule, head: Optional[nn.Conv2d] = None) -> None:
        super().__init__()
        self.project = conv_with_norm(module.project, None)
        self.mix = conv_then_pointwise(module.project, module.mix)
        self.conv1 = conv_with_norm(module.conv1, None)
        self.conv2 = conv_with_norm(module.conv2, None)
        if head is not None:
            self.project = conv_then_pointwise(module.project, head)
            # The sum carries the classifier's bias once, in the projection.
            without_bias = _plain_conv(head, head.weight, torch.zeros_like(head.bias))
            self.conv2 = conv_then_pointwise(module.conv2, without_bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        residual = F.relu(self.conv1(F.relu(self.mix(features))))
        return self.project(features) + self.conv2(residual)


class EdgeSegNetInference(nn.Module):
    """The network as it is deployed: (N, 3, H, W) -> logits (N, num_classes, H/4, W/4).

    Enlarged bilinearly by 4 these are `EdgeSegNet.forward`'s logits. Built from a trained model,
    which it copies and leaves alone.
    """

    def __init__(self, model: EdgeSegNet) -> None:
        super().__init__()
        with torch.no_grad():
            plain = fold_norms(model)
            bottleneck = plain.bottleneck
            self.num_classes = plain.num_classes
            self.stem = conv_with_norm(plain.stem, None)
            self.reduce1 = conv_with_norm(plain.reduction.reduce, None)
            self.reduce2 = conv_with_norm(plain.reduction.mix, None)
            self.reduce3 = conv_with_norm(plain.reduction.expand, None)
            scale, shift = norm_scale_and_shift(bottleneck.norm)
            self.register_buffer('scale', scale.reshape(1, -1, 1, 1).clone())
            self.register_buffer('shift', shift.reshape(1, -1, 1, 1).clone())
            self.bottle1 = conv_with_norm(bottleneck.conv1, bottleneck.norm1)
            self.bottle2 = conv_with_norm(bottleneck.conv2, bottleneck.norm2)
            self.bottle3 = conv_with_norm(bottleneck.conv3, None)
            self.shortcut = conv_with_norm(bottleneck.shortcut, None)
            self.refine1 = _FoldedRefine(plain.refine1)
            self.refine2 = _FoldedRefine(plain.refine2)
            self.refine3 = _FoldedRefine(plain.refine3)
            self.refine4 = _FoldedRefine(plain.refine4, plain.head)
        self.requires_grad_(False)
        self.eval()

    @property
    def classifier_bias(self) -> torch.Tensor:
        """(num_classes,) what is added to each class's logits, to be changed in place."""
        return self.refine4.project.bias

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits at a quarter of the input's size.

        Args:
            image: (N, 3, H, W) normalised floats, H and W divisible by 16.
        """
        y = self.stem(image)
        z = F.max_pool2d(y, 3, stride=2, padding=1)
        reduced = self.reduce3(F.relu(self.reduce2(F.relu(self.reduce1(y)))))
        active = F.relu(z * self.scale + self.shift)
        inner = F.relu(self.bottle2(F.relu(self.bottle1(active))))
        middle = self.refine1(self.bottle3(inner) + self.shortcut(active))
        middle = self.refine2(middle + upsample(reduced, 2))
        return self.refine4(upsample(middle, 2) + self.refine3(z))

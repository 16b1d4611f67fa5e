"""Folding: what a trained network computes, with everything linear multiplied out.

Three identities, all exact but for rounding:

* a batch norm in evaluation mode is a scale and a shift of the convolution before it;
* a 1×1 convolution behind a convolution, with no activation between, is one convolution of the
  first one's size (each refine module of the paper starts with two 1×1 ones, and the classifier
  follows the last refine module's 3×3);
* the 1×1 classifier commutes with the bilinear upsampling, so it works on a sixteenth of the
  positions.
"""

from __future__ import annotations

import copy
from typing import Optional, Tuple, TypeVar

import torch
from torch import nn

AnyNetwork = TypeVar('AnyNetwork', bound=nn.Module)


class FoldableConv2d(nn.Conv2d):
    """A padded convolution that can carry a batch norm while it is trained.

    `network.fold.fold_norms` removes the norm again without changing what is computed.

    Args:
        inputs: Channels.
        outputs: Channels.
        kernel: Side of the kernel.
        stride: Both ways.
        norm: Whether a batch norm follows.
        dilation: Both ways.
        groups: `inputs` for a depthwise convolution.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        norm: bool = False,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        padding = kernel // 2 * dilation
        super().__init__(
            inputs, outputs, kernel, stride, padding, dilation=dilation, groups=groups
        )
        self.norm: Optional[nn.BatchNorm2d] = nn.BatchNorm2d(outputs) if norm else None

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Convolve (N, inputs, H, W), then normalise where a norm is carried."""
        output = super().forward(input)
        return output if self.norm is None else self.norm(output)

    def deployed(self) -> nn.Conv2d:
        """A plain convolution that does the same."""
        return conv_with_norm(self, self.norm)


def norm_scale_and_shift(norm: nn.BatchNorm2d) -> Tuple[torch.Tensor, torch.Tensor]:
    """The (C,) scale and shift that `norm` applies in evaluation mode."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def _plain_conv(like: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor) -> nn.Conv2d:
    conv = nn.Conv2d(
        weight.shape[1] * like.groups,
        weight.shape[0],
        like.kernel_size,
        stride=like.stride,
        padding=like.padding,
        dilation=like.dilation,
        groups=like.groups,
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
    """One convolution that does what `conv`, of one group, and the 1×1 `pointwise` behind do."""
    matrix = pointwise.weight[:, :, 0, 0].double()
    weight = torch.einsum('om,mikl->oikl', matrix, conv.weight.double())
    bias = matrix @ conv.bias.double() + pointwise.bias.double()
    return _plain_conv(conv, weight.to(conv.weight.dtype), bias.to(conv.weight.dtype))


def without_bias(conv: nn.Conv2d) -> nn.Conv2d:
    """A copy whose bias is zero."""
    return _plain_conv(conv, conv.weight, torch.zeros_like(conv.bias))


def fold_norms(model: AnyNetwork) -> AnyNetwork:
    """A copy that equals `model` in evaluation mode, without the norms it was trained with.

    Args:
        model: With or without the batch norms of `FoldableConv2d`; it is not changed. Norms that
            are part of the network stay.

    Returns:
        In evaluation mode.
    """
    folded = copy.deepcopy(model).eval()
    for module in folded.modules():
        if isinstance(module, FoldableConv2d) and module.norm is not None:
            merged = conv_with_norm(module, module.norm)
            module.weight.data, module.bias.data = merged.weight.data, merged.bias.data
            module.norm = None
    if hasattr(folded, 'training_norms'):
        folded.training_norms = False
    return folded


def deployed_parts(block: AnyNetwork) -> AnyNetwork:
    """A copy of a block, computed as the block is, whose parts are in their inference form."""
    folded = copy.deepcopy(block)
    _replace_parts(folded)
    return folded


def _replace_parts(module: nn.Module) -> None:
    for name, part in list(module.named_children()):
        if hasattr(part, 'deployed'):
            setattr(module, name, part.deployed())
        else:
            _replace_parts(part)

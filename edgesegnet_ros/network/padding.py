"""Filters padded to multiples of 8, which is what a GPU's tensor cores compute in.

Fig. 1 has 13, 193 and 217 filters, and cuDNN has no tensor core kernel for such widths. A padded
network has filters of zeros beside the trained ones. Their outputs are exactly zero in every
layer (a batch norm in training or evaluation mode, a ReLU and an upsampling all keep zero), and so
are their gradients: a padded network computes the same function, and training it changes the same
weights by the same amounts. `unpad_filters` takes the zeros out again.
"""

from __future__ import annotations

import copy
from typing import Dict, Tuple

import torch
from torch import nn

from edgesegnet_ros.network.design import IMAGE, Layer
from edgesegnet_ros.network.designed import DesignedNetwork
from edgesegnet_ros.network.registry import Network

NEUTRAL = {'running_var': 1.0}
"""What new elements of a tensor get in place of 0: a batch norm divides by this one's root."""


def pad_filters(network: Network, multiple: int = 8) -> Network:
    """A copy whose widths are multiples of `multiple`; it computes the same logits.

    The image's three channels and the classes stay as they are, and so does the design that the
    network names: save its weights after `unpad_filters`. A network that `can_be_padded` denies is
    copied unchanged.

    Args:
        network: With or without the batch norms of training; it is not changed.
        multiple: 1 or more.

    Raises:
        ValueError: `multiple` is below 1.
    """
    if multiple < 1:
        raise ValueError(f'filters are padded to multiples of 1 or more, not of {multiple}')
    padded = copy.deepcopy(network)
    if not can_be_padded(network):
        return padded
    first = {_first_conv(padded, layer.name) for layer in padded.design.layers if _sees(layer)}
    for module in padded.modules():
        if isinstance(module, nn.Conv2d):
            _pad_conv(module, multiple, module not in first, module is not padded.head)
        elif isinstance(module, nn.BatchNorm2d):
            module.num_features = _up(module.num_features, multiple)
            for name in ('weight', 'bias', 'running_mean', 'running_var'):
                _resize(module, name, (module.num_features,))
    return padded


def can_be_padded(network: Network) -> bool:
    """Whether zeros stay behind the trained filters throughout.

    They do not where layers are concatenated, as in a pyramid of pooled contexts. The U-Net and
    RefineNet-101 have widths of multiples of 8 already.
    """
    return isinstance(network, DesignedNetwork) and all(
        layer.kind not in ('pyramid', 'grid_pyramid')
        and (layer.merge != 'concat' or len(layer.sources) == 1)
        and (IMAGE not in layer.sources or (len(layer.sources) == 1 and layer.kind == 'conv'))
        for layer in network.design.layers
    )


def _sees(layer: Layer) -> bool:
    return IMAGE in layer.sources


def _first_conv(network: DesignedNetwork, layer: str) -> nn.Module:
    modules = getattr(network, layer).modules()
    return next(module for module in modules if isinstance(module, nn.Conv2d))


def _pad_conv(conv: nn.Conv2d, multiple: int, pads_inputs: bool, pads_outputs: bool) -> None:
    inputs = _up(conv.in_channels, multiple) if pads_inputs else conv.in_channels
    outputs = _up(conv.out_channels, multiple) if pads_outputs else conv.out_channels
    if conv.groups == conv.in_channels > 1:  # depthwise: a filter for each channel
        conv.groups = inputs
    kernel = tuple(conv.weight.shape[2:])
    _resize(conv, 'weight', (outputs, inputs // conv.groups, *kernel))
    if conv.bias is not None:
        _resize(conv, 'bias', (outputs,))
    conv.in_channels, conv.out_channels = inputs, outputs


def unpad_filters(padded: Network, like: Network) -> Network:
    """The exact inverse of `pad_filters`: a copy of `like` with the values of `padded`.

    Args:
        padded: What `pad_filters` gave, trained further or not.
        like: A network of the widths to go back to, such as the one that was padded; it is not
            changed.

    Raises:
        ValueError: The networks are not alike, or what would be cut off is not zero, so that the
            result would not compute the same.
    """
    plain = copy.deepcopy(like)
    plain.load_state_dict(unpadded_state(padded.state_dict(), plain.state_dict()))
    return plain.train(padded.training)


def unpadded_state(
    padded: Dict[str, torch.Tensor], like: Dict[str, torch.Tensor]
) -> Dict[str, torch.Tensor]:
    """Tensors of a padded network, or of its averages or moments, cut to the sizes of `like`.

    Args:
        padded: Tensors by name.
        like: Tensors of the sizes to cut to, under the same names.

    Raises:
        ValueError: See `unpad_filters`.
    """
    if padded.keys() != like.keys():
        names = ', '.join(sorted(padded.keys() ^ like.keys())[:3])
        raise ValueError(f'the padded network is another one: {names}')
    cut = {}
    for name, values in padded.items():
        shape = tuple(like[name].shape)
        if values.dim() != len(shape) or any(a < b for a, b in zip(values.shape, shape)):
            raise ValueError(f'{name} of shape {tuple(values.shape)} is no padding of {shape}')
        kept = values[tuple(slice(size) for size in shape)] if shape else values
        # The variance of a padded filter has no effect, since that filter's output is zero.
        if not name.endswith('running_var') and values.count_nonzero() != kept.count_nonzero():
            raise ValueError(f'{name} is not zero where filters were padded')
        cut[name] = kept.clone()
    return cut


def _up(width: int, multiple: int) -> int:
    return -(-width // multiple) * multiple


def _resize(module: nn.Module, name: str, shape: Tuple[int, ...]) -> None:
    """Enlarge a parameter or buffer; the new elements come behind the old ones."""
    old = getattr(module, name)
    if old is None or tuple(old.shape) == shape:
        return
    new = old.detach().new_full(shape, NEUTRAL.get(name, 0.0))
    new[tuple(slice(size) for size in old.shape)] = old.detach()
    if isinstance(old, nn.Parameter):
        setattr(module, name, nn.Parameter(new, requires_grad=old.requires_grad))
    else:
        module.register_buffer(name, new)

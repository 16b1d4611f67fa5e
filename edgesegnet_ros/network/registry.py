"""The networks that are trained, evaluated and deployed here: designs, and some by hand."""

from __future__ import annotations

import importlib
from typing import Dict, List, NamedTuple, Optional, Type, Union

from torch import nn

from edgesegnet_ros import shipped
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network.design import Design
from edgesegnet_ros.network.design_file import read_design
from edgesegnet_ros.network.designed import DesignedInference, DesignedNetwork
from edgesegnet_ros.network.handwritten import HandwrittenInference, HandwrittenNetwork

Network = Union[DesignedNetwork, HandwrittenNetwork]
"""Both have `head_stride`, `coarse_logits` at that share of the input's size, and a `head`."""
InferenceForm = Union[DesignedInference, HandwrittenInference]
"""Both take (N, 3, H, W), give the network's `coarse_logits` and have a `classifier_bias`."""


class NetworkError(EdgeSegNetError):
    """An unknown network."""


class NetworkEntry(NamedTuple):
    """What belongs to the name of a network that is written by hand.

    Attributes:
        title: For people.
        where: Module and class of a `HandwrittenNetwork`, imported when it is asked for.
    """

    title: str
    where: str

    def load(self) -> Type[HandwrittenNetwork]:
        """The class."""
        module, _, name = self.where.partition(':')
        return getattr(importlib.import_module(f'{__package__}.{module}'), name)


NETWORKS: Dict[str, NetworkEntry] = {
    'refinenet101': NetworkEntry('RefineNet-101', 'refinenet:RefineNet101'),
    'unet': NetworkEntry('U-Net', 'unet:UNet'),
    'enet': NetworkEntry('ENet', 'peers.enet:ENet'),
    'erfnet': NetworkEntry('ERFNet', 'peers.erfnet:ERFNet'),
    'fast-scnn': NetworkEntry('Fast-SCNN', 'peers.fast_scnn:FastSCNN'),
    'bisenetv2': NetworkEntry('BiSeNetV2', 'peers.bisenet_v2:BiSeNetV2'),
    'ddrnet-23-slim': NetworkEntry('DDRNet-23-slim', 'peers.ddrnet:DDRNet23Slim'),
    'pidnet-s': NetworkEntry('PIDNet-S', 'peers.pidnet:PIDNetS'),
    'segformer-b0': NetworkEntry('SegFormer-B0', 'peers.segformer:SegFormerB0'),
}
"""Networks that no design describes."""
_BY_LETTERS = {name.replace('-', ''): name for name in NETWORKS}


def plain_name(text: str) -> Optional[str]:
    """The key of NETWORKS that a text means; hyphens and case do not count. None for no key."""
    return _BY_LETTERS.get(text.lower().replace('-', ''))


def names() -> List[str]:
    """All names that `build_network` takes: shipped designs, and NETWORKS."""
    return shipped.names('designs') + list(NETWORKS)


def identity(name: str) -> Union[Design, str]:
    """What a name or a path stands for: a design, or the name of a network written by hand.

    Args:
        name: Key of NETWORKS (hyphens and case do not count), name of a shipped design, or path of
            a design file.

    Raises:
        DesignError: The design file cannot be used; the message names the place in it.
        NetworkError: No such name.
    """
    known = plain_name(name)
    if known is not None:
        return known
    try:
        shipped.find('designs', name)
    except shipped.ShippedFileError:
        raise NetworkError(
            f'network {name!r} is unknown: there are {", ".join(names())}, or give the path of a '
            'design file (.yaml)'
        ) from None
    return read_design(name)


def identity_of(model: nn.Module) -> Union[Design, str]:
    """What a network is: its design, or its name in NETWORKS.

    Raises:
        NetworkError: It is neither.
    """
    if isinstance(model, DesignedNetwork):
        return model.design
    kind = type(model)
    for name, known in NETWORKS.items():
        if f'{kind.__module__}:{kind.__name__}' == f'{__package__}.{known.where}':
            return name
    raise NetworkError(f'{kind.__name__} is none of {", ".join(NETWORKS)}, and no design')


def name_of(model: nn.Module) -> str:
    """The name that a network goes by.

    Raises:
        NetworkError: It has none.
    """
    found = identity_of(model)
    return found if isinstance(found, str) else found.name


def title_of(model: nn.Module) -> str:
    """The name that people know a network by.

    Raises:
        NetworkError: It has none.
    """
    found = identity_of(model)
    return NETWORKS[found].title if isinstance(found, str) else found.title


def build_network(
    network: Union[Design, str], num_classes: int, training_norms: bool = False
) -> Network:
    """A network with random weights.

    Args:
        network: A design, or what `identity` takes.
        num_classes: Outputs of the classifier.
        training_norms: See DesignedNetwork; other networks have all theirs in what is deployed.

    Raises:
        DesignError: The design file cannot be used.
        MissingPackageError: The network comes from a package that is not installed.
        NetworkError: No such name.
    """
    found = identity(network) if isinstance(network, str) else network
    if isinstance(found, str):
        return NETWORKS[found].load()(num_classes)
    return DesignedNetwork(found, num_classes, training_norms)


def inference_form(model: Network) -> InferenceForm:
    """The network as it is deployed, a copy in evaluation mode.

    Enlarged bilinearly by the model's `head_stride`, its logits are those of `model`.
    """
    if isinstance(model, DesignedNetwork):
        return DesignedInference(model)
    return HandwrittenInference(model)

"""The networks that are trained, evaluated and deployed here: designs, and two written by hand."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Type, Union

from torch import nn

from edgesegnet_ros import shipped
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network.design import Design
from edgesegnet_ros.network.design_file import read_design
from edgesegnet_ros.network.designed import DesignedInference, DesignedNetwork
from edgesegnet_ros.network.refinenet import RefineNet101, RefineNetInference
from edgesegnet_ros.network.unet import UNet, UNetInference

Network = Union[DesignedNetwork, RefineNet101, UNet]
"""All give `coarse_logits` at a quarter of the input's size."""
InferenceForm = Union[DesignedInference, RefineNetInference, UNetInference]
"""All take (N, 3, H, W), give logits (N, num_classes, H/4, W/4) and have a `classifier_bias`."""


class NetworkError(EdgeSegNetError):
    """An unknown network."""


class NetworkEntry(NamedTuple):
    """What belongs to the name of a network that is written by hand.

    Attributes:
        title: For people.
        network: As it is trained.
        inference: As it is deployed, built from the trained one.
    """

    title: str
    network: Type[nn.Module]
    inference: Type[nn.Module]


NETWORKS: Dict[str, NetworkEntry] = {
    'refinenet101': NetworkEntry('RefineNet-101', RefineNet101, RefineNetInference),
    'unet': NetworkEntry('U-Net', UNet, UNetInference),
}
"""Networks that no design describes."""


def names() -> List[str]:
    """All names that `build_network` takes: shipped designs, and NETWORKS."""
    return shipped.names('designs') + list(NETWORKS)


def identity(name: str) -> Union[Design, str]:
    """What a name or a path stands for: a design, or the name of a network written by hand.

    Args:
        name: Key of NETWORKS, name of a shipped design, or path of a design file.

    Raises:
        DesignError: The design file cannot be used; the message names the place in it.
        NetworkError: No such name.
    """
    if name in NETWORKS:
        return name
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
    for name, known in NETWORKS.items():
        if type(model) is known.network:
            return name
    raise NetworkError(f'{type(model).__name__} is none of {", ".join(NETWORKS)}, and no design')


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
        NetworkError: No such name.
    """
    found = identity(network) if isinstance(network, str) else network
    if isinstance(found, str):
        return NETWORKS[found].network(num_classes)
    return DesignedNetwork(found, num_classes, training_norms)


def inference_form(model: Network) -> InferenceForm:
    """The network as it is deployed, a copy in evaluation mode.

    Enlarged bilinearly by HEAD_STRIDE, its logits are those of `model`.
    """
    if isinstance(model, DesignedNetwork):
        return DesignedInference(model)
    return NETWORKS[name_of(model)].inference(model)

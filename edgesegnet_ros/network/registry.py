"""The networks that are trained, evaluated and deployed here, by name."""

from __future__ import annotations

from typing import Dict, NamedTuple, Type, Union

from torch import nn

from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network.edgesegnet import EdgeSegNet
from edgesegnet_ros.network.fold import EdgeSegNetInference
from edgesegnet_ros.network.refinenet import RefineNet101, RefineNetInference
from edgesegnet_ros.network.unet import UNet, UNetInference

Network = Union[EdgeSegNet, RefineNet101, UNet]
"""Both give `coarse_logits` at a quarter of the input's size."""
InferenceForm = Union[EdgeSegNetInference, RefineNetInference, UNetInference]
"""Both take (N, 3, H, W), give logits (N, num_classes, H/4, W/4) and have a `classifier_bias`."""


class NetworkError(EdgeSegNetError):
    """A network that is not known here."""


class NetworkEntry(NamedTuple):
    """What belongs to a name.

    Attributes:
        title: For people.
        network: As it is trained.
        inference: As it is deployed, built from the trained one.
    """

    title: str
    network: Type[nn.Module]
    inference: Type[nn.Module]


NETWORKS: Dict[str, NetworkEntry] = {
    'edgesegnet': NetworkEntry('EdgeSegNet', EdgeSegNet, EdgeSegNetInference),
    'refinenet101': NetworkEntry('RefineNet-101', RefineNet101, RefineNetInference),
    'unet': NetworkEntry('U-Net', UNet, UNetInference),
}


def entry(name: str) -> NetworkEntry:
    """What belongs to a name.

    Raises:
        NetworkError: Nothing does.
    """
    if name not in NETWORKS:
        raise NetworkError(f'network {name!r} is unknown: there are {", ".join(NETWORKS)}')
    return NETWORKS[name]


def name_of(model: nn.Module) -> str:
    """The name that a network goes by.

    Raises:
        NetworkError: It has none.
    """
    for name, known in NETWORKS.items():
        if type(model) is known.network:
            return name
    raise NetworkError(f'{type(model).__name__} is none of {", ".join(NETWORKS)}')


def build_network(name: str, num_classes: int, training_norms: bool = False) -> Network:
    """A network with random weights.

    Args:
        name: Key of NETWORKS.
        num_classes: Outputs of the classifier.
        training_norms: See EdgeSegNet; other networks have all theirs in what is deployed.

    Raises:
        NetworkError: No such name.
    """
    if entry(name).network is EdgeSegNet:
        return EdgeSegNet(num_classes, training_norms)
    return NETWORKS[name].network(num_classes)


def inference_form(model: Network) -> InferenceForm:
    """The network as it is deployed, a copy in evaluation mode.

    Enlarged bilinearly by HEAD_STRIDE, its logits are those of `model`.
    """
    return entry(name_of(model)).inference(model)

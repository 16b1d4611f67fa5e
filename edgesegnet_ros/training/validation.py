"""A look at val between epochs, on the network that would be deployed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from edgesegnet_ros.data.geometry import place, to_network, to_source
from edgesegnet_ros.evaluation.accuracy import Scores
from edgesegnet_ros.network.edgesegnet import HEAD_STRIDE, EdgeSegNet, upsample
from edgesegnet_ros.network.fold import EdgeSegNetInference
from edgesegnet_ros.network.weights import WeightsInfo


@torch.no_grad()
def validate(
    model: EdgeSegNet, info: WeightsInfo, pairs: Iterable[tuple[np.ndarray, np.ndarray]]
) -> Scores:
    """Score the inference form of `model`, one forward pass an image.

    Args:
        model: The network; not changed.
        info: Gives input size and normalisation.
        pairs: (H, W, 3) uint8 RGB and (H, W) uint8 labels.
    """
    network = EdgeSegNetInference(model).to(memory_format=torch.channels_last)
    mean = torch.tensor(info.mean).reshape(1, 3, 1, 1) * 255.0
    std = torch.tensor(info.std).reshape(1, 3, 1, 1) * 255.0
    scores = Scores.empty(info.num_classes)
    for image, labels in pairs:
        placement = place(labels.shape, tuple(info.input_size), 'stretch')
        tensor = torch.from_numpy(to_network(image, placement))[None].permute(0, 3, 1, 2)
        logits = upsample(network((tensor - mean) / std), HEAD_STRIDE)
        predicted = logits[0].argmax(0).to(torch.uint8).numpy()
        scores.add(to_source(predicted, placement), labels)
    return scores

"""Validation: scores the network on val in the form that is deployed."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch

from edgesegnet_ros.data.camvid import LabelledPair
from edgesegnet_ros.data.classes import VOID, ClassSet
from edgesegnet_ros.data.geometry import compute_placement
from edgesegnet_ros.data.overlay import colorize, overlay
from edgesegnet_ros.engines.pytorch import TorchEngine
from edgesegnet_ros.engines.recipe import recipe_of
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.evaluation.accuracy import Scores
from edgesegnet_ros.network.registry import Network
from edgesegnet_ros.network.weights import WeightsInfo
from edgesegnet_ros.training.loss import class_table, cross_entropy

SAMPLES = 8
_SAMPLE_HEIGHT = 192


class Validation(NamedTuple):
    """Figures of one validation.

    Attributes:
        scores: Pixel accuracy, mIoU, IoU by class.
        loss: Mean cross-entropy of the labelled pixels, without label smoothing and distillation.
        samples: (3, h, w) uint8 RGB, images beside their labels and predictions; up to SAMPLES.
    """

    scores: Scores
    loss: float
    samples: list[np.ndarray]


def validate(
    network: Network,
    info: WeightsInfo,
    val: list[LabelledPair],
    device: torch.device,
    class_weights: torch.Tensor,
    classes: ClassSet,
) -> Validation:
    """Score the network in its deployed form, with as many threads as training has.

    Args:
        network: The network in evaluation mode, on the CPU.
        info: Header of its weights file.
        val: (H, W, 3) uint8 RGB and (H, W) uint8 labels.
        device: Device of the network.
        class_weights: (classes,) float32, for the loss.
        classes: For the colours of the samples.
    """
    recipe = recipe_of(network, info, device=str(device), num_threads=torch.get_num_threads())
    engine = TorchEngine(recipe)
    segmenter = Segmenter(engine, info.resize_mode)
    scores, samples = Scores.empty(info.num_classes), []
    table = class_table(class_weights.cpu())
    total, weight = 0.0, 0.0
    shown = set(np.linspace(0, len(val) - 1, min(SAMPLES, len(val))).round().astype(int).tolist())
    for index, (image, labels) in enumerate(val):
        predicted = segmenter.segment(image).labels
        scores.add(predicted, labels)
        logits = engine.last_logits()
        if logits is not None:
            seen = _at_network(labels, info)
            own = cross_entropy(
                torch.from_numpy(np.asarray(logits, np.float32)),
                torch.from_numpy(seen)[None],
                table,
                0.0,
            )
            total, weight = total + float(own.total), weight + float(own.weight)
        if index in shown:
            samples.append(_sample(image, labels, predicted, classes.palette))
    return Validation(scores, total / weight if weight else float('nan'), samples)


def _at_network(labels: np.ndarray, info: WeightsInfo) -> np.ndarray:
    """Labels where the network sees their image; 255 beside it."""
    placement = compute_placement(labels.shape, info.input_size, info.resize_mode)
    seen = np.full(info.input_size, VOID, np.uint8)
    height, width = placement.content
    seen[placement.window] = cv2.resize(
        labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return seen


def _sample(
    image: np.ndarray, labels: np.ndarray, predicted: np.ndarray, palette: np.ndarray
) -> np.ndarray:
    parts = [image, colorize(labels, palette), overlay(image, predicted, palette, 0.6)]
    scale = _SAMPLE_HEIGHT / image.shape[0]
    size = (max(1, round(image.shape[1] * scale)), _SAMPLE_HEIGHT)
    row = np.hstack([cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in parts])
    return np.ascontiguousarray(row.transpose(2, 0, 1))

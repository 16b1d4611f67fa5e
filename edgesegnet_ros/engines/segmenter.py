"""From a camera image to class ids at the requested resolution, for the node and evaluation."""

from __future__ import annotations

import time
from typing import Dict, NamedTuple, Optional

import numpy as np

from edgesegnet_ros.data.classes import VOID
from edgesegnet_ros.data.geometry import (
    Placement,
    Size,
    blank_padding,
    compute_placement,
    to_network,
    to_source,
)
from edgesegnet_ros.data.masks import least_confidence
from edgesegnet_ros.engines.base import Engine


class Segmentation(NamedTuple):
    """The result for one image; its arrays are overwritten by the next image.

    Attributes:
        labels: (H, W) uint8 class ids, 255 for unlabelled.
        confidence: (H, W) uint8, 255 for certainty and 0 where unlabelled; None if not asked for.
        placement: Placement of the image in the network's input.
        stages_ms: Time of `resize` and `infer`.
    """

    labels: np.ndarray
    confidence: Optional[np.ndarray]
    placement: Placement
    stages_ms: Dict[str, float]


class Segmenter:
    """Resizes, infers, and resizes the labels to the image's size (or keeps the network's).

    Labels come back by OpenCV's pixel-centred nearest neighbour (INTER_NEAREST_EXACT).

    Args:
        engine: Used by this segmenter alone.
        resize_mode: `stretch` or `letterbox`.
        output_resolution: `input` or `network`.
    """

    def __init__(
        self, engine: Engine, resize_mode: str = 'stretch', output_resolution: str = 'input'
    ) -> None:
        self.engine = engine
        self._mode = resize_mode
        self._at_input = output_resolution == 'input'
        size = engine.input_size
        self._network_image = np.empty(size + (3,), np.uint8)
        self._network_labels = np.empty(size, np.uint8)
        self._network_confidence = np.empty(size, np.uint8)
        self._unsure = np.empty(size, bool)
        self._placement: Optional[Placement] = None
        self._labels = self._confidence = np.empty((0, 0), np.uint8)

    def _placed(self, source: Size) -> Placement:
        """The placement of images of this size; buffers are allocated when the size changes."""
        if self._placement is None or self._placement.source != source:
            self._placement = compute_placement(source, self.engine.input_size, self._mode)
            self._labels = np.empty(source, np.uint8)
            self._confidence = np.empty(source, np.uint8)
        return self._placement

    def segment(
        self, image: np.ndarray, confidence: bool = False, unlabeled_below: float = 0.0
    ) -> Segmentation:
        """Segment one image.

        Args:
            image: (H, W, 3) uint8 RGB.
            confidence: Whether it is wanted.
            unlabeled_below: Pixels of a smaller confidence (0-1) become unlabelled.

        Raises:
            EngineError: The engine failed.
        """
        started = time.perf_counter()
        placement = self._placed(image.shape[:2])
        to_network(image, placement, self._network_image)
        resized = time.perf_counter()
        labels = self._network_labels
        certain = self._network_confidence if confidence or unlabeled_below > 0.0 else None
        self.engine.infer(self._network_image, labels, certain)
        inferred = time.perf_counter()
        if certain is not None and unlabeled_below > 0.0:
            least = np.uint8(least_confidence(unlabeled_below))
            np.less(certain, least, out=self._unsure)
            np.copyto(labels, VOID, where=self._unsure)
            np.copyto(certain, 0, where=self._unsure)
        if self._at_input:
            labels = to_source(labels, placement, self._labels)
            if certain is not None and confidence:
                certain = to_source(certain, placement, self._confidence)
        elif not placement.fills:
            blank_padding(labels, placement, VOID)
            if certain is not None:
                blank_padding(certain, placement, 0)
        returned = time.perf_counter()
        stages = {
            'resize': (resized - started + returned - inferred) * 1e3,
            'infer': (inferred - resized) * 1e3,
        }
        return Segmentation(labels, certain if confidence else None, placement, stages)

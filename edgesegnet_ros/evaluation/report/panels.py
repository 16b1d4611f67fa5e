"""Panels of a frame for a page: camera image, ground truth, prediction, errors."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from edgesegnet_ros.data.classes import VOID, ClassSet
from edgesegnet_ros.data.overlay import colorize, overlay
from edgesegnet_ros.demo.sheet import highlight
from edgesegnet_ros.evaluation.report.page import (
    data_uri,
    drawing,
    media_type,
    photo,
    scaled,
    scaled_labels,
)

WRONG = (255, 69, 58)
OVERLAY_ALPHA = 0.5


class View(NamedTuple):
    """One encoded image of a frame.

    Attributes:
        label: Caption.
        name: File name.
        content: Bytes of a JPEG or PNG file.
        width: In pixels.
        height: In pixels.
    """

    label: str
    name: str
    content: bytes
    width: int
    height: int

    @property
    def uri(self) -> str:
        """The image as a data URI."""
        return data_uri(self.content, media_type(self.name))


def errors(image: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The image, dark and grey, with wrong pixels in red and void pixels darker.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class ids, 255 for void.
        predicted: (H, W) uint8 class ids.
    """
    known = labels != VOID
    wrong = ((predicted != labels) & known).astype(np.uint8) * 255
    shown = highlight(image, wrong, WRONG)
    shown[~known] //= 3
    return shown


def views(
    image: np.ndarray, predicted: np.ndarray, labels: np.ndarray | None, classes: ClassSet
) -> list[View]:
    """The panels of a frame, no wider than the images of the page.

    Args:
        image: (H, W, 3) uint8 RGB.
        predicted: (H, W) uint8 class ids.
        labels: (h, w) uint8 class ids, 255 for void; None without ground truth.
        classes: Class set with the colours.
    """
    small, found = scaled(image), scaled_labels(predicted)
    found = _as_large_as(small, found)
    height, width = small.shape[:2]
    shown = [View('camera image', 'image.jpg', photo(small), width, height)]
    if labels is not None and (labels != VOID).any():
        truth = _as_large_as(small, scaled_labels(labels))
        shown += [
            View(
                'ground truth',
                'truth.png',
                drawing(colorize(truth, classes.palette)),
                width,
                height,
            ),
            View(
                'prediction',
                'prediction.png',
                drawing(colorize(found, classes.palette)),
                width,
                height,
            ),
            View('errors', 'errors.jpg', photo(errors(small, truth, found)), width, height),
        ]
    else:
        blended = overlay(small, found, classes.palette, OVERLAY_ALPHA)
        shown += [
            View(
                'prediction',
                'prediction.png',
                drawing(colorize(found, classes.palette)),
                width,
                height,
            ),
            View('overlay', 'overlay.jpg', photo(blended), width, height),
        ]
    return shown


def _as_large_as(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    if labels.shape == (height, width):
        return labels
    return cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)

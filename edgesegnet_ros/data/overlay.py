"""Visualisation of labels: class colours, overlays, a legend."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np

from edgesegnet_ros.data.classes import VOID, ClassSet

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def colorize(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Class ids as class colours.

    Args:
        labels: (H, W) uint8 class ids.
        palette: (256, 3) uint8 in any channel order.

    Returns:
        (H, W, 3) uint8 in the palette's order.
    """
    return cv2.LUT(cv2.merge([labels, labels, labels]), palette.reshape(1, 256, 3))


def overlay(
    image: np.ndarray, labels: np.ndarray, palette: np.ndarray, alpha: float
) -> np.ndarray:
    """Blend the class colours over an image; unlabelled pixels (255) show only the image.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) uint8 class ids.
        palette: (256, 3) uint8 in the channel order of the image.
        alpha: Weight of the colours, 0-1.
    """
    blended = cv2.addWeighted(colorize(labels, palette), alpha, image, 1.0 - alpha, 0.0)
    bare = labels == VOID
    if bare.any():
        blended[bare] = image[bare]
    return blended


def legend(classes: ClassSet, width: int, present: Optional[Sequence[int]] = None) -> np.ndarray:
    """A strip of colour swatches with the classes' names.

    Args:
        classes: What to name.
        width: Width of the strip in pixels; the height follows.
        present: Ids to show; by default all.

    Returns:
        (h, width, 3) uint8 RGB.
    """
    shown = [c for c in classes.classes if present is None or c.id in present]
    spots: List[Tuple[int, int]] = []
    x, y, row = 10, 6, 24
    for entry in shown:
        needed = 30 + cv2.getTextSize(entry.name, _FONT, 0.45, 1)[0][0]
        if x + needed > width and x > 10:
            x, y = 10, y + row
        spots.append((x, y))
        x += needed + 14
    strip = np.full((y + row + 4, width, 3), 255, np.uint8)
    for entry, (left, top) in zip(shown, spots):
        corner = (left + 18, top + 16)
        cv2.rectangle(strip, (left, top + 2), corner, entry.color, cv2.FILLED)
        cv2.rectangle(strip, (left, top + 2), corner, (80, 80, 80), 1)
        cv2.putText(
            strip, entry.name, (left + 24, top + 15), _FONT, 0.45, (20, 20, 20), 1, cv2.LINE_AA
        )
    return strip

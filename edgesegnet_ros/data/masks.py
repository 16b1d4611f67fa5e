"""Groups of classes as binary masks: what a planner asks for."""

from __future__ import annotations

from typing import Tuple

import cv2
import numpy as np

from edgesegnet_ros.data.classes import VOID


def group_mask(labels: np.ndarray, ids: Tuple[int, ...]) -> np.ndarray:
    """(H, W) uint8: 255 where the class is one of `ids`, else 0."""
    table = np.zeros(256, np.uint8)
    table[list(ids)] = 255
    table[VOID] = 0
    return cv2.LUT(labels, table)

"""Groups of classes as binary masks: what a planner asks for."""

from __future__ import annotations

from typing import Tuple

import cv2
import numpy as np

from edgesegnet_ros.data.classes import VOID


def group_mask(
    labels: np.ndarray, ids: Tuple[int, ...], with_unlabeled: bool = False
) -> np.ndarray:
    """(H, W) uint8: 255 where the class is one of `ids`, else 0.

    Args:
        labels: (H, W) uint8 class ids, 255 for unlabelled.
        ids: Of the group.
        with_unlabeled: Whether unlabelled pixels belong to the group.
    """
    table = np.zeros(256, np.uint8)
    table[list(ids)] = 255
    table[VOID] = 255 if with_unlabeled else 0
    return cv2.LUT(labels, table)

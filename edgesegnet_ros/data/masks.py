"""Binary masks of groups of classes."""

from __future__ import annotations

import math
from typing import Collection, Dict, Mapping, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from edgesegnet_ros.data.classes import VOID


class Group(NamedTuple):
    """A group of classes with its safety rule.

    A pixel is uncertain for the group where it is unlabelled or its confidence is below
    `min_confidence`.

    Attributes:
        ids: Class ids.
        with_unlabeled: Whether uncertain pixels are part of its mask, whatever their class: a
            drivable mask must not contain any, a mask of obstacles may have to contain all.
        min_confidence: From 0 to 1; 0 accepts any confidence.
    """

    ids: Tuple[int, ...]
    with_unlabeled: bool = False
    min_confidence: float = 0.0


def groups_with_rules(
    groups: Mapping[str, Tuple[int, ...]],
    min_confidence: Optional[Mapping[str, float]] = None,
    unlabeled_inside: Collection[str] = (),
) -> Dict[str, Group]:
    """The groups of a class file, with the rules of some of them.

    Args:
        groups: Group -> class ids.
        min_confidence: Group -> threshold, 0-1.
        unlabeled_inside: Groups whose masks contain all uncertain pixels.

    Raises:
        ValueError: A group is not there, or a threshold is not from 0 to 1.
    """
    thresholds = dict(min_confidence or {})
    for name in [*thresholds, *unlabeled_inside]:
        if name not in groups:
            raise ValueError(
                f'there is no group {name!r}; there are {", ".join(groups) or "none"}'
            )
    for name, threshold in thresholds.items():
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f'min_confidence of {name} is from 0 to 1, not {threshold}')
    return {
        name: Group(ids, name in unlabeled_inside, thresholds.get(name, 0.0))
        for name, ids in groups.items()
    }


def least_confidence(threshold: float) -> int:
    """The smallest confidence, 0-255, that is not below a threshold of 0-1."""
    # As a byte: a comparison with a float would make floats of the frame.
    return math.ceil(threshold * 255.0)


def group_mask(
    labels: np.ndarray, group: Group, confidence: Optional[np.ndarray] = None
) -> np.ndarray:
    """(H, W) uint8: 255 where a pixel belongs to the group, else 0.

    Args:
        labels: (H, W) uint8 class ids, 255 for unlabelled.
        group: Classes and rule.
        confidence: (H, W) uint8, 255 for 1; needed where the group has a threshold.

    Raises:
        ValueError: The group has a threshold, but no confidence is given.
    """
    table = np.zeros(256, np.uint8)
    table[list(group.ids)] = 255
    table[VOID] = 255 if group.with_unlabeled else 0
    mask = cv2.LUT(labels, table)
    if group.min_confidence <= 0.0:
        return mask
    if confidence is None:
        raise ValueError('a group with min_confidence needs the confidence of each pixel')
    least = least_confidence(group.min_confidence)
    if group.with_unlabeled:
        return cv2.bitwise_or(mask, cv2.compare(confidence, least, cv2.CMP_LT))
    return cv2.bitwise_and(mask, cv2.compare(confidence, least, cv2.CMP_GE))

"""CamVid's 32 colours, and the mapping of its classes to the 11 of the SegNet split.

Both come from `config/camvid_classes32.csv`, in the order of the ids of the class file
`camvid32`.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from edgesegnet_ros import shipped
from edgesegnet_ros.data.classes import VOID

CLASSES = 32
"""Includes void, which keeps its output and is never trained, scored or published."""
_NO_CLASS = 254
_SHOWN_COLORS = 4


class ColorLabels(NamedTuple):
    """The labels of an image in CamVid's colours.

    Attributes:
        labels: (H, W) uint8 ids of the 32 classes, void as 255.
        unknown: A sentence about colours that are not among the 32; empty without any.
    """

    labels: np.ndarray
    unknown: str


@lru_cache(maxsize=1)
def _rows() -> list[dict[str, str]]:
    with shipped.find('tables', 'camvid_classes32').open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


@lru_cache(maxsize=1)
def palette() -> np.ndarray:
    """(32, 3) uint8 RGB in the order of the ids."""
    return np.array([[row['r'], row['g'], row['b']] for row in _rows()]).astype(np.uint8)


@lru_cache(maxsize=1)
def void() -> int:
    """The id of void among the 32."""
    return next(int(row['index']) for row in _rows() if row['name'] == 'Void')


@lru_cache(maxsize=1)
def _of_color() -> np.ndarray:
    """(2**24,) uint8: id by packed colour, 254 for unknown colours, 255 for void."""
    table = np.full(1 << 24, _NO_CLASS, np.uint8)
    table[_packed(palette())] = np.arange(CLASSES)
    table[_packed(palette()[void()])] = VOID
    return table


@lru_cache(maxsize=1)
def _folding() -> np.ndarray:
    """(256,) uint8: class of the 11 by id of the 32; void stays 255."""
    table = np.full(256, VOID, np.uint8)
    for row in _rows():
        if row['name'] != 'Void':
            table[int(row['index'])] = int(row['segnet11_index'])
    return table


def _packed(colors: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(colors.astype(np.uint32), -1, 0)
    return red << 16 | green << 8 | blue


def to_ids(colors: np.ndarray) -> ColorLabels:
    """Ids of the 32 classes.

    Args:
        colors: (H, W, 3) uint8 RGB.
    """
    packed = _packed(colors)
    labels = _of_color()[packed]
    strange = packed[labels == _NO_CLASS]
    if not strange.size:
        return ColorLabels(labels, '')
    found, counts = np.unique(strange, return_counts=True)
    named = [
        f'({color >> 16}, {color >> 8 & 255}, {color & 255}) in {count} pixels'
        for color, count in sorted(zip(found, counts), key=lambda pair: -pair[1])
    ]
    more = f' and {len(named) - _SHOWN_COLORS} more' if len(named) > _SHOWN_COLORS else ''
    listed = ', '.join(named[:_SHOWN_COLORS])
    return ColorLabels(labels, f"colours that are not among CamVid's {CLASSES}: {listed}{more}")


def fold(labels: np.ndarray) -> np.ndarray:
    """The 11 classes of the SegNet split.

    Args:
        labels: (H, W) uint8 ids of the 32, void as 255.
    """
    return _folding()[labels]

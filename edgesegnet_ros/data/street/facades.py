"""House fronts: windows, doors and shops in walls of brick, render and stone."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from .canvas import Texture
from .textures import noise

FACADES = 72
METRE = 18  # texture pixels
STOREY = 54  # texture pixels: 3 m

WALLS = np.array(
    [
        [150, 92, 72],
        [128, 78, 62],
        [172, 140, 100],
        [186, 166, 128],
        [204, 192, 168],
        [222, 216, 204],
        [160, 152, 140],
        [116, 104, 92],
        [196, 164, 132],
        [138, 124, 100],
        [210, 198, 150],
        [108, 92, 84],
    ],
    np.float32,
)
SHOPS = [
    (34, 60, 92),
    (120, 34, 36),
    (30, 78, 58),
    (44, 44, 48),
    (160, 130, 60),
    (206, 202, 194),
    (70, 40, 84),
]


@lru_cache(maxsize=None)
def wall_color(kind: int) -> np.ndarray:
    """RGB of a façade's wall as float32, for the sides of the house."""
    rng = np.random.default_rng([7101, kind])
    return WALLS[kind % len(WALLS)] * rng.uniform(0.85, 1.1)


def storeys(kind: int) -> int:
    """Number of storeys of a façade, 2 to 5."""
    return 2 + (kind * 7 + kind // 5) % 4


def bays(kind: int) -> int:
    """Number of windows side by side, 2 to 4; a bay is 2.7 m wide."""
    return 2 + (kind * 5 + kind // 7) % 3


@lru_cache(maxsize=None)
def facade(kind: int, dusk: bool = False) -> Texture:
    """The front of a house.

    Args:
        kind: 0 to `FACADES` - 1.
        dusk: whether some windows are lit from inside.
    """
    rng = np.random.default_rng([7102, kind])
    floors, columns = storeys(kind), bays(kind)
    bay = int(2.7 * METRE)
    rows, width = floors * STOREY, columns * bay
    wall = wall_color(kind)
    pixels = wall * (0.86 + 0.28 * noise(rng, (rows, width), 60, 5))[..., None]
    if kind % 12 in (0, 1, 2, 8, 11):
        _bricks(pixels, rng)
    trim = (
        np.clip(wall * rng.choice([0.7, 1.3]), 0, 255)
        if rng.random() < 0.5
        else (np.array([226, 224, 216], np.float32))
    )
    for floor in range(1, floors):
        if rng.random() < 0.5:
            y = rows - floor * STOREY
            cv2.rectangle(pixels, (0, y), (width, y + 2), tuple(map(float, trim)), -1)
    shop = rng.random() < 0.4
    tall, wide = int(rng.integers(26, 34)), int(rng.integers(16, 27))
    for floor in range(floors):
        base = rows - floor * STOREY
        if floor == 0 and shop:
            _shop(pixels, rng, base, width, dusk)
            continue
        door = int(rng.integers(columns)) if floor == 0 else -1
        for column in range(columns):
            middle = int((column + 0.5) * bay)
            if column == door:
                _door(pixels, rng, middle, base, trim)
            else:
                _window(pixels, rng, middle, base - 15 - tall, wide, tall, trim, dusk)
    cv2.rectangle(pixels, (0, 0), (width, 3), tuple(map(float, wall * 0.55)), -1)
    return Texture(np.clip(pixels, 0, 255).astype(np.uint8))


def _bricks(pixels: np.ndarray, rng: np.random.Generator) -> None:
    rows, width = pixels.shape[:2]
    shade = np.repeat(
        np.repeat(rng.uniform(0.86, 1.1, (rows // 3 + 1, width // 6 + 1)), 3, 0), 6, 1
    )[:rows, :width, None]
    pixels *= shade
    pixels[::3] *= 0.9


def _glass(rng: np.random.Generator, dusk: bool) -> np.ndarray:
    if dusk and rng.random() < 0.5:
        return np.array([250, 208, 130], np.float32) * rng.uniform(0.75, 1.1)
    dark = np.array([44, 50, 58], np.float32) * rng.uniform(0.6, 1.5)
    return dark if rng.random() < 0.7 else np.array([120, 138, 156], np.float32)


def _window(pixels, rng, middle, top, wide, tall, trim, dusk) -> None:
    left, right, bottom = middle - wide // 2, middle + wide // 2, top + tall
    frame = tuple(map(float, trim))
    cv2.rectangle(pixels, (left - 2, top - 2), (right + 2, bottom + 2), frame, -1)
    glass = _glass(rng, dusk)
    sheen = np.linspace(1.25, 0.8, tall)[:, None, None]
    pixels[top:bottom, left:right] = glass * sheen
    if rng.random() < 0.5:
        curtain = np.array([196, 190, 178]) * rng.uniform(0.5, 1.0)
        pixels[top:bottom, left : left + wide // 5] = curtain
        pixels[top:bottom, right - wide // 5 : right] = curtain
    cv2.line(pixels, (middle, top), (middle, bottom), frame, 1)
    cv2.line(pixels, (left, top + tall // 2), (right, top + tall // 2), frame, 1)
    cv2.rectangle(
        pixels,
        (left - 4, bottom + 2),
        (right + 4, bottom + 4),
        tuple(float(c) * 0.8 for c in frame),
        -1,
    )


def _door(pixels, rng, middle, base, trim) -> None:
    color = tuple(float(c) for c in SHOPS[int(rng.integers(len(SHOPS)))])
    cv2.rectangle(
        pixels, (middle - 11, base - 42), (middle + 11, base), tuple(map(float, trim)), -1
    )
    cv2.rectangle(pixels, (middle - 9, base - 38), (middle + 9, base), color, -1)
    cv2.rectangle(
        pixels,
        (middle - 6, base - 35),
        (middle + 6, base - 22),
        tuple(c * 0.6 for c in color),
        -1,
    )
    cv2.rectangle(pixels, (middle - 9, base - 2), (middle + 9, base), (120.0, 118.0, 112.0), -1)


def _shop(pixels, rng, base, width, dusk) -> None:
    color = tuple(float(c) for c in SHOPS[int(rng.integers(len(SHOPS)))])
    cv2.rectangle(pixels, (0, base - 52), (width, base), color, -1)
    pane = int(rng.integers(26, 46))
    for left in range(5, width - 20, pane + 5):
        glass = _glass(rng, dusk) if not dusk else np.array([250, 226, 170], np.float32)
        right = min(left + pane, width - 5)
        pixels[base - 36 : base - 7, left:right] = glass
        for _ in range(5):  # what stands in the shop window
            x, y = int(rng.integers(left, right)), int(rng.integers(base - 26, base - 10))
            patch = pixels[y : y + 8, x : min(x + 6, right)]
            patch[:] = patch * 0.5 + rng.uniform(20, 200, 3) * 0.5
    ink = 235.0 if sum(color) < 330 else 30.0
    for x in range(width // 5, width * 4 // 5, 7):  # lettering
        if rng.random() < 0.8:
            cv2.rectangle(pixels, (x, base - 48), (x + 4, base - 41), (ink, ink, ink * 0.9), -1)

"""Procedural textures that all streets share: noise, foliage, skylines, fences.

They are made from fixed seeds and cached, because making them takes longer than drawing a frame.
Streets differ in which textures they use, and in tints, light and positions.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from .canvas import Texture


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cell: float,
    octaves: int = 4,
    wrap: bool = False,
) -> np.ndarray:
    """Fractal value noise.

    Args:
        rng: source.
        shape: rows and columns.
        cell: size in pixels of the coarsest lumps.
        octaves: each half as large and half as strong as the one before.
        wrap: whether left meets right and top meets bottom.

    Returns:
        float32 array in 0 to 1, about 0.5 on average.
    """
    rows, columns = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        grid_rows = max(2, int(round(rows / cell * 2**octave)))
        grid_columns = max(2, int(round(columns / cell * 2**octave)))
        grid = rng.random((grid_rows, grid_columns), np.float32)
        if wrap:
            grid = np.pad(grid, 2, mode='wrap')
            fine = cv2.resize(
                grid,
                None,
                fx=columns / grid_columns,
                fy=rows / grid_rows,
                interpolation=cv2.INTER_CUBIC,
            )
            top = int(2 * rows / grid_rows)
            left = int(2 * columns / grid_columns)
            fine = fine[top : top + rows, left : left + columns]
        else:
            fine = cv2.resize(grid, (columns, rows), interpolation=cv2.INTER_CUBIC)
        total += fine * 0.5**octave
    total /= 2 - 0.5 ** (octaves - 1)
    return np.clip(total, 0, 1)


@lru_cache(maxsize=None)
def ground_detail(kind: int) -> list[np.ndarray]:
    """Grain of the ground as a factor, 128 for 1: a wrapping square of 20 m.

    Returns:
        three (n, n) uint8 arrays: n of 1024, 256 and 64.
    """
    rng = np.random.default_rng([7001, kind])
    coarse = noise(rng, (1024, 1024), 256, 5, wrap=True) - 0.5
    grain = rng.normal(0, 0.06, (1024, 1024)).astype(np.float32)
    cracks = np.abs(noise(rng, (1024, 1024), 128, 4, wrap=True) - 0.5)
    fine = 1 + 0.45 * coarse + grain - 0.22 * np.clip(1 - cracks * 60, 0, 1)
    levels = [fine]
    for _ in range(2):
        levels.append(cv2.resize(levels[-1], None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA))
    return [np.clip(level * 128, 0, 255).astype(np.uint8) for level in levels]


FOLIAGE = 14


@lru_cache(maxsize=None)
def foliage(kind: int) -> Texture:
    """The crown of a tree, 0 to `FOLIAGE` - 1: broad, tall, conical; green to autumn brown."""
    rng = np.random.default_rng([7002, kind])
    rows, columns = 224, 192
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    x, y = (x / columns - 0.5) * 2, (y / rows - 0.5) * 2
    form = kind % 3
    if form == 0:
        radius = np.hypot(x, y * 1.02)
    elif form == 1:
        radius = np.hypot(x * 1.15, np.where(y < 0, y, y * 0.95))
    else:
        radius = np.maximum(np.abs(x) / np.clip((y + 1.05) / 2, 0.05, 1), np.abs(y))
    lumps = noise(rng, (rows, columns), 48, 5)
    solid = (1 - radius) * 1.4 + (lumps - 0.5) * 1.5
    alpha = solid > 0.18
    alpha &= noise(rng, (rows, columns), 14, 2) + solid > 0.42
    alpha &= np.hypot(x, y) < 1.25
    alpha[[0, -1]] = False
    alpha[:, [0, -1]] = False
    hue = np.array(
        [
            [74, 92, 40],
            [58, 80, 38],
            [92, 104, 52],
            [70, 84, 50],
            [106, 96, 50],
            [48, 66, 40],
            [120, 92, 48],
        ][kind % 7],
        np.float32,
    )
    light = 0.55 + 0.75 * noise(rng, (rows, columns), 36, 5) - 0.22 * y
    light += rng.normal(0, 0.16, (rows, columns))
    color = np.clip(hue * light[..., None], 0, 255).astype(np.uint8)
    return Texture(np.dstack([color, np.where(alpha, 255, 0).astype(np.uint8)]))


@lru_cache(maxsize=None)
def bare_crown(kind: int) -> Texture:
    """A leafless crown: so dense a net of twigs that what it covers is tree."""
    rng = np.random.default_rng([7003, kind])
    size = 256
    wood = np.zeros((size, size), np.uint8)

    def grow(x, y, angle, length, thick):
        end = (x + length * np.sin(angle), y - length * np.cos(angle))
        cv2.line(wood, (int(x), int(y)), (int(end[0]), int(end[1])), 255, max(1, int(thick)))
        if length > 7:
            for turn in (
                rng.uniform(-0.75, -0.2),
                rng.uniform(-0.15, 0.15),
                rng.uniform(0.2, 0.75),
            ):
                grow(*end, angle + turn, length * rng.uniform(0.62, 0.82), thick * 0.68)

    grow(size / 2, size - 1, 0.0, 62.0, 8.0)
    haze = cv2.GaussianBlur(wood, (0, 0), 5)
    alpha = (haze > 46) | (wood > 0)
    twig = 0.75 + 0.5 * rng.random((size, size, 1))
    color = np.where(wood[..., None] > 0, (62, 54, 46), (112, 106, 98)) * twig
    return Texture(
        np.dstack(
            [np.clip(color, 0, 255).astype(np.uint8), np.where(alpha, 255, 0).astype(np.uint8)]
        )
    )


@lru_cache(maxsize=None)
def fence(kind: int, repeat: int) -> Texture:
    """Pieces of fence, two metres each: boards, palings, mesh or iron railings.

    The background between railings is drawn as a dark blur and labelled as fence, as human
    annotators do.
    """
    rng = np.random.default_rng([7004, kind])
    rows, columns = 64, 128
    form = kind % 4
    wood = np.array([[128, 98, 66], [92, 78, 60], [150, 140, 124]][kind % 3], np.float32)
    pixels = np.zeros((rows, columns, 4), np.uint8)
    if form == 0:
        for board in range(8):
            shade = rng.uniform(0.75, 1.1)
            pixels[2:, board * 16 : board * 16 + 15, :3] = np.clip(wood * shade, 0, 255)
        pixels[:, 15::16, :3] = 40
        pixels[[10, 11, 50, 51], :, :3] = wood * 0.6
        pixels[2:, :, 3] = 255
    elif form == 1:
        pixels[:] = (58, 62, 54, 0)
        pixels[4:, :, 3] = 255
        for paling in range(8):
            left = paling * 16
            pixels[2:, left + 2 : left + 12] = (
                *np.clip(wood * rng.uniform(1.1, 1.5), 0, 255),
                255,
            )
        pixels[[14, 15, 16, 46, 47, 48], :, :3] = np.clip(wood * 1.1, 0, 255)
    else:
        iron = [(46, 50, 54), (60, 84, 68), (150, 154, 156)][kind % 3]
        behind = (96, 98, 96) if form == 2 else (112, 116, 112)
        pixels[:] = (*behind, 255)
        pixels[:, :: 8 if form == 2 else 6, :3] = iron
        pixels[:, 1 :: 8 if form == 2 else 6, :3] = iron
        pixels[:5, :, :3] = iron
        pixels[-9:-5, :, :3] = iron
        pixels[:, :4, :3] = iron
    grain = rng.normal(1, 0.05, (rows, columns, 1))
    pixels[..., :3] = np.clip(pixels[..., :3] * grain, 0, 255)
    return Texture(np.tile(pixels, (1, repeat, 1)))


@lru_cache(maxsize=None)
def hedge(kind: int, repeat: int) -> Texture:
    """Pieces of hedge with an uneven top, two metres each."""
    rng = np.random.default_rng([7005, kind])
    rows, columns = 80, 128
    hue = np.array([[60, 80, 40], [48, 66, 38], [84, 90, 48]][kind % 3], np.float32)
    light = 0.5 + 0.9 * noise(rng, (rows, columns), 22, 4) + rng.normal(0, 0.14, (rows, columns))
    light -= np.linspace(-0.15, 0.3, rows)[:, None]
    top = (noise(rng, (1, columns), 24, 3)[0] * 14).astype(int)
    alpha = np.arange(rows)[:, None] >= top[None]
    pixels = np.dstack(
        [
            np.clip(hue * light[..., None], 0, 255).astype(np.uint8),
            np.where(alpha, 255, 0).astype(np.uint8),
        ]
    )
    return Texture(np.tile(pixels, (1, repeat, 1)))

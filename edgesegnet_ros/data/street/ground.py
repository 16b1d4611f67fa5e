"""The ground: road, markings, kerb, pavement, verges, side streets."""

from __future__ import annotations

import cv2
import numpy as np

from .camera import NEAR
from .canvas import OVERSAMPLING
from .labels import PAVEMENT, ROAD, TREE
from .layout import Layout
from .painter import Painter
from .shadows import shadow_mask
from .textures import ground_detail

NEAREST, FARTHEST = -4.0, 180.0  # metres of road from the camera


def _stations(view_s: float) -> np.ndarray:
    """Positions along the road at which its edges are drawn: dense nearby, sparse far away."""
    return view_s + np.concatenate(
        [[NEAR + 0.02, 1.0], np.arange(2, 30, 1.5), np.arange(30, FARTHEST, 5.0)]
    )


def paint_ground(painter: Painter, layout: Layout, standing: list) -> None:
    """Draw the ground.

    Args:
        painter: where to draw.
        layout: the street's cross-section and flat objects.
        standing: objects that cast shadows.
    """
    view, canvas = painter.view, painter.canvas
    horizon = int(np.floor(view.camera.cy)) + 1  # first row below it
    light = float(painter.weather.light(painter.weather.sun[1]))
    section = layout.section
    tone = painter.weather.shade(section.beyond_color, light, 60)
    cv2.rectangle(
        canvas.samples,
        (0, horizon * OVERSAMPLING),
        canvas.samples.shape[1::-1],
        (*tone, section.beyond_label),
        -1,
    )
    s = _stations(view.s)
    half = section.half_road
    for side in (-1, 1):
        outer = half + section.pavement
        if section.verge > 0:
            _band(
                painter,
                s,
                side * outer,
                side * (outer + section.verge),
                section.grass,
                TREE,
                light,
            )
        _band(painter, s, side * half, side * outer, section.pavement_color, PAVEMENT, light)
    _slabs(painter, section, light)
    _band(painter, s, -half, half, section.road_color, ROAD, light)
    for side in (-1, 1):
        _band(
            painter, s, side * (half - 0.35), side * half, section.road_color * 0.86, ROAD, light
        )
        _band(
            painter,
            s,
            side * half,
            side * (half + 0.16),
            section.kerb_color,
            PAVEMENT,
            light * 1.05,
        )
    for near, far, side in layout.side_streets(view.s + NEAREST, view.s + 120):
        edge = side * np.array([half - 0.1, half - 0.1, half + 45, half + 45])
        points = view.points(np.array([near, far, far, near]), edge)
        painter.face(points, section.road_color, ROAD, light, convex=False)
    for color, patches in layout.markings(view.s + NEAREST, view.s + 110):
        _patches(painter, patches, color, ROAD, light)
    _grain(painter, layout, standing, horizon)


def _band(painter, s, inner, outer, color, label, light) -> None:
    """A strip between two distances from the centre line, cut in two so that haze can grow."""
    for part in (s[s >= s[0] + 54], s[s <= s[0] + 60]):
        a = painter.view.points(part, np.full(len(part), inner))
        b = painter.view.points(part, np.full(len(part), outer))
        keep = (a[:, 2] > NEAR) & (b[:, 2] > NEAR)
        if keep.sum() < 2:
            continue
        outline = np.concatenate([a[keep], b[keep][::-1]])
        tone = painter.weather.shade(color, light, float(np.percentile(a[keep, 2], 25)))
        painter.canvas.fill(painter.fixed(outline), tone, label, convex=False)


def _patches(painter, patches: np.ndarray, color, label, light) -> None:
    """Four-cornered pieces of one colour: (n, 4, 2) of s and d."""
    points = painter.view.points(patches[..., 0], patches[..., 1])
    near = points[..., 2].min(1)
    fixed = painter.fixed(points)
    for low, high in ((NEAR, 15), (15, 40), (40, FARTHEST)):
        inside = (near >= low) & (near < high)
        tone = painter.weather.shade(color, light, (low + high) / 2)
        painter.canvas.fill_all(fixed[inside], tone, label)
    for i in np.flatnonzero((near < NEAR) & (points[..., 2].max(1) > NEAR)):
        painter.face(points[i], color, label, light, convex=False)


def _slabs(painter, section, light) -> None:
    """Joints across the pavement near by."""
    view = painter.view
    first = np.ceil((view.s + 2) / section.slab) * section.slab
    s = np.arange(first, view.s + 26, section.slab)[:, None] + [0, 0.04, 0.04, 0]
    inner, outer = section.half_road + 0.2, section.half_road + section.pavement
    for side in (-1, 1):
        d = np.broadcast_to(side * np.array([inner, inner, outer, outer]), s.shape)
        _patches(painter, np.stack([s, d], -1), section.pavement_color * 0.8, PAVEMENT, light)


def _grain(painter: Painter, layout: Layout, standing: list, horizon: int) -> None:
    """Apply the grain and the shadows to the ground, at the image's resolution."""
    view, canvas = painter.view, painter.canvas
    ground = canvas.samples[horizon * OVERSAMPLING :]
    rows, columns = canvas.size[0] - horizon, canvas.size[1]
    depth = view.camera.depth_of_row(np.arange(horizon, canvas.size[0]))
    row_s, row_x, row_turn = view.rows_of_road(depth)
    x = (np.arange(columns) - view.camera.cx) / view.camera.focal
    across = (x[None] * depth[:, None] - row_x[:, None]).astype(np.float32)
    along = (row_s % 20.0).astype(np.float32)[:, None] + np.sin(row_turn).astype(np.float32)[
        :, None
    ] * across
    factor = np.full((rows, columns), 128, np.uint8)
    levels = ground_detail(layout.section.grain)
    for level, (low, high) in zip(levels, ((0, 7), (7, 20), (20, 70))):
        part = np.flatnonzero((depth >= low) & (depth < high))
        if not len(part):
            continue
        cut = slice(part[0], part[-1] + 1)
        scale = level.shape[0] / 20.0
        factor[cut] = cv2.remap(
            level,
            across[cut] * scale,
            along[cut] * scale,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
    factor = cv2.multiply(factor, shadow_mask(painter, standing, horizon), scale=1 / 255)
    factor = cv2.merge([factor, factor, factor, np.full_like(factor, 128)])
    factor = cv2.resize(factor, ground.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    cv2.multiply(ground, factor, ground, scale=1 / 128)

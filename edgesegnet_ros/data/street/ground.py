"""The ground: road, markings, kerb, pavement, verges, side streets, and shadows cast on them."""

from __future__ import annotations

import cv2
import numpy as np

from .buildings import House
from .canvas import OVERSAMPLING
from .furniture import Lamp
from .labels import PAVEMENT, ROAD, TREE
from .layout import Layout
from .painter import Painter
from .textures import ground_detail
from .vegetation import Tree, shadow_of
from .vehicles import BODIES, Car

NEAREST, FARTHEST = -4.0, 180.0


def _stations(view_s: float) -> np.ndarray:
    """Places along the road to draw its edges at: dense near by, sparse far off."""
    return view_s + np.concatenate([np.arange(NEAREST, 30, 1.5), np.arange(30, FARTHEST, 5.0)])


def paint_ground(painter: Painter, layout: Layout, standing: list) -> None:
    """Draw everything flat.

    Args:
        painter: where to draw.
        layout: the street's cross-section and flat things.
        standing: what casts shadows.
    """
    view, canvas = painter.view, painter.canvas
    top = int(np.ceil((view.camera.cy + .5) * OVERSAMPLING))
    light = painter.weather.ambient + .5 * painter.weather.sunshine * painter.weather.sun[1]
    section = layout.section
    tone = painter.weather.shade(section.beyond_color, light, 60)
    canvas.samples[top:] = (*(int(c) for c in tone), section.beyond_label)
    s = _stations(view.s)
    half = section.half_road
    for side in (-1, 1):
        outer = half + section.pavement
        _band(painter, s, side * (outer - .05), side * (outer + 14), section.beyond_color,
              section.beyond_label, light)
        if section.verge > 0:
            _band(painter, s, side * outer, side * (outer + section.verge), section.grass, TREE,
                  light)
        _band(painter, s, side * half, side * outer, section.pavement_color, PAVEMENT, light)
    _slabs(painter, section, light)
    _band(painter, s, -half, half, section.road_color, ROAD, light)
    for side in (-1, 1):
        _band(painter, s, side * (half - .35), side * half, section.road_color * .86, ROAD, light)
        _band(painter, s, side * half, side * (half + .16), section.kerb_color, PAVEMENT,
              light * 1.05)
    for near, far, side in layout.side_streets(view.s + NEAREST, view.s + 120):
        edge = side * np.array([half - .1, half - .1, half + 45, half + 45])
        _patch(painter, np.array([near, far, far, near]), edge, section.road_color, ROAD, light)
    for mark_s, mark_d, color in layout.markings(view.s + NEAREST, view.s + 110):
        _patch(painter, mark_s, mark_d, color, ROAD, light)
    _shade(painter, layout, standing, top)


def _band(painter, s, inner, outer, color, label, light) -> None:
    """A strip between two distances from the centre line, cut in two so that haze can grow."""
    for part in (s[s >= s[0] + 58], s[s <= s[0] + 64]):
        a = painter.view.place(part, np.full(len(part), inner))
        b = painter.view.place(part, np.full(len(part), outer))
        keep = (a[:, 2] > .5) & (b[:, 2] > .5)
        if keep.sum() < 2:
            continue
        outline = np.concatenate([a[keep], b[keep][::-1]])
        tone = painter.weather.shade(color, light, float(np.percentile(a[keep, 2], 25)))
        painter.canvas.polygon(painter.view.camera.project(outline), tone, label)


def _patch(painter, s, d, color, label, light) -> None:
    points = painter.view.place(np.asarray(s, float), np.asarray(d, float))
    painter.face(points, color, label, light, convex=False)


def _slabs(painter, section, light) -> None:
    """Joints across the pavement near by."""
    view = painter.view
    first = np.ceil((view.s + 2) / section.slab) * section.slab
    tone = section.pavement_color * .8
    for s in np.arange(first, view.s + 26, section.slab):
        for side in (-1, 1):
            d = side * np.array([section.half_road + .2, section.half_road + section.pavement])
            _patch(painter, [s, s + .04, s + .04, s], d[[0, 0, 1, 1]], tone, PAVEMENT, light)


def _shade(painter: Painter, layout: Layout, standing: list, top: int) -> None:
    """Lay the grain and the shadows over the ground."""
    view, canvas = painter.view, painter.canvas
    ground = canvas.samples[top:]
    rows, columns = ground.shape[:2]
    v = (np.arange(top, top + rows) + .5) / OVERSAMPLING - .5
    depth = view.camera.depth_of_row(v)
    row_s, row_x, row_turn = view.rows_of_road(depth)
    x = ((np.arange(columns) + .5) / OVERSAMPLING - .5 - view.camera.cx) / view.camera.focal
    across = (x[None] * depth[:, None] - row_x[:, None]).astype(np.float32)
    along = (row_s % 20.0).astype(np.float32)[:, None] + np.sin(row_turn).astype(
        np.float32)[:, None] * across
    factor = np.full((rows, columns), 128, np.uint8)
    levels = ground_detail(layout.section.grain)
    for level, (low, high) in zip(levels, ((0, 9), (9, 24), (24, 70)), strict=True):
        part = np.flatnonzero((depth >= low) & (depth < high))
        if not len(part):
            continue
        cut = slice(part[0], part[-1] + 1)
        scale = level.shape[0] / 20.0
        factor[cut] = cv2.remap(level, across[cut] * scale, along[cut] * scale, cv2.INTER_LINEAR,
                                borderMode=cv2.BORDER_WRAP)
    shadow = _shadow_mask(painter, standing, top, rows, columns)
    factor = cv2.multiply(factor, shadow, scale=1 / 255)
    colors = cv2.multiply(ground, cv2.merge([factor, factor, factor,
                                             np.full_like(factor, 128)]), scale=1 / 128)
    colors[..., 3] = ground[..., 3]
    canvas.samples[top:] = colors


def _shadow_mask(painter, standing, top, rows, columns) -> np.ndarray:
    """255 in the open, less under vehicles and, when the sun shines, behind things."""
    mask = np.full((rows // 2 + 1, columns // 2 + 1), 255, np.uint8)
    sun, strength = painter.sun(), painter.weather.sunshine
    scale = 1 / 2

    def cast(points: np.ndarray, value: int) -> None:
        from .camera import clip_near
        points = clip_near(points)
        if len(points) < 3:
            return
        pixels = (painter.canvas.to_samples(painter.view.camera.project(points)) - (0, top)) * scale
        hull = cv2.convexHull(np.clip(pixels, -9000, 9000).astype(np.float32))
        cv2.fillConvexPoly(mask, np.round(hull * 8).astype(np.int32), value, shift=3)

    slant = np.array([-sun[0], 0, -sun[2]]) / max(sun[1], .25)
    dark = int(255 * (1 - .48 * strength))
    for thing in standing if strength > .3 else ():
        if isinstance(thing, House):
            ends = painter.view.place(np.array([thing.start, thing.end]), np.full(2, thing.d))
            cast(np.concatenate([ends, ends + slant * (thing.height + thing.pitch * .5)]), dark)
        elif isinstance(thing, Tree):
            base = painter.view.place(thing.s, thing.d)
            outline = shadow_of(thing)
            flat = base + slant * outline[:, 1:] + np.stack(
                [outline[:, 0], np.zeros(12), outline[:, 0] * .4], -1)
            cast(flat, dark)
        elif isinstance(thing, Lamp):
            base = painter.view.place(thing.s, thing.d)
            foot = np.array([[-.08, 0, 0], [.08, 0, 0]]) + base
            cast(np.concatenate([foot, foot + slant * thing.height]), dark)
        elif isinstance(thing, Car):
            cast(_car_shadow(painter, thing, slant * 1.2), dark)
    for thing in standing:
        if isinstance(thing, Car):
            cast(_car_shadow(painter, thing, slant * 0), 92)
        elif hasattr(thing, 'look'):
            base = painter.view.place(thing.s, thing.d)
            reach = slant * 1.6 * (strength > .3)
            foot = base + np.array([[-.22, 0, -.2], [.22, 0, -.2], [.22, 0, .25], [-.22, 0, .25]])
            cast(np.concatenate([foot, foot + reach]), min(dark, 170))
    mask = cv2.GaussianBlur(mask, (5, 5), 0)
    return cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_LINEAR)


def _car_shadow(painter, car: Car, reach: np.ndarray) -> np.ndarray:
    outline = BODIES[car.body].outline
    low, high, w = outline[:, 0].min() + .1, outline[:, 0].max() - .1, outline[:, 2].max() + .05
    base = painter.view.pose(car.s, car.d, np.array(
        [[-w, 0, low], [w, 0, low], [w, 0, high], [-w, 0, high]]), car.yaw)
    return np.concatenate([base, base + reach])

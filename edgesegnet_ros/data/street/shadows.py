"""Shadows on the ground: of the sun, and the dark under vehicles and feet."""

from __future__ import annotations

import cv2
import numpy as np

from .buildings import House
from .camera import clip_near
from .furniture import Lamp
from .painter import Painter
from .people import Bicyclist, Pedestrian
from .vegetation import Tree, shadow_of
from .vehicles import Car

REACH = 70.0  # metres; shadows farther off are not seen
UNDER_CAR, UNDER_FEET = 92, 170  # of 255


def shadow_mask(painter: Painter, things: list, horizon: int) -> np.ndarray:
    """How much light reaches the ground.

    Args:
        painter: view and weather.
        things: what may cast a shadow.
        horizon: image row that the mask begins with.

    Returns:
        (H - horizon, W) uint8, 255 in the open.
    """
    rows, columns = painter.canvas.size
    mask = np.full((rows - horizon, columns), 255, np.uint8)
    sun, view = painter.sun, painter.view
    slant = np.array([-sun[0], 0, -sun[2]]) / max(sun[1], 0.25)
    shining = painter.weather.sunshine > 0.3
    dark = int(255 * (1 - 0.48 * painter.weather.sunshine))

    def cast(points: np.ndarray, value: int) -> None:
        points = clip_near(points)
        if len(points) < 3:
            return
        pixels = view.camera.project(points) - (0, horizon)
        hull = cv2.convexHull(np.clip(pixels, -9000, 9000).astype(np.float32))
        cv2.fillConvexPoly(mask, np.rint(hull * 8).astype(np.int32), value, shift=3)

    near = [thing for thing in things if thing.far_end - view.s < REACH]
    for thing in near if shining else ():
        outline = _reach(painter, thing, slant)
        if outline is not None:
            cast(outline, dark)
    for thing in near:
        if isinstance(thing, Car):
            cast(view.pose(thing.s, thing.d, thing.footprint(), thing.yaw), UNDER_CAR)
        elif isinstance(thing, (Pedestrian, Bicyclist)) and thing.s - view.s < 35:
            cast(view.point(thing.s, thing.d) + _FEET, UNDER_FEET)
    return cv2.GaussianBlur(mask, (5, 5), 0)


_FEET = np.array([[-0.22, 0, -0.2], [0.22, 0, -0.2], [0.22, 0, 0.25], [-0.22, 0, 0.25]])


def _reach(painter: Painter, thing, slant: np.ndarray) -> np.ndarray | None:
    """Ground points whose convex hull is the thing's shadow."""
    view = painter.view
    if isinstance(thing, House):
        ends = np.stack([view.point(thing.start, thing.d), view.point(thing.end, thing.d)])
        return np.concatenate([ends, ends + slant * (thing.height + thing.pitch * 0.5)])
    if isinstance(thing, Tree):
        crown = shadow_of(thing)
        wide = np.stack([crown[:, 0], np.zeros(len(crown)), crown[:, 0] * 0.4], -1)
        return view.point(thing.s, thing.d) + slant * crown[:, 1:] + wide
    if isinstance(thing, Lamp):
        foot = view.point(thing.s, thing.d) + np.array([[-0.08, 0, 0], [0.08, 0, 0]])
        return np.concatenate([foot, foot + slant * thing.height])
    if isinstance(thing, Car):
        foot = view.pose(thing.s, thing.d, thing.footprint(), thing.yaw)
        return np.concatenate([foot, foot + slant * 1.2])
    if isinstance(thing, (Pedestrian, Bicyclist)) and thing.s - view.s < 35:
        foot = view.point(thing.s, thing.d) + _FEET
        return np.concatenate([foot, foot + slant * 1.7])
    return None

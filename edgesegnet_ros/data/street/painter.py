"""Draws solid things of the camera frame on the canvas, in the light of the day."""

from __future__ import annotations

import numpy as np

from .camera import NEAR, clip_near
from .canvas import Canvas, Texture
from .course import View
from .weather import Weather


class Painter:
    """A canvas, the view it shows and the weather it is seen in.

    Args:
        canvas: what to draw on.
        view: where the camera is.
        weather: light and haze.
    """

    def __init__(self, canvas: Canvas, view: View, weather: Weather) -> None:
        self.canvas, self.view, self.weather = canvas, view, weather

    def face(self, points: np.ndarray, color, label: int, brightness: float = 1.0,
             convex: bool = True) -> None:
        """Fill a plane polygon.

        Args:
            points: (n, 3) corners in the camera frame, metres.
            color: RGB of the surface.
            label: class id.
            brightness: light that falls on it.
            convex: whether the polygon is convex in the image.
        """
        points = clip_near(points)
        if len(points) < 3:
            return
        tone = self.weather.shade(color, brightness, float(points[:, 2].mean()))
        draw = self.canvas.convex if convex else self.canvas.polygon
        draw(self.view.camera.project(points), tone, label)

    def rod(self, start: np.ndarray, end: np.ndarray, width: float, color, label: int,
            brightness: float = 1.0, least: float = 0.0) -> None:
        """A round bar between two points of the camera frame.

        Args:
            start: (3,) metres.
            end: (3,) metres.
            width: thickness in metres.
            color: RGB.
            label: class id.
            brightness: light that falls on it.
            least: thickness in pixels that it never falls below.
        """
        if min(start[2], end[2]) < NEAR:
            return
        depth = (start[2] + end[2]) / 2
        pixels = self.view.camera.project(np.stack([start, end]))
        tone = self.weather.shade(color, brightness, float(depth))
        self.canvas.capsule(pixels[0], pixels[1],
                            max(width * self.view.camera.focal / depth, least), tone, label)

    def ball(self, centre: np.ndarray, radius: float, color, label: int,
             brightness: float = 1.0) -> None:
        """A sphere of a radius in metres."""
        if centre[2] < NEAR:
            return
        tone = self.weather.shade(color, brightness, float(centre[2]))
        self.canvas.disc(self.view.camera.project(centre),
                         radius * self.view.camera.focal / centre[2], tone, label)

    def wall(self, foot: np.ndarray, low: float, high: float, texture: Texture, label: int,
             brightness: float = 1.0, repeat: int = 1) -> None:
        """An upright face with a texture.

        Args:
            foot: (2, 3) its two lower ends in the camera frame; heights are ignored.
            low: height of its lower edge in metres.
            high: height of its upper edge.
            texture: what it shows.
            label: class id.
            brightness: light that falls on it.
            repeat: how many times the texture goes across it.
        """
        for part in range(repeat):
            a = foot[0] + (foot[1] - foot[0]) * part / repeat
            b = foot[0] + (foot[1] - foot[0]) * (part + 1) / repeat
            left, right = 0.0, 1.0
            if max(a[2], b[2]) <= NEAR:
                continue
            if a[2] < NEAR:
                left = (NEAR - a[2]) / (b[2] - a[2])
                a = a + left * (b - a)
            elif b[2] < NEAR:
                right = (NEAR - a[2]) / (b[2] - a[2])
                b = a + right * (b - a)
            points = np.array([[a[0], high, a[2]], [b[0], high, b[2]],
                               [b[0], low, b[2]], [a[0], low, a[2]]])
            corners = np.array([[left, 0], [right, 0], [right, 1], [left, 1]])
            gain, add = self._air(brightness, float((a[2] + b[2]) / 2))
            self.canvas.textured(self.view.camera.project(points), texture, corners, label,
                                 gain, add)

    def billboard(self, base: np.ndarray, width: float, low: float, high: float,
                  texture: Texture, label: int, brightness: float = 1.0) -> None:
        """A texture that faces the camera.

        Args:
            base: (3,) point of the camera frame below its middle.
            width: in metres.
            low: height of its lower edge above the base.
            high: height of its upper edge.
            texture: what it shows.
            label: class id.
            brightness: light that falls on it.
        """
        if base[2] < 4 * NEAR:
            return
        corners = self.view.camera.project(base + np.array(
            [[-width / 2, high, 0.0], [width / 2, low, 0.0]]))
        gain, add = self._air(brightness, float(base[2]))
        self.canvas.sprite(corners[0], corners[1], texture, label, gain, add)

    def _air(self, brightness: float, distance: float) -> tuple[float, np.ndarray]:
        share = self.weather.fade(distance)
        return brightness * (1 - share), self.weather.haze * share

    def light(self, normal: np.ndarray) -> float:
        """Light on a face whose normal is given in the camera frame."""
        sine, cosine = np.sin(self.view.yaw), np.cos(self.view.yaw)
        absolute = np.array([normal[0] * cosine + normal[2] * sine, normal[1],
                             -normal[0] * sine + normal[2] * cosine])
        return self.weather.light(absolute)

    def sun(self) -> np.ndarray:
        """Direction to the sun in the camera frame."""
        sine, cosine = np.sin(self.view.yaw), np.cos(self.view.yaw)
        x, y, z = self.weather.sun
        return np.array([x * cosine - z * sine, y, x * sine + z * cosine])

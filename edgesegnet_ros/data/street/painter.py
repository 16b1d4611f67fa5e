"""Draws solid objects in the camera frame onto the canvas, with the light of the weather."""

from __future__ import annotations

import numpy as np

from .camera import NEAR, clip_near
from .canvas import FAR_OFF, FRACTION_BITS, OVERSAMPLING, Canvas, Texture
from .course import View
from .solid import Solid
from .weather import Weather

_LIMIT = FAR_OFF * OVERSAMPLING * (1 << FRACTION_BITS)
FINE = 45.0  # metres; small parts farther away are not drawn


class Painter:
    """A canvas with the view that it shows and the weather.

    Args:
        canvas: what to draw on.
        view: where the camera is.
        weather: light and haze.

    Attributes:
        canvas: the argument of that name.
        view: the argument of that name.
        weather: the argument of that name.
        sun: (3,) direction to the sun in the camera frame.
        eye: (3,) the camera's optical centre in the camera frame, which lies on the road.
    """

    def __init__(self, canvas: Canvas, view: View, weather: Weather) -> None:
        self.canvas, self.view, self.weather = canvas, view, weather
        sine, cosine = np.sin(view.yaw), np.cos(view.yaw)
        x, y, z = weather.sun
        self.sun = np.array([x * cosine - z * sine, y, x * sine + z * cosine])
        camera, scale = view.camera, OVERSAMPLING * (1 << FRACTION_BITS)
        self._focal = camera.focal * scale
        self._centre = canvas.to_samples(np.array((camera.cx, camera.cy))) * (1 << FRACTION_BITS)
        self.eye = np.array([0.0, view.camera.mount, 0.0])

    def fixed(self, points: np.ndarray) -> np.ndarray:
        """Corners for the canvas.

        Args:
            points: (..., 3) in the camera frame, metres.

        Returns:
            (..., 2) int32 sample coordinates with fraction bits.
        """
        scale = self._focal / np.maximum(points[..., 2], NEAR)
        samples = np.empty(points.shape[:-1] + (2,))
        np.multiply(points[..., 0], scale, out=samples[..., 0])
        np.multiply(self.view.camera.mount - points[..., 1], scale, out=samples[..., 1])
        samples += self._centre
        np.clip(samples, -_LIMIT, _LIMIT, out=samples)
        return np.rint(samples, out=samples).astype(np.int32)

    def face(
        self, points: np.ndarray, color, label: int, brightness: float = 1.0, convex: bool = True
    ) -> None:
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
        self.canvas.fill(self.fixed(points), tone, label, convex)

    def limbs(
        self, points: np.ndarray, limbs, label: int, brightness: float = 1.0, least: float = 0.0
    ) -> None:
        """Round bars between points that are about equally far away.

        Args:
            points: (n, 3) in the camera frame.
            limbs: (index, index, thickness in metres, RGB) of each, far ones first; a limb from a
                point to itself is a ball.
            label: class id.
            brightness: light that falls on them.
            least: thickness in pixels that they never fall below.
        """
        nearest = float(points[:, 2].min())
        if nearest < NEAR:
            return
        scale = self.view.camera.focal / float(points[0, 2])
        fixed = self.fixed(points).tolist()
        for start, end, width, color in limbs:
            self.canvas.capsule(
                fixed[start],
                fixed[end],
                max(width * scale, least),
                self.weather.shade(color, brightness, nearest),
                label,
            )

    def ball(
        self, centre: np.ndarray, radius: float, color, label: int, brightness: float = 1.0
    ) -> None:
        """A sphere of a radius in metres."""
        depth = float(centre[2])
        if depth < NEAR:
            return
        tone = self.weather.shade(color, brightness, depth)
        self.canvas.disc(
            self.fixed(centre).tolist(), radius * self.view.camera.focal / depth, tone, label
        )

    def solid(self, solid: Solid, s: float, d: float, yaw: float, palette, label: int) -> None:
        """Draw a body with flat faces that stands on the road.

        Args:
            solid: its shape.
            s: position of its origin along the road.
            d: position across it.
            yaw: its turn against the road's direction in radians.
            palette: RGB for each of the solid's slots.
            label: class id.
        """
        turn, origin = self.view.turn(s, yaw), self.view.point(s, d)
        points = solid.vertices @ turn + origin
        depth = float(origin[2])
        if points[:, 2].max() < 1.0:
            return
        eye = (self.eye - origin) @ turn.T
        facing = ((eye - solid.centres) * solid.normals).sum(1) > 0
        light = self.weather.light(solid.normals @ (turn @ self.sun))
        near_by = points[:, 2].min() < NEAR
        fixed = self.fixed(points)
        away = np.linalg.norm(solid.group_centres - eye, axis=1)
        for group in sorted(range(len(solid.groups)), key=lambda g: (solid.ranks[g], -away[g])):
            for face in solid.groups[group]:
                if not facing[face] or (depth > FINE and solid.fine[face]):
                    continue
                corners = solid.faces[face]
                color, gain = palette[solid.slots[face]], float(light[face]) * solid.gains[face]
                if near_by:
                    self.face(points[corners], color, label, gain, solid.convex[face])
                else:
                    self.canvas.fill(
                        fixed[corners],
                        self.weather.shade(color, gain, depth),
                        label,
                        solid.convex[face],
                    )

    def wall(
        self,
        foot: np.ndarray,
        low: float,
        high: float,
        texture: Texture,
        label: int,
        brightness: float = 1.0,
    ) -> None:
        """An upright face with a texture.

        Args:
            foot: (2, 3) its two lower ends in the camera frame; heights are ignored.
            low: height of its lower edge in metres.
            high: height of its upper edge.
            texture: the texture to draw.
            label: class id.
            brightness: light that falls on it.
        """
        a, b = foot
        left, right = 0.0, 1.0
        if max(a[2], b[2]) <= NEAR:
            return
        if a[2] < NEAR:
            left = (NEAR - a[2]) / (b[2] - a[2])
            a = a + left * (b - a)
        elif b[2] < NEAR:
            right = (NEAR - a[2]) / (b[2] - a[2])
            b = a + right * (b - a)
        points = np.array(
            [[a[0], high, a[2]], [b[0], high, b[2]], [b[0], low, b[2]], [a[0], low, a[2]]]
        )
        corners = np.array([[left, 0], [right, 0], [right, 1], [left, 1]])
        gain, add = self._air(brightness, float(a[2] + b[2]) / 2)
        self.canvas.textured(self.view.camera.project(points), texture, corners, label, gain, add)

    def billboard(
        self,
        base: np.ndarray,
        width: float,
        low: float,
        high: float,
        texture: Texture,
        label: int,
        brightness: float = 1.0,
    ) -> None:
        """A texture that faces the camera.

        Args:
            base: (3,) point of the camera frame below its middle.
            width: in metres.
            low: height of its lower edge above the base.
            high: height of its upper edge.
            texture: the texture to draw.
            label: class id.
            brightness: light that falls on it.
        """
        if base[2] < 4 * NEAR:
            return
        corners = self.view.camera.project(
            base + np.array(((-width / 2, high, 0.0), (width / 2, low, 0.0)))
        )
        gain, add = self._air(brightness, float(base[2]))
        self.canvas.sprite(corners[0], corners[1], texture, label, gain, add)

    def _air(self, brightness: float, distance: float) -> tuple[float, tuple]:
        share = self.weather.fade(distance)
        return brightness * (1 - share), tuple(c * share for c in self.weather.haze)

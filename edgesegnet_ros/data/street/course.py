"""The course of the road, and the view along it from one position.

A street is laid out in road coordinates: s metres along the centre line, d metres to its right,
h metres above the road. The heading is a sum of a few sines of s, so that any stretch of an
endless road can be computed without what lies before it.
"""

from __future__ import annotations

from math import cos, sin

import numpy as np

from .camera import PinholeCamera

BEHIND, AHEAD, STEP = 20.0, 190.0, 1.0  # metres of road computed around the camera


class Course:
    """Heading of the centre line as a function of s.

    Args:
        rng: source of the bends.
        bend: 0 for a straight road, 1 for a winding one.
    """

    def __init__(self, rng: np.random.Generator, bend: float) -> None:
        length = np.array([1100.0, 430.0, 210.0]) * rng.uniform(0.8, 1.25, 3)
        curvature = np.array([0.0022, 0.0020, 0.0010]) * rng.uniform(0.4, 1.0, 3) * bend
        self._wave = 2 * np.pi / length
        self._amplitude = curvature / self._wave
        self._phase = rng.uniform(0, 2 * np.pi, 3)

    def heading(self, s: np.ndarray | float) -> np.ndarray:
        """Direction of the road at s in radians, positive to the right."""
        s = np.asarray(s, float)[..., None]
        return (self._amplitude * np.sin(self._wave * s + self._phase)).sum(-1)


class View:
    """The geometry of the road as seen by a camera at one position on the course.

    Args:
        camera: the camera.
        course: the road.
        s: position of the camera along the road in metres.
        d: position across the road in metres.

    Attributes:
        camera: the camera.
        s: the argument of that name.
        d: the argument of that name.
        yaw: absolute heading of the camera in radians.
    """

    def __init__(self, camera: PinholeCamera, course: Course, s: float, d: float) -> None:
        self.camera, self.s, self.d = camera, s, d
        grid = np.arange(-BEHIND, AHEAD + STEP, STEP)
        heading = course.heading(s + grid)
        self.yaw = float(course.heading(s))
        middle = course.heading(s + grid[:-1] + STEP / 2) - self.yaw
        x = np.concatenate([[0.0], np.cumsum(np.sin(middle) * STEP)])
        z = np.concatenate([[0.0], np.cumsum(np.cos(middle) * STEP)])
        start = int(BEHIND / STEP)
        self._grid = grid
        self._x, self._z = x - x[start] - d, z - z[start]
        self._heading = heading - self.yaw
        self._table = np.stack([self._x, self._z, self._heading], -1).tolist()

    def heading(self, s: float) -> float:
        """Direction of the road at s relative to the camera's, in radians."""
        return self._along(s)[2]

    def _along(self, s: float) -> tuple[float, float, float]:
        """The centre line at s: x, z, heading. Plain floats, because it is called often."""
        position = min(max((s - self.s + BEHIND) / STEP, 0.0), len(self._table) - 1.001)
        index = int(position)
        share = position - index
        here, there = self._table[index], self._table[index + 1]
        return (
            here[0] + (there[0] - here[0]) * share,
            here[1] + (there[1] - here[1]) * share,
            here[2] + (there[2] - here[2]) * share,
        )

    def point(self, s: float, d: float, h: float = 0.0) -> np.ndarray:
        """(3,) point of the camera frame from road coordinates in metres; see `points`."""
        x, z, turn = self._along(s)
        return np.array((x + d * cos(turn), h, z - d * sin(turn)))

    def points(self, s, d, h=0.0) -> np.ndarray:
        """Points of the camera frame from road coordinates.

        Args:
            s: metres along the road; arrays broadcast with the others.
            d: metres to the right of the centre line.
            h: metres above the road.

        Returns:
            (..., 3) float array in metres.
        """
        along = np.asarray(s, float) - self.s
        turn = np.interp(along, self._grid, self._heading)
        x = np.interp(along, self._grid, self._x) + d * np.cos(turn)
        z = np.interp(along, self._grid, self._z) - d * np.sin(turn)
        points = np.empty(np.broadcast_shapes(np.shape(x), np.shape(h)) + (3,))
        points[..., 0], points[..., 1], points[..., 2] = x, h, z
        return points

    def upright(self, s: float, d: float, shape: np.ndarray) -> np.ndarray:
        """Points of a plane across the road.

        Args:
            s: position of the plane along the road.
            d: position of the shape's origin across it.
            shape: (n, 2) metres to the right of that origin and above the road.

        Returns:
            (n, 3) points of the camera frame.
        """
        x, z, turn = self._along(s)
        across = d + shape[:, 0]
        points = np.empty((len(shape), 3))
        points[:, 0] = x + across * cos(turn)
        points[:, 1] = shape[:, 1]
        points[:, 2] = z - across * sin(turn)
        return points

    def turn(self, s: float, yaw: float = 0.0) -> np.ndarray:
        """(3, 3) rotation for row vectors, from an object frame on the road to the camera frame.

        Args:
            s: position of the object along the road.
            yaw: its turn against the road's direction, radians, positive to the right.
        """
        angle = self._along(s)[2] + yaw
        sine, cosine = sin(angle), cos(angle)
        return np.array(((cosine, 0.0, -sine), (0.0, 1.0, 0.0), (sine, 0.0, cosine)))

    def pose(self, s: float, d: float, local: np.ndarray, yaw: float = 0.0) -> np.ndarray:
        """Points of an object that stands on the road.

        Args:
            s: position of the object's origin along the road.
            d: position across it.
            local: (..., 3) points in the object's frame: right, up, forward.
            yaw: see `turn`.

        Returns:
            (..., 3) points of the camera frame.
        """
        return local @ self.turn(s, yaw) + self.point(s, d)

    def rows_of_road(self, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The centre line at given depths: its s, its x (metres) and its relative heading."""
        return (
            self.s + np.interp(depth, self._z, self._grid),
            np.interp(depth, self._z, self._x),
            np.interp(depth, self._z, self._heading),
        )

"""The pinhole camera of the rendered street, and the part of the road that it sees.

Axes of the camera frame follow REP 103's optical frame turned upright for convenience: x to the
right, y up, z forward, in metres; pixels are (u, v), right and down, with integer coordinates at
pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEAR = 0.4  # metres; nothing nearer is drawn


@dataclass(frozen=True)
class PinholeCamera:
    """An ideal camera without distortion, level, looking along the road.

    Attributes:
        width: columns of the image.
        height: rows of the image.
        focal: focal length in pixels, the same in both directions.
        cx: column of the principal point.
        cy: row of the principal point, which is the horizon's row.
        mount: height of the optical centre above the road in metres.
    """

    width: int
    height: int
    focal: float
    cx: float
    cy: float
    mount: float

    @classmethod
    def dash(cls, size: tuple[int, int], mount: float = 1.4) -> PinholeCamera:
        """A dash camera with 60 degrees of horizontal view and the horizon above the middle.

        Args:
            size: height and width of the image in pixels.
            mount: height above the road in metres.
        """
        height, width = size
        return cls(width, height, 0.866 * width, (width - 1) / 2, 0.44 * height - 0.5, mount)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels of points of the camera frame.

        Args:
            points: (..., 3) in metres; depths below `NEAR` are taken as `NEAR`.

        Returns:
            (..., 2) float array of (u, v).
        """
        scale = self.focal / np.maximum(points[..., 2], NEAR)
        pixels = np.empty(points.shape[:-1] + (2,))
        pixels[..., 0] = self.cx + points[..., 0] * scale
        pixels[..., 1] = self.cy + (self.mount - points[..., 1]) * scale
        return pixels

    def depth_of_row(self, v: np.ndarray) -> np.ndarray:
        """Distance along z, in metres, of the road under image rows below the horizon."""
        return self.focal * self.mount / np.maximum(v - self.cy, 1e-3)


def clip_near(points: np.ndarray) -> np.ndarray:
    """Cut a polygon off at the near plane (Sutherland-Hodgman on one plane).

    Args:
        points: (n, 3) corners in the camera frame.

    Returns:
        (m, 3) corners with z >= NEAR; m is 0 when nothing is left.
    """
    depth = points[:, 2]
    if depth.min() >= NEAR:
        return points
    if depth.max() <= NEAR:
        return points[:0]
    kept = []
    for here, there in zip(points, np.roll(points, -1, axis=0)):
        inside = here[2] >= NEAR
        if inside:
            kept.append(here)
        if inside != (there[2] >= NEAR):
            share = (NEAR - here[2]) / (there[2] - here[2])
            kept.append(here + share * (there - here))
    return np.array(kept)

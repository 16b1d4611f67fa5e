"""Houses: a textured front on the street, a gable, a roof and chimneys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .camera import NEAR
from .facades import facade, storeys, wall_color
from .labels import BUILDING
from .painter import FINE, Painter

ROOFS = ((98, 66, 56), (84, 80, 80), (72, 70, 74), (118, 78, 60), (92, 88, 84))
DEPTH = 9.0  # metres from front to back
GABLE, SLOPE, CHIMNEYS = slice(0, 5), slice(5, 9), (slice(9, 13), slice(13, 17))


@dataclass(frozen=True)
class House:
    """A house whose front runs along the street.

    Attributes:
        start: s of its near end in metres.
        end: s of its far end.
        d: position of the front across the road, signed.
        kind: index of the façade.
        roof: index into `ROOFS`.
        pitch: height of the ridge above the eaves; 0 for a flat roof.
        tint: factor on its brightness.
    """

    start: float
    end: float
    d: float
    kind: int
    roof: int
    pitch: float
    tint: float

    @property
    def far_end(self) -> float:
        """The s of its far end, in metres; it decides the drawing order."""
        return self.end

    @property
    def height(self) -> float:
        """Height of the eaves in metres."""
        return 3.0 * storeys(self.kind)

    @cached_property
    def _corners(self) -> np.ndarray:
        """(17, 3) corners: share of the front's length, metres backwards, height."""
        h, ridge, middle = self.height, self.height + self.pitch, DEPTH / 2
        corners: list[tuple[float, float, float]] = [
            (0, 0, 0), (0, 0, h), (0, middle, ridge), (0, DEPTH, h), (0, DEPTH, 0),
            (0, -.3, h), (1, -.3, h), (1, middle, ridge), (0, middle, ridge)]
        wide = 1.0 / (self.end - self.start)
        for at in (.2, .75):
            corners += [(at, 4, ridge - .6), (at + wide, 4, ridge - .6),
                        (at + wide, 4, ridge + 1.1), (at, 4, ridge + 1.1)]
        return np.array(corners)

    def paint(self, painter: Painter, time: float) -> None:
        """Draw the house; `time`, in seconds, has no effect because houses do not move."""
        view, weather, side = painter.view, painter.weather, 1.0 if self.d > 0 else -1.0
        near, far = view.point(self.start, self.d), view.point(self.end, self.d)
        if max(near[2], far[2]) < 1.0:
            return
        front = far - near
        along = front / max(float(np.hypot(front[0], front[2])), 1e-6)
        back = np.array((along[2] * side, 0.0, -along[0] * side))
        light = float(weather.light(-back @ painter.sun)) * self.tint
        corners = self._corners @ np.stack([front, back, (0.0, 1.0, 0.0)]) + near
        if corners[:, 2].min() > NEAR:
            self._body(painter, corners, light, float(weather.light(-along @ painter.sun)))
        painter.wall(np.stack([near, far] if side > 0 else [far, near]), 0.0, self.height,
                     facade(self.kind, weather.dusk), BUILDING, light)

    def _body(self, painter: Painter, corners: np.ndarray, light: float, gable: float) -> None:
        weather, canvas = painter.weather, painter.canvas
        fixed, depth = painter.fixed(corners), float(corners[0, 2])
        wall = wall_color(self.kind)
        canvas.fill(fixed[GABLE], weather.shade(wall, gable * self.tint * .9, depth), BUILDING)
        if self.pitch > 0:
            canvas.fill(fixed[SLOPE], weather.shade(ROOFS[self.roof], light + .15, depth),
                        BUILDING)
            for chimney in CHIMNEYS if depth < 1.5 * FINE else ():
                canvas.fill(fixed[chimney], weather.shade(wall, light * .7, depth), BUILDING)

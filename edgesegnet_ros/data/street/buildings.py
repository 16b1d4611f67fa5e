"""Houses: a textured front on the street, gables, a roof and chimneys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .facades import facade, storeys, wall_color
from .labels import BUILDING
from .painter import Painter

ROOFS = ((98, 66, 56), (84, 80, 80), (72, 70, 74), (118, 78, 60), (92, 88, 84))


@dataclass(frozen=True)
class House:
    """A house whose front runs along the street.

    Attributes:
        start: s of its near end in metres.
        end: s of its far end.
        d: place of the front across the road, signed.
        kind: which façade.
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
        """s that decides when it is drawn."""
        return self.end

    @property
    def height(self) -> float:
        """Height of the eaves in metres."""
        return 3.0 * storeys(self.kind)

    def paint(self, painter: Painter, time: float) -> None:
        """Draw it; time in seconds is not used, for houses stay."""
        view, side, h = painter.view, np.sign(self.d), self.height
        depth = 9.0
        ends = view.place(np.array([self.start, self.end]), np.array([self.d, self.d]))
        if ends[:, 2].max() < 1.0:
            return
        d = self.d + side * np.array([0, 0, depth / 2, depth, depth])
        top = np.array([0, h, h + self.pitch, h, 0])
        along = ends[1] - ends[0]
        along = along / max(np.hypot(along[0], along[2]), 1e-6)
        light_gable = float(painter.weather.light(-along @ painter.sun)) * self.tint
        out = np.array([-side * along[2], 0.0, side * along[0]])
        light_front = float(painter.weather.light(out @ painter.sun)) * self.tint
        wall = wall_color(self.kind)
        gable = view.place(np.full(5, self.start), d, top)
        painter.face(gable, wall * 0.9, BUILDING, light_gable)
        if self.pitch > 0:
            s = np.array([self.start, self.end, self.end, self.start])
            slope = view.place(s, self.d + side * np.array([-0.3, -0.3, depth / 2, depth / 2]),
                               np.array([h, h, h + self.pitch, h + self.pitch]))
            painter.face(slope, ROOFS[self.roof], BUILDING, (light_front + 0.15))
            for share in (0.2, 0.75) if ends[0, 2] < 70 else ():
                at = self.start + share * (self.end - self.start)
                stack = view.place(np.array([at, at + 1.0, at + 1.0, at]), self.d + side * 4.0,
                                   h + self.pitch + np.array([-0.6, -0.6, 1.1, 1.1]))
                painter.face(stack, wall * 0.7, BUILDING, light_front)
        foot = ends if side > 0 else ends[::-1]
        painter.wall(foot, 0.0, h, facade(self.kind, painter.weather.dusk), BUILDING, light_front)

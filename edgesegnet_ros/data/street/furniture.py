"""What stands along a street: lamps, bollards, signs, traffic lights, fences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .labels import FENCE, POLE, SIGN, TREE
from .painter import Painter
from .textures import fence, hedge, tile

STEEL = ((112, 116, 118), (70, 74, 78), (52, 62, 58), (150, 150, 146), (44, 46, 48))
LEAST_POLE = 1.2  # pixels; a pole never becomes thinner in the image
RED, WHITE, BLUE = (186, 30, 36), (232, 232, 228), (28, 74, 160)


@dataclass(frozen=True)
class Lamp:
    """A street lamp whose arm reaches over the road.

    Attributes:
        s: place along the road in metres.
        d: place across it.
        height: metres.
        steel: index into `STEEL`.
    """

    s: float
    d: float
    height: float
    steel: int

    @property
    def far_end(self) -> float:
        """s that decides when it is drawn."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw it."""
        arm = -np.sign(self.d) * 1.5
        foot, waist, top, tip = painter.view.place(
            self.s, self.d + np.array([0, 0, 0, arm]),
            np.array([0, 1.2, self.height, self.height + .35]))
        color, light = STEEL[self.steel], painter.weather.ambient + .2 * painter.weather.sunshine
        painter.rod(foot, top, .17, color, POLE, light, LEAST_POLE)
        painter.rod(foot, waist, .26, color, POLE, light * .9, LEAST_POLE)
        painter.rod(top, tip, .11, color, POLE, light, LEAST_POLE * .8)
        lit = painter.weather.dusk
        painter.rod(tip, tip + (np.sign(arm) * .5, .02, 0), .2,
                    (255, 226, 150) if lit else (196, 198, 196), POLE, 1.3 if lit else light)


@dataclass(frozen=True)
class Bollard:
    """A short post at the kerb."""

    s: float
    d: float
    steel: int

    @property
    def far_end(self) -> float:
        """s that decides when it is drawn."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw it."""
        foot, top, band = painter.view.place(self.s, self.d, np.array([.1, 1.05, .85]))
        light = painter.weather.ambient + .2 * painter.weather.sunshine
        painter.rod(foot, top, .2, STEEL[self.steel], POLE, light, LEAST_POLE)
        painter.rod(band, band + (0, .04, 0), .21, WHITE, POLE, light, LEAST_POLE)


@dataclass(frozen=True)
class SignPost:
    """A traffic sign on its post, facing traffic.

    Attributes:
        s: place along the road in metres.
        d: place across it.
        kind: 0 a prohibition, 1 a warning, 2 a blue disc, 3 a direction board, 4 a blue square,
            5 a parking board, 6 an octagon.
        back: whether the grey back shows.
        steel: index into `STEEL`.
    """

    s: float
    d: float
    kind: int
    back: bool
    steel: int

    @property
    def far_end(self) -> float:
        """s that decides when it is drawn."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw post and plate."""
        middle = 2.5
        light = painter.weather.ambient + .25 * painter.weather.sunshine
        if self.kind == 3:
            middle = 2.2
            for side in (-.5, .5):
                self._post(painter, self.d + side, 2.9, light)
            self._plate(painter, [(-.95, -.6), (-.95, .6), (.95, .6), (.95, -.6)], middle,
                        (32, 96, 66) if self.s % 2 < 1 else BLUE, light)
            if not self.back:
                for row in (.3, 0.0, -.3):
                    self._plate(painter, [(-.75, row - .07), (-.75, row + .07),
                                          (.5, row + .07), (.5, row - .07)], middle, WHITE, light)
            return
        self._post(painter, self.d, 2.95, light)
        circle = np.stack([np.sin(np.linspace(0, 2 * np.pi, 20, endpoint=False)),
                           np.cos(np.linspace(0, 2 * np.pi, 20, endpoint=False))], -1)
        triangle = np.array([(0, 1.0), (.95, -.65), (-.95, -.65)])
        square = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)], float)
        eighth = np.pi / 8 + np.arange(8) * np.pi / 4
        octagon = np.stack([np.sin(eighth), np.cos(eighth)], -1)
        shape, outer, inner = ((circle, RED, WHITE), (triangle, RED, WHITE), (circle, WHITE, BLUE),
                               None, (square, WHITE, BLUE), (square * (.6, .9), BLUE, WHITE),
                               (octagon, WHITE, RED))[self.kind]
        self._plate(painter, shape * .44, middle, outer, light)
        if self.back:
            return
        self._plate(painter, shape * .33, middle, inner, light)
        ink = (34, 34, 36) if inner == WHITE else WHITE
        self._plate(painter, square * (.05, .16), middle, ink, light)
        if self.kind in (0, 3, 6):
            self._plate(painter, square * (.18, .05), middle, ink, light)

    def _post(self, painter: Painter, d: float, height: float, light: float) -> None:
        foot, top = painter.view.place(self.s + .05, d, np.array([0.0, height]))
        painter.rod(foot, top, .13, STEEL[self.steel], POLE, light, LEAST_POLE)

    def _plate(self, painter, shape, height, color, light) -> None:
        shape = np.asarray(shape)
        points = painter.view.place(self.s, self.d + shape[:, 0], height + shape[:, 1])
        painter.face(points, (138, 140, 140) if self.back else color, SIGN,
                     light * (.75 if self.back else 1.05))


@dataclass(frozen=True)
class TrafficLight:
    """A signal head on a post; the head belongs to signs, the post to poles."""

    s: float
    d: float
    phase: float

    @property
    def far_end(self) -> float:
        """s that decides when it is drawn."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw it; its lamp follows the time."""
        foot, top = painter.view.place(self.s + .1, self.d, np.array([0.0, 3.6]))
        light = painter.weather.ambient + .2 * painter.weather.sunshine
        painter.rod(foot, top, .15, (60, 62, 64), POLE, light, LEAST_POLE)
        box = painter.view.place(self.s, self.d + np.array([-.3, -.3, .3, .3]),
                                 3.1 + np.array([-.7, .7, .7, -.7]))
        painter.face(box, (34, 36, 38), SIGN, light)
        on = int((time / 7 + self.phase) % 3)
        for lamp, color in enumerate(((240, 50, 40), (250, 180, 40), (60, 220, 130))):
            centre = painter.view.place(self.s - .05, self.d, 3.1 + .42 * (1 - lamp))
            painter.ball(centre, .15, color if lamp == on else (56, 52, 50), SIGN,
                         1.2 if lamp == on else light)


@dataclass(frozen=True)
class Run:
    """A length of fence or hedge along the road.

    Attributes:
        start: s of its near end in metres.
        end: s of its far end.
        d: place across the road.
        height: metres.
        kind: which texture.
        green: whether it is a hedge.
    """

    start: float
    end: float
    d: float
    height: float
    kind: int
    green: bool = False

    @property
    def far_end(self) -> float:
        """s that decides when it is drawn."""
        return self.end

    def paint(self, painter: Painter, time: float) -> None:
        """Draw it."""
        ends = painter.view.place(np.array([self.start, self.end]), np.array([self.d, self.d]))
        if ends[:, 2].max() < 1.0:
            return
        light = painter.weather.ambient + .22 * painter.weather.sunshine
        texture = (hedge if self.green else fence)(self.kind)
        repeat = tile(2.0, self.end - self.start)
        if self.green:  # the hedge's near end is a face of its own
            side = np.sign(self.d)
            cap = painter.view.place(self.start, self.d + side * np.array([0, 1.0]))
            painter.wall(cap if side > 0 else cap[::-1], 0, self.height, texture, TREE, light * .8)
        painter.wall(ends, 0.0 if self.green else .05, self.height, texture,
                     TREE if self.green else FENCE, light, repeat)

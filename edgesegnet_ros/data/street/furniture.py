"""Street furniture: lamps, bollards, signs, traffic lights, fences."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .labels import FENCE, POLE, SIGN, TREE
from .painter import FINE, Painter
from .textures import fence, hedge

STEEL = ((112, 116, 118), (70, 74, 78), (52, 62, 58), (150, 150, 146), (44, 46, 48))
PIECE = 4.0  # metres of fence or hedge, two of its texture
LEAST_POLE = 1.2  # pixels; a pole never becomes thinner in the image
RED, WHITE, BLUE, GREEN = (186, 30, 36), (232, 232, 228), (28, 74, 160), (32, 96, 66)
ALUMINIUM, INK = (138, 140, 140), (34, 34, 36)

_round = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_eighth = np.pi / 8 + np.arange(8) * np.pi / 4
CIRCLE = np.stack([np.sin(_round), np.cos(_round)], -1)
OCTAGON = np.stack([np.sin(_eighth), np.cos(_eighth)], -1)
TRIANGLE = np.array([(0, 1.0), (0.95, -0.65), (-0.95, -0.65)])
SQUARE = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)], float)
PROHIBITION, WARNING, MANDATORY, DIRECTIONS, CROSSING, PARKING, STOP = range(7)
PLATES = {
    PROHIBITION: (CIRCLE, RED, WHITE),
    WARNING: (TRIANGLE, RED, WHITE),
    MANDATORY: (CIRCLE, WHITE, BLUE),
    CROSSING: (SQUARE, WHITE, BLUE),
    PARKING: (SQUARE * (0.7, 0.95), BLUE, WHITE),
    STOP: (OCTAGON, WHITE, RED),
}


@dataclass(frozen=True)
class Lamp:
    """A street lamp whose arm reaches over the road.

    Attributes:
        s: position along the road in metres.
        d: position across it.
        height: metres.
        steel: index into `STEEL`.
    """

    s: float
    d: float
    height: float
    steel: int

    @property
    def far_end(self) -> float:
        """The s of its far end, in metres; it decides the drawing order."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw the object."""
        inward = -1.0 if self.d > 0 else 1.0
        shape = np.array(
            [
                (0, 0.13),
                (0, 1.2),
                (0, self.height),
                (inward * 1.5, self.height + 0.35),
                (inward * 2.0, self.height + 0.37),
            ]
        )
        color, lit = STEEL[self.steel], painter.weather.dusk
        painter.limbs(
            painter.view.upright(self.s, self.d, shape),
            (
                (0, 2, 0.17, color),
                (0, 1, 0.26, color),
                (2, 3, 0.11, color),
                (3, 4, 0.2, (255, 226, 150) if lit else (196, 198, 196)),
            ),
            POLE,
            1.0 if lit else painter.weather.diffuse,
            LEAST_POLE,
        )


@dataclass(frozen=True)
class Bollard:
    """A short post at the kerb."""

    s: float
    d: float
    steel: int

    @property
    def far_end(self) -> float:
        """The s of its far end, in metres; it decides the drawing order."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw the object."""
        shape = np.array([(0, 0.1), (0, 1.05), (0, 0.82), (0, 0.9)])
        painter.limbs(
            painter.view.upright(self.s, self.d, shape),
            ((0, 1, 0.2, STEEL[self.steel]), (2, 3, 0.2, WHITE)),
            POLE,
            painter.weather.diffuse,
            LEAST_POLE,
        )


@dataclass(frozen=True)
class SignPost:
    """A traffic sign on its post.

    Attributes:
        s: position along the road in metres.
        d: position across it.
        kind: `PROHIBITION` to `STOP`.
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
        """The s of its far end, in metres; it decides the drawing order."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw post and plate."""
        light, steel = painter.weather.diffuse, STEEL[self.steel]
        posts = (-0.5, 0.5) if self.kind == DIRECTIONS else (0.0,)
        for offset in posts:
            shape = np.array([(offset, 0.06), (offset, 2.9)])
            painter.limbs(
                painter.view.upright(self.s + 0.05, self.d, shape),
                ((0, 1, 0.13, steel),),
                POLE,
                light,
                LEAST_POLE,
            )
        if self.kind == DIRECTIONS:
            self._plate(painter, SQUARE * (0.95, 0.6), 2.25, GREEN if self.steel < 2 else BLUE)
            for row in (0.3, 0.0, -0.3) if self._legible(painter) else ():
                self._plate(painter, SQUARE * (0.6, 0.07) + (-0.1, row), 2.25, WHITE)
            return
        shape, rim, field = PLATES[self.kind]
        self._plate(painter, shape * 0.46, 2.5, rim)
        if self.back:
            return
        self._plate(painter, shape * 0.35, 2.5, field)
        if self._legible(painter):
            ink = INK if field == WHITE else WHITE
            self._plate(painter, SQUARE * (0.05, 0.16), 2.5, ink)
            if self.kind in (PROHIBITION, STOP):
                self._plate(painter, SQUARE * (0.19, 0.05), 2.5, ink)

    def _legible(self, painter: Painter) -> bool:
        return not self.back and self.s - painter.view.s < FINE

    def _plate(self, painter, shape, height, color) -> None:
        points = painter.view.upright(self.s, self.d, shape + (0, height))
        painter.face(
            points,
            ALUMINIUM if self.back else color,
            SIGN,
            painter.weather.diffuse * (0.8 if self.back else 1.05),
        )


@dataclass(frozen=True)
class TrafficLight:
    """A signal head on a post; the head belongs to signs, the post to poles.

    Attributes:
        s: position along the road in metres.
        d: position across it.
        phase: which lamp is on at time 0, 0 to 3.
    """

    s: float
    d: float
    phase: float

    @property
    def far_end(self) -> float:
        """The s of its far end, in metres; it decides the drawing order."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw it; its lamp follows the time."""
        light, view = painter.weather.diffuse, painter.view
        painter.limbs(
            view.upright(self.s + 0.1, self.d, np.array([(0, 0.08), (0, 3.6)])),
            ((0, 1, 0.15, (60, 62, 64)),),
            POLE,
            light,
            LEAST_POLE,
        )
        painter.face(
            view.upright(self.s, self.d, SQUARE * (0.32, 0.72) + (0, 3.1)),
            (34, 36, 38),
            SIGN,
            light,
        )
        on = int((time / 7 + self.phase) % 3)
        for lamp, color in enumerate(((240, 50, 40), (250, 180, 40), (60, 220, 130))):
            painter.ball(
                view.point(self.s - 0.05, self.d, 3.1 + 0.42 * (1 - lamp)),
                0.16,
                color if lamp == on else (56, 52, 50),
                SIGN,
                1.1 if lamp == on else light,
            )


@dataclass(frozen=True)
class Run:
    """A length of fence or hedge along the road.

    Attributes:
        start: s of its near end in metres.
        end: s of its far end.
        d: position across the road.
        height: metres.
        kind: index of the texture.
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
        """The s of its far end, in metres; it decides the drawing order."""
        return self.end

    def pieces(self) -> list[Run]:
        """The run in pieces of about `PIECE` metres, so that people behind one are drawn first."""
        cuts = np.linspace(self.start, self.end, self._count() + 1).tolist()
        return [replace(self, start=low, end=high) for low, high in zip(cuts, cuts[1:])]

    def _count(self) -> int:
        return max(1, round((self.end - self.start) / PIECE))

    def paint(self, painter: Painter, time: float) -> None:
        """Draw the object."""
        light, view = painter.weather.diffuse, painter.view
        repeat = 2 * self._count()
        ends = np.stack([view.point(self.start, self.d), view.point(self.end, self.d)])
        if not self.green:
            painter.wall(ends, 0.05, self.height, fence(self.kind, repeat), FENCE, light)
            return
        side = 1.0 if self.d > 0 else -1.0  # the hedge's near end is a face of its own
        cap = np.stack([ends[0], view.point(self.start, self.d + side)])
        painter.wall(cap, 0, self.height, hedge(self.kind, 1), TREE, light * 0.8)
        painter.wall(ends, 0, self.height, hedge(self.kind, repeat), TREE, light)

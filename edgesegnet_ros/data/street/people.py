"""People on foot and on bicycles, built of limbs that swing as they move."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import pi, sin

import numpy as np

from .labels import BICYCLIST, PEDESTRIAN
from .painter import FINE, Painter

COATS = (
    (40, 44, 60),
    (120, 40, 44),
    (56, 60, 56),
    (150, 140, 120),
    (60, 84, 120),
    (30, 30, 34),
    (170, 60, 50),
    (84, 74, 60),
    (200, 196, 186),
    (50, 92, 80),
    (206, 190, 60),
)
TROUSERS = ((34, 36, 44), (50, 58, 80), (70, 66, 60), (28, 28, 30), (96, 90, 78))
SKIN = ((206, 164, 140), (176, 130, 104), (120, 84, 64))
HAIR = ((40, 32, 28), (92, 70, 48), (150, 130, 100), (30, 30, 32), (120, 118, 116))
HELMETS = ((220, 220, 216), (30, 30, 34), (180, 40, 40), HAIR[0])
FRAMES = ((160, 30, 34), (40, 60, 110), (30, 32, 34), (60, 100, 70))
SHOES, RUBBER, SPOKES = (30, 28, 28), (30, 30, 32), (112, 112, 110)


@lru_cache(maxsize=256)
def _wardrobe(look: int) -> dict:
    rng = np.random.default_rng([7201, look])

    def one(of):
        return of[int(rng.integers(len(of)))]

    coat = one(COATS)
    return {
        'coat': coat,
        'sleeve': tuple(c * 0.85 for c in coat),
        'trousers': one(TROUSERS),
        'skin': one(SKIN),
        'hair': one(HAIR),
        'helmet': one(HELMETS),
        'frame': one(FRAMES),
        'tall': rng.uniform(0.9, 1.06),
        'phase': rng.random(),
        'bag': rng.random() < 0.3,
    }


@dataclass(frozen=True)
class Pedestrian:
    """A pedestrian on the pavement.

    Attributes:
        s: position along the road in metres.
        d: position across it.
        speed: along the road, metres per second, signed.
        look: seed of the clothes and the build.
    """

    s: float
    d: float
    speed: float
    look: int

    @property
    def far_end(self) -> float:
        """The s of its far end, in metres; it decides the drawing order."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw the figure in its stride at a time in seconds."""
        wear = _wardrobe(self.look)
        base = painter.view.point(self.s, self.d)
        if base[2] < 1.5:
            return
        tall, coat, skin, hair = wear['tall'], wear['coat'], wear['skin'], wear['hair']
        stride = 0.32 * sin(2 * pi * (time * 0.95 + wear['phase']))
        points = np.array(
            (
                (-0.1, 0.86, 0),
                (-0.11, 0.46, stride * 0.55 + 0.04),
                (-0.11, 0.05, stride),
                (0.1, 0.86, 0),
                (0.11, 0.46, -stride * 0.55 + 0.04),
                (0.11, 0.05, -stride),
                (-0.2, 1.38, 0),
                (-0.27, 1.08, -stride * 0.5),
                (-0.26, 0.84, -stride * 0.8 + 0.08),
                (0.2, 1.38, 0),
                (0.27, 1.08, stride * 0.5),
                (0.26, 0.84, stride * 0.8 + 0.08),
                (0, 1.34, 0),
                (0, 0.96, 0),
                (0, 1.64, 0),
                (0, 1.50, 0),
                (0, 1.70, -0.03),
                (0.02, 1.2, -0.16),
            )
        ) * tall + (0, 0.1, 0)
        away = self.speed >= 0
        p = painter.view.pose(self.s, self.d, points, 0.0 if away else pi)
        legs, sleeve = wear['trousers'], wear['sleeve']
        light = painter.weather.diffuse
        if base[2] > FINE:
            painter.limbs(
                p,
                ((0, 2, 0.2, legs), (3, 5, 0.2, legs), (12, 13, 0.46, coat), (14, 14, 0.26, hair)),
                PEDESTRIAN,
                light,
            )
            return
        far, near = ((6, 7, 8), (9, 10, 11)) if p[6, 2] > p[9, 2] else ((9, 10, 11), (6, 7, 8))
        limbs = [
            (0, 1, 0.17, legs),
            (1, 2, 0.14, legs),
            (3, 4, 0.17, legs),
            (4, 5, 0.14, legs),
            (2, 2, 0.14, SHOES),
            (5, 5, 0.14, SHOES),
            (far[0], far[1], 0.12, sleeve),
            (far[1], far[2], 0.1, sleeve),
            (far[2], far[2], 0.1, skin),
            (12, 13, 0.34, coat),
            (6, 13, 0.16, coat),
            (9, 13, 0.16, coat),
            (6, 9, 0.16, coat),
        ]
        if wear['bag'] and away:
            limbs.append((17, 17, 0.34, wear['hair']))
        limbs += [
            (near[0], near[1], 0.12, sleeve),
            (near[1], near[2], 0.1, sleeve),
            (near[2], near[2], 0.1, skin),
            (15, 15, 0.12, skin),
            (14, 14, 0.25, skin),
            (16, 16, 0.22, hair),
        ]
        if away:
            limbs.append((14, 14, 0.25, hair))
        painter.limbs(p, limbs, PEDESTRIAN, light)


@dataclass(frozen=True)
class Bicyclist:
    """Someone who rides a bicycle; the bicycle belongs to the class, spokes and all.

    Attributes:
        s: position along the road in metres.
        d: position across it.
        speed: along the road, metres per second, signed.
        look: seed of the clothes.
        lean: turn against the road's direction in radians.
    """

    s: float
    d: float
    speed: float
    look: int
    lean: float = 0.0

    @property
    def far_end(self) -> float:
        """The s of its far end, in metres; it decides the drawing order."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw rider and bicycle at a time in seconds."""
        wear = _wardrobe(self.look)
        turn = 2 * pi * (time * 1.1 + wear['phase'])
        x, y = sin(turn) * 0.17, sin(turn + pi / 2) * 0.17
        yaw = (0.0 if self.speed >= 0 else pi) + self.lean
        points = np.array(
            (
                (0, 0.34, -0.52),
                (0, 0.34, 0.54),
                (0, 0.36, 0.02),
                (0, 0.82, -0.22),
                (0, 0.86, 0.42),
                (0, 0.94, -0.2),
                (0, 1.04, 0.42),
                (-0.26, 1.05, 0.36),
                (0.26, 1.05, 0.36),
                (-0.12, 0.95, -0.2),
                (-0.12, 0.72, 0.16),
                (-0.12, 0.36 + y, 0.02 + x),
                (0.12, 0.95, -0.2),
                (0.12, 0.72, 0.16),
                (0.12, 0.36 - y, 0.02 - x),
                (-0.19, 1.42, 0.06),
                (0.19, 1.42, 0.06),
                (0, 1.46, 0.06),
                (0, 1.66, 0.16),
                (-0.28, 1.2, 0.24),
                (0.28, 1.2, 0.24),
                (0, 0.95, -0.2),
                (0, 1.71, 0.13),
            )
        )
        p = painter.view.pose(self.s, self.d, points, yaw)
        if p[:, 2].min() < 1.2:
            return
        light = painter.weather.diffuse
        self._wheels(painter, points, yaw, light)
        coat, legs, skin, frame = wear['coat'], wear['trousers'], wear['skin'], wear['frame']
        limbs = [
            (a, b, 0.07, frame)
            for a, b in ((0, 2), (2, 3), (3, 0), (2, 4), (3, 4), (4, 1), (4, 6), (3, 5))
        ]
        limbs.append((7, 8, 0.06, (40, 40, 42)))
        for hip, knee, foot in ((9, 10, 11), (12, 13, 14)):
            limbs += [(hip, knee, 0.18, legs), (knee, foot, 0.14, legs), (foot, foot, 0.13, SHOES)]
        limbs += [(9, 12, 0.3, legs), (21, 17, 0.36, coat), (15, 16, 0.17, coat)]
        for shoulder, elbow, hand in ((15, 19, 7), (16, 20, 8)):
            limbs += [
                (shoulder, elbow, 0.12, wear['sleeve']),
                (elbow, hand, 0.1, wear['sleeve']),
                (hand, hand, 0.09, skin),
            ]
        limbs += [(18, 18, 0.25, skin), (22, 22, 0.27, wear['helmet'])]
        painter.limbs(p, limbs, BICYCLIST, light)

    def _wheels(self, painter: Painter, points: np.ndarray, yaw: float, light: float) -> None:
        angle = np.linspace(0, 2 * pi, 18, endpoint=False)
        for hub in (0, 1):
            wheel = np.stack(
                [np.zeros(18), 0.34 + 0.34 * np.sin(angle), points[hub, 2] + 0.34 * np.cos(angle)],
                -1,
            )
            rim = painter.view.pose(self.s, self.d, wheel, yaw)
            painter.face(rim, RUBBER, BICYCLIST, light)
            middle = rim.mean(0)
            painter.face(middle + (rim - middle) * 0.82, SPOKES, BICYCLIST, light)
            # Seen from behind a wheel is a line: the tyre's own breadth.
            painter.limbs(rim[[4, 13]], ((0, 1, 0.07, RUBBER),), BICYCLIST, light)

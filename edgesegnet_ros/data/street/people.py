"""People on foot and on bicycles, built of limbs that swing as they move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .labels import BICYCLIST, PEDESTRIAN
from .painter import Painter

COATS = ((40, 44, 60), (120, 40, 44), (56, 60, 56), (150, 140, 120), (60, 84, 120), (30, 30, 34),
         (170, 60, 50), (84, 74, 60), (200, 196, 186), (50, 92, 80), (226, 210, 60))
TROUSERS = ((34, 36, 44), (50, 58, 80), (70, 66, 60), (28, 28, 30), (96, 90, 78))
SKIN = ((206, 164, 140), (176, 130, 104), (120, 84, 64))
HAIR = ((40, 32, 28), (92, 70, 48), (150, 130, 100), (30, 30, 32), (120, 118, 116))


@dataclass(frozen=True)
class Pedestrian:
    """Someone who walks along the pavement.

    Attributes:
        s: place along the road in metres.
        d: place across it.
        speed: along the road, metres a second, signed.
        look: seed of the clothes and the build.
    """

    s: float
    d: float
    speed: float
    look: int

    @property
    def far_end(self) -> float:
        """s that decides when it is drawn."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw the figure in its stride at a time in seconds."""
        rng = np.random.default_rng([7201, self.look])
        coat, trousers = COATS[rng.integers(len(COATS))], TROUSERS[rng.integers(len(TROUSERS))]
        skin, hair = SKIN[rng.integers(len(SKIN))], HAIR[rng.integers(len(HAIR))]
        tall = rng.uniform(0.9, 1.06)
        swing = np.sin(2 * np.pi * (time * 0.9 * min(abs(self.speed), 1.6) + rng.random()))
        stride = 0.32 * swing * (1 if abs(self.speed) > 0.1 else 0.15)
        ground = 0.12
        points = np.array([
            [-.1, .86, 0], [-.11, .46, stride * .55 + .04], [-.11, .05, stride],
            [.1, .86, 0], [.11, .46, -stride * .55 + .04], [.11, .05, -stride],
            [-.21, 1.38, 0], [-.28, 1.08, -stride * .5], [-.27, .84, -stride * .8 + .08],
            [.21, 1.38, 0], [.28, 1.08, stride * .5], [.27, .84, stride * .8 + .08],
            [0, 1.36, 0], [0, .92, 0], [0, 1.63, 0], [0, 1.50, 0]]) * tall + (0, ground, 0)
        p = painter.view.pose(self.s, self.d, points, 0.0 if self.speed >= 0 else np.pi)
        if p[0, 2] < 1.5:
            return
        light = painter.weather.ambient + 0.2 * painter.weather.sunshine
        rod = painter.rod
        for a, b in ((0, 1), (1, 2), (3, 4), (4, 5)):
            rod(p[a], p[b], .17 * tall, trousers, PEDESTRIAN, light)
        for foot in (2, 5):
            rod(p[foot], p[foot], .14, (30, 28, 28), PEDESTRIAN, light)
        far, close = ((6, 7, 8), (9, 10, 11)) if p[6, 2] > p[9, 2] else ((9, 10, 11), (6, 7, 8))
        sleeve = tuple(c * 0.85 for c in coat)
        rod(p[far[0]], p[far[1]], .12, sleeve, PEDESTRIAN, light * .85)
        rod(p[far[1]], p[far[2]], .1, sleeve, PEDESTRIAN, light * .85)
        shoulders = np.stack([p[6], p[9], p[3] * .92 + p[0] * .08, p[0] * .92 + p[3] * .08])
        painter.face(shoulders, coat, PEDESTRIAN, light)
        rod(p[12], p[13], .34 * tall, coat, PEDESTRIAN, light)
        rod(p[6], p[9], .16, coat, PEDESTRIAN, light * 1.06)
        rod(p[close[0]], p[close[1]], .12, sleeve, PEDESTRIAN, light)
        rod(p[close[1]], p[close[2]], .1, sleeve, PEDESTRIAN, light)
        rod(p[15], p[15], .12, skin, PEDESTRIAN, light)
        painter.ball(p[14], .125 * tall, hair if self.speed >= 0 else skin, PEDESTRIAN, light)
        if self.speed < 0:
            rod(p[14] + (0, .08, 0), p[14] + (0, .08, 0), .2, hair, PEDESTRIAN, light)


@dataclass(frozen=True)
class Bicyclist:
    """Someone who rides a bicycle; the bicycle belongs to the class, spokes and all.

    Attributes:
        s: place along the road in metres.
        d: place across it.
        speed: along the road, metres a second, signed.
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
        """s that decides when it is drawn."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw rider and bicycle at a time in seconds."""
        rng = np.random.default_rng([7202, self.look])
        coat, trousers = COATS[rng.integers(len(COATS))], TROUSERS[rng.integers(len(TROUSERS))]
        skin = SKIN[rng.integers(len(SKIN))]
        helmet = ((220, 220, 216), (30, 30, 34), (180, 40, 40), HAIR[0])[rng.integers(4)]
        frame = ((160, 30, 34), (40, 60, 110), (30, 32, 34), (60, 100, 70))[rng.integers(4)]
        turn = 2 * np.pi * (time * 1.1 + rng.random())
        pedal = np.array([np.sin(turn), np.cos(turn)]) * 0.17
        yaw = (0.0 if self.speed >= 0 else np.pi) + self.lean
        points = np.array([
            [0, .34, -.52], [0, .34, .54], [0, .36, .02], [0, .82, -.22], [0, .86, .42],
            [0, .94, -.2], [0, 1.04, .42], [-.26, 1.05, .36], [.26, 1.05, .36],
            [-.12, .95, -.2], [-.12, .72, .16], [-.12, .36 + pedal[1], .02 + pedal[0]],
            [.12, .95, -.2], [.12, .72, .16], [.12, .36 - pedal[1], .02 - pedal[0]],
            [-.19, 1.42, .06], [.19, 1.42, .06], [0, 1.48, .06], [0, 1.66, .16],
            [-.28, 1.2, .24], [.28, 1.2, .24]])
        p = painter.view.pose(self.s, self.d, points, yaw)
        if p[:, 2].min() < 1.2:
            return
        light = painter.weather.ambient + 0.2 * painter.weather.sunshine
        angle = np.linspace(0, 2 * np.pi, 18, endpoint=False)
        rod = painter.rod
        for hub in (0, 1):
            wheel = np.stack([np.zeros(18), .34 + .34 * np.sin(angle),
                              points[hub, 2] + .34 * np.cos(angle)], -1)
            rim = painter.view.pose(self.s, self.d, wheel, yaw)
            inner = painter.view.pose(self.s, self.d, wheel * (1, .88, 1) + (0, .04, 0), yaw)
            painter.face(rim, (30, 30, 32), BICYCLIST, light)
            middle = inner.mean(0)
            painter.face(middle + (inner - middle) * .86, (112, 112, 110), BICYCLIST, light)
            rod(rim[4], rim[13], .09, (30, 30, 32), BICYCLIST, light)
        for a, b in ((0, 2), (2, 3), (3, 0), (2, 4), (3, 4), (4, 1), (4, 6), (3, 5)):
            rod(p[a], p[b], .07, frame, BICYCLIST, light)
        rod(p[7], p[8], .06, (40, 40, 42), BICYCLIST, light)
        for hip, knee, foot in ((9, 10, 11), (12, 13, 14)):
            rod(p[hip], p[knee], .18, trousers, BICYCLIST, light)
            rod(p[knee], p[foot], .14, trousers, BICYCLIST, light)
            rod(p[foot], p[foot], .13, (30, 28, 28), BICYCLIST, light)
        rod(p[9], p[12], .3, trousers, BICYCLIST, light)
        rod((p[9] + p[12]) / 2, p[17], .36, coat, BICYCLIST, light)
        rod(p[15], p[16], .17, coat, BICYCLIST, light * 1.05)
        for shoulder, elbow, hand in ((15, 19, 7), (16, 20, 8)):
            rod(p[shoulder], p[elbow], .12, coat, BICYCLIST, light * .9)
            rod(p[elbow], p[hand], .1, coat, BICYCLIST, light * .9)
        painter.ball(p[18], .125, skin, BICYCLIST, light)
        painter.ball(p[18] + (0, .04, 0), .125, helmet, BICYCLIST, light)

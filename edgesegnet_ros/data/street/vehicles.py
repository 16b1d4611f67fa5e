"""Cars, vans, buses: a side outline drawn out to a body, with glass, wheels and lamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .labels import CAR
from .painter import Painter


@dataclass(frozen=True)
class Body:
    """A vehicle's shape, origin on the ground below its middle, z forward.

    Attributes:
        outline: (n, 3) corners of the side view, clockwise from the rear bumper's foot: z, height
            and half width at that corner, metres.
        glass: index pairs of outline edges that are windscreen and rear window.
        side_glass: (m, k, 2) polygons of side windows: z and height.
        axles: z of the wheels.
        wheel: radius of a wheel.
        belt: height from which the sides lean in.
    """

    outline: np.ndarray
    glass: tuple[int, ...]
    side_glass: tuple[tuple[tuple[float, float], ...], ...]
    axles: tuple[float, float]
    wheel: float
    belt: float


def _body(points, glass, side_glass, axles, wheel, belt) -> Body:
    return Body(np.array(points, float), glass, side_glass, axles, wheel, belt)


BODIES = (
    _body([(-2.15, .25, .82), (-2.2, .6, .86), (-2.1, .95, .86), (-1.55, 1.0, .84),
           (-1.0, 1.42, .62), (0.2, 1.44, .62), (1.0, .98, .82), (2.0, .82, .84), (2.15, .5, .82),
           (2.1, .25, .8)], (3, 5),
          (((-1.35, 1.0), (-.92, 1.36), (-.32, 1.38), (-.32, 1.0)),
           ((-.24, 1.0), (-.24, 1.38), (.18, 1.38), (.82, 1.0))), (-1.3, 1.35), .32, .98),
    _body([(-1.85, .25, .8), (-1.92, .6, .84), (-1.88, .98, .83), (-1.5, 1.46, .62),
           (0.15, 1.5, .62), (.95, 1.0, .8), (1.75, .85, .82), (1.9, .5, .8), (1.85, .25, .78)],
          (2, 4),
          (((-1.6, 1.02), (-1.35, 1.4), (-.42, 1.43), (-.42, 1.0)),
           ((-.34, 1.0), (-.34, 1.43), (.12, 1.43), (.78, 1.0))), (-1.2, 1.2), .31, 1.0),
    _body([(-2.2, .25, .84), (-2.26, .7, .88), (-2.22, 1.05, .87), (-1.95, 1.6, .68),
           (.1, 1.64, .68), (1.05, 1.08, .84), (2.1, .95, .86), (2.25, .6, .86), (2.2, .25, .84)],
          (2, 4),
          (((-2.0, 1.1), (-1.82, 1.5), (-1.2, 1.54), (-1.2, 1.08)),
           ((-1.1, 1.08), (-1.1, 1.55), (-.3, 1.56), (-.3, 1.08)),
           ((-.22, 1.08), (-.22, 1.56), (.1, 1.56), (.85, 1.1))), (-1.4, 1.4), .35, 1.06),
    _body([(-2.5, .3, .9), (-2.55, .9, .94), (-2.52, 1.2, .94), (-2.48, 2.1, .88),
           (.9, 2.12, .88), (1.75, 1.3, .92), (2.45, 1.1, .9), (2.55, .6, .9), (2.5, .3, .88)],
          (2, 4), (((.3, 1.3), (.3, 1.85), (.95, 1.85), (1.5, 1.3)),), (-1.6, 1.6), .36, 1.25),
    _body([(-5.2, .35, 1.2), (-5.25, 1.0, 1.24), (-5.22, 1.4, 1.24), (-5.15, 2.9, 1.2),
           (5.05, 2.9, 1.2), (5.2, 1.2, 1.24), (5.22, .8, 1.24), (5.2, .35, 1.2)],
          (2, 4), tuple(((z, 1.35), (z, 2.4), (z + 1.5, 2.4), (z + 1.5, 1.35))
                        for z in np.arange(-4.8, 4.0, 1.65)), (-3.2, 3.2), .48, 1.3),
)
COLORS = ((38, 40, 44), (168, 172, 176), (208, 210, 210), (120, 24, 30), (34, 58, 108),
          (84, 90, 96), (40, 72, 56), (150, 34, 34), (60, 70, 84), (198, 186, 150), (24, 26, 30),
          (110, 130, 150), (220, 224, 226), (176, 120, 40))
BUS_COLORS = ((170, 32, 34), (40, 92, 150), (214, 214, 206), (52, 120, 84))


@dataclass(frozen=True)
class Car:
    """A vehicle at one place.

    Attributes:
        s: place of its middle along the road in metres.
        d: place across it.
        body: index into `BODIES`.
        color: RGB of the paint.
        yaw: 0 when it faces along s, pi when it comes towards.
        lights: whether head and tail lamps are on.
    """

    s: float
    d: float
    body: int
    color: tuple[int, int, int]
    yaw: float = 0.0
    lights: bool = False

    @property
    def far_end(self) -> float:
        """s that decides when it is drawn."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw it; it stands where it was put for this frame."""
        body, view = BODIES[self.body], painter.view
        outline = body.outline
        n = len(outline)
        left = np.stack([-outline[:, 2], outline[:, 1], outline[:, 0]], -1)
        right = np.stack([outline[:, 2], outline[:, 1], outline[:, 0]], -1)
        both = view.pose(self.s, self.d, np.stack([left, right]), self.yaw)
        near = float(both[..., 2].min())
        if both[..., 2].max() < 1.0:
            return
        paint = np.array(self.color, float)
        self._under(painter, outline)
        centre = both.mean((0, 1))
        for side in (0, 1):  # the far flank shows below and through nothing: paint it as shade
            self._wheels(painter, body, side, centre, hidden=True)
        strips = []
        for i in range(n):
            j = (i + 1) % n
            quad = np.stack([both[0, i], both[0, j], both[1, j], both[1, i]])
            normal = np.cross(quad[1] - quad[0], quad[3] - quad[0])
            middle = quad.mean(0)
            if normal @ (middle - centre) < 0:
                normal = -normal
            eye = np.array([0.0, view.camera.mount, 0.0])
            if normal @ (eye - middle) <= 0 or j == 0:
                continue
            strips.append((middle[2], i, quad, normal / max(np.linalg.norm(normal), 1e-9)))
        for _, i, quad, normal in sorted(strips, key=lambda strip: -strip[0]):
            light = painter.light(normal)
            painter.face(quad, paint, CAR, light * (0.85 + 0.35 * max(normal[1], 0)))
            if i in body.glass:
                self._pane(painter, quad)
        for side in (0, 1):
            self._flank(painter, body, both[side], side, centre, paint)
        if near < 60:
            self._lamps(painter, outline)

    def _under(self, painter: Painter, outline: np.ndarray) -> None:
        low, high = outline[:, 0].min() - 0.05, outline[:, 0].max() + 0.05
        w = outline[:, 2].max() - 0.06
        floor = np.array([[-w, .28, low + .2], [w, .28, low + .2], [w, .28, high - .2],
                          [-w, .28, high - .2]])
        view = painter.view
        base = floor * (1, 0, 1)
        for i in range(4):  # the dark between the wheels
            j = (i + 1) % 4
            quad = np.stack([base[i], base[j], floor[j], floor[i]])
            painter.face(view.pose(self.s, self.d, quad, self.yaw), (26, 26, 28), CAR, 0.6)

    def _pane(self, painter: Painter, quad: np.ndarray) -> None:
        middle = quad.mean(0)
        pane = middle + (quad - middle) * 0.86
        painter.face(pane, (52, 60, 68), CAR, 0.9)
        glint = pane.copy()
        glint[2:] = pane[2:] * 0.4 + pane[[1, 0]] * 0.6
        painter.face(glint, (104, 118, 130), CAR, 0.9)

    def _visible(self, points: np.ndarray, centre: np.ndarray, eye_height: float) -> bool:
        middle = points.mean(0)
        out = (middle - centre) * (1, 0, 1)
        eye = np.array([0.0, eye_height, 0.0])
        return float(out @ (eye - middle)) > 0

    def _flank(self, painter, body, points, side, centre, paint) -> None:
        view = painter.view
        across = view.pose(self.s, self.d, np.array([[0.0, 0, 0], [1.0, 0, 0]]), self.yaw)
        normal = (across[1] - across[0]) * (1 if side else -1)
        middle = points.mean(0)
        if normal @ (np.array([0.0, view.camera.mount, 0.0]) - middle) <= 0:
            return
        light = painter.light(normal)
        painter.face(points, paint, CAR, light, convex=False)
        sign = 1 if side else -1
        outline = body.outline
        low = outline[outline[:, 1] < body.belt - 0.15]
        if len(low):  # the sill, darker
            z0, z1 = outline[:, 0].min() + .1, outline[:, 0].max() - .1
            w = outline[:, 2].max()
            sill = np.array([[sign * w, .25, z0], [sign * w, .42, z0], [sign * w, .42, z1],
                             [sign * w, .25, z1]])
            painter.face(view.pose(self.s, self.d, sill, self.yaw), paint * 0.55, CAR, light)
        top = outline[:, 1].max()
        for polygon in body.side_glass:
            local = np.array([(sign * self._half_width(body, h, top), h, z) for z, h in polygon])
            painter.face(view.pose(self.s, self.d, local, self.yaw), (46, 54, 62), CAR, 0.95)
        self._wheels(painter, body, side, centre, hidden=False)

    @staticmethod
    def _half_width(body: Body, height: float, top: float) -> float:
        widest, roof = body.outline[:, 2].max(), body.outline[:, 2].min()
        share = np.clip((height - body.belt) / max(top - body.belt, 0.1), 0, 1)
        return widest + (roof - widest) * share

    def _wheels(self, painter, body, side, centre, hidden) -> None:
        sign = 1 if side else -1
        w = body.outline[:, 2].max() - (0.2 if hidden else 0.0)
        angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        for z in body.axles:
            for radius, color in (((body.wheel, (24, 24, 26)),) if hidden else
                                  ((body.wheel, (28, 28, 30)), (body.wheel * .62, (120, 122, 126)),
                                   (body.wheel * .2, (60, 62, 64)))):
                rim = np.stack([np.full(14, sign * w), body.wheel + radius * np.sin(angle),
                                z + radius * np.cos(angle)], -1)
                painter.face(painter.view.pose(self.s, self.d, rim, self.yaw), color, CAR, 0.9)

    def _lamps(self, painter: Painter, outline: np.ndarray) -> None:
        coming = np.cos(self.yaw) < 0
        z = outline[:, 0].max() + .02 if coming else outline[:, 0].min() - .02
        w = outline[:, 2].max()
        if not coming:
            color = (255, 60, 46) if self.lights else (150, 30, 28)
        else:
            color = (255, 248, 220) if self.lights else (206, 210, 212)
        height = .72 if outline[:, 1].max() < 2 else .85
        for sign in (-1, 1):
            lamp = np.array([[sign * w * .95, height - .09, z], [sign * w * .95, height + .09, z],
                             [sign * w * .68, height + .09, z], [sign * w * .68, height - .09, z]])
            painter.face(painter.view.pose(self.s, self.d, lamp, self.yaw), color, CAR, 1.15)
        plate = np.array([[-.26, .45, z], [-.26, .57, z], [.26, .57, z], [.26, .45, z]])
        painter.face(painter.view.pose(self.s, self.d, plate, self.yaw),
                     (222, 222, 214) if coming else (214, 190, 70), CAR, 1.0)

"""Cars, vans, buses: a side outline drawn out to a body, with glass, wheels and lamps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .labels import CAR
from .painter import Painter
from .solid import Solid

(PAINT, SILL, GLASS, GLINT, TYRE, RIM, HUB, DARK, HEADLAMP, TAILLAMP, PLATE_FRONT, PLATE_REAR) = (
    range(12)
)


@dataclass(frozen=True)
class Body:
    """A vehicle's shape.

    Attributes:
        outline: corners of the side view, from the rear bumper's foot over the roof to the
            front's: z, height and half width at that corner, metres.
        glass: numbers of the outline's edges that are rear window and windscreen.
        side_glass: polygons of side windows: z and height.
        axles: z of the wheels.
        wheel: radius of a wheel.
        belt: height from which the sides lean in.
    """

    outline: tuple[tuple[float, float, float], ...]
    glass: tuple[int, ...]
    side_glass: tuple[tuple[tuple[float, float], ...], ...]
    axles: tuple[float, float]
    wheel: float
    belt: float

    @property
    def half_length(self) -> float:
        """Half the length in metres."""
        return max(z for z, _, _ in self.outline)

    @property
    def half_width(self) -> float:
        """Half the greatest width in metres."""
        return max(width for _, _, width in self.outline)


BODIES = (
    Body(
        (
            (-2.15, 0.25, 0.82),
            (-2.2, 0.6, 0.86),
            (-2.1, 0.95, 0.86),
            (-1.55, 1.0, 0.84),
            (-1.0, 1.42, 0.62),
            (0.2, 1.44, 0.62),
            (1.0, 0.98, 0.82),
            (2.0, 0.82, 0.84),
            (2.15, 0.5, 0.82),
            (2.1, 0.25, 0.8),
        ),
        (3, 5),
        (
            ((-1.35, 1.0), (-0.92, 1.36), (-0.32, 1.38), (-0.32, 1.0)),
            ((-0.24, 1.0), (-0.24, 1.38), (0.18, 1.38), (0.82, 1.0)),
        ),
        (-1.3, 1.35),
        0.32,
        0.98,
    ),
    Body(
        (
            (-1.85, 0.25, 0.8),
            (-1.92, 0.6, 0.84),
            (-1.88, 0.98, 0.83),
            (-1.5, 1.46, 0.62),
            (0.15, 1.5, 0.62),
            (0.95, 1.0, 0.8),
            (1.75, 0.85, 0.82),
            (1.9, 0.5, 0.8),
            (1.85, 0.25, 0.78),
        ),
        (2, 4),
        (
            ((-1.6, 1.02), (-1.35, 1.4), (-0.42, 1.43), (-0.42, 1.0)),
            ((-0.34, 1.0), (-0.34, 1.43), (0.12, 1.43), (0.78, 1.0)),
        ),
        (-1.2, 1.2),
        0.31,
        1.0,
    ),
    Body(
        (
            (-2.2, 0.25, 0.84),
            (-2.26, 0.7, 0.88),
            (-2.22, 1.05, 0.87),
            (-1.95, 1.6, 0.68),
            (0.1, 1.64, 0.68),
            (1.05, 1.08, 0.84),
            (2.1, 0.95, 0.86),
            (2.25, 0.6, 0.86),
            (2.2, 0.25, 0.84),
        ),
        (2, 4),
        (
            ((-2.0, 1.1), (-1.82, 1.5), (-1.2, 1.54), (-1.2, 1.08)),
            ((-1.1, 1.08), (-1.1, 1.55), (-0.3, 1.56), (-0.3, 1.08)),
            ((-0.22, 1.08), (-0.22, 1.56), (0.1, 1.56), (0.85, 1.1)),
        ),
        (-1.4, 1.4),
        0.35,
        1.06,
    ),
    Body(
        (
            (-2.5, 0.3, 0.9),
            (-2.55, 0.9, 0.94),
            (-2.52, 1.2, 0.94),
            (-2.48, 2.1, 0.88),
            (0.9, 2.12, 0.88),
            (1.75, 1.3, 0.92),
            (2.45, 1.1, 0.9),
            (2.55, 0.6, 0.9),
            (2.5, 0.3, 0.88),
        ),
        (2, 4),
        (((0.3, 1.3), (0.3, 1.85), (0.95, 1.85), (1.5, 1.3)),),
        (-1.6, 1.6),
        0.36,
        1.25,
    ),
    Body(
        (
            (-5.2, 0.35, 1.2),
            (-5.25, 1.0, 1.24),
            (-5.22, 1.4, 1.24),
            (-5.15, 2.9, 1.2),
            (5.05, 2.9, 1.2),
            (5.2, 1.2, 1.24),
            (5.22, 0.8, 1.24),
            (5.2, 0.35, 1.2),
        ),
        (2, 4),
        tuple(
            ((z, 1.35), (z, 2.4), (z + 1.5, 2.4), (z + 1.5, 1.35))
            for z in (-4.8, -3.15, -1.5, 0.15, 1.8, 3.45)
        ),
        (-3.2, 3.2),
        0.48,
        1.3,
    ),
)
BUS = len(BODIES) - 1
COLORS = (
    (38, 40, 44),
    (168, 172, 176),
    (208, 210, 210),
    (120, 24, 30),
    (34, 58, 108),
    (84, 90, 96),
    (40, 72, 56),
    (150, 34, 34),
    (60, 70, 84),
    (198, 186, 150),
    (24, 26, 30),
    (110, 130, 150),
    (220, 224, 226),
    (176, 120, 40),
)
BUS_COLORS = ((170, 32, 34), (40, 92, 150), (214, 214, 206), (52, 120, 84))


@lru_cache(maxsize=None)
def solid_of(number: int) -> Solid:
    """The body of that number as faces."""
    body, solid = BODIES[number], Solid()
    outline = np.array(body.outline)
    low, high, width = outline[:, 0].min(), outline[:, 0].max(), body.half_width
    _underside(solid, low + 0.15, high - 0.15, width - 0.08)
    middle = np.array([0.0, (outline[:, 1].max() + 0.25) / 2, 0.0])
    for i in range(len(outline) - 1):
        (z0, h0, w0), (z1, h1, w1) = outline[i], outline[i + 1]
        quad = np.array([[-w0, h0, z0], [-w1, h1, z1], [w1, h1, z1], [w0, h0, z0]])
        normal = np.array([0.0, z0 - z1, h1 - h0])
        if normal @ (quad.mean(0) - middle) < 0:
            normal = -normal
        solid.add(
            quad,
            normal,
            PAINT,
            rank=1,
            gain=0.88 + 0.2 * max(normal[1], 0) / np.hypot(*normal[1:]),
        )
        if i in body.glass:
            pane = quad.mean(0) + (quad - quad.mean(0)) * 0.88
            solid.add(pane, normal, GLASS, gain=0.9)
            upper = pane.copy()
            upper[[0, 3]] = 0.55 * pane[[1, 2]] + 0.45 * pane[[0, 3]]
            solid.add(upper, normal, GLINT, gain=0.9)
    for end in (low - 0.02, high + 0.02):
        _lamps(solid, end, width, outline[:, 1].max())
    for side in (-1, 1):
        _flank(solid, body, outline, side)
    return solid.close()


def _underside(solid: Solid, low: float, high: float, w: float) -> None:
    for a, b in (
        ((-w, low), (w, low)),
        ((w, low), (w, high)),
        ((w, high), (-w, high)),
        ((-w, high), (-w, low)),
    ):
        normal = ((a[0] + b[0]) / 2, 0, (a[1] + b[1]) / 2 if a[1] == b[1] else 0)
        solid.add(
            [(a[0], 0.02, a[1]), (b[0], 0.02, b[1]), (b[0], 0.36, b[1]), (a[0], 0.36, a[1])],
            normal,
            DARK,
            rank=0,
            gain=0.5,
        )


def _lamps(solid: Solid, z: float, w: float, top: float) -> None:
    normal, height = (0, 0, np.sign(z)), 0.72 if top < 2 else 0.85
    front = z > 0
    for sign in (-1, 1):
        solid.add(
            [
                (sign * w * 0.95, height - 0.09, z),
                (sign * w * 0.95, height + 0.09, z),
                (sign * w * 0.68, height + 0.09, z),
                (sign * w * 0.68, height - 0.09, z),
            ],
            normal,
            HEADLAMP if front else TAILLAMP,
            gain=1.15,
            rank=2 if sign < 0 else None,
        )
    solid.add(
        [(-0.26, 0.45, z), (-0.26, 0.57, z), (0.26, 0.57, z), (0.26, 0.45, z)],
        normal,
        PLATE_FRONT if front else PLATE_REAR,
        fine=True,
    )
    if front:
        solid.add(
            [
                (-w * 0.5, height - 0.12, z),
                (-w * 0.5, height + 0.06, z),
                (w * 0.5, height + 0.06, z),
                (w * 0.5, height - 0.12, z),
            ],
            normal,
            DARK,
            fine=True,
        )
    solid.add(
        [(-w * 0.92, 0.28, z), (-w * 0.92, 0.4, z), (w * 0.92, 0.4, z), (w * 0.92, 0.28, z)],
        normal,
        SILL,
        fine=True,
    )


def _flank(solid: Solid, body: Body, outline: np.ndarray, side: int) -> None:
    normal, w = (side, 0.0, 0.0), body.half_width
    low, high = outline[:, 0].min() + 0.08, outline[:, 0].max() - 0.08
    points = np.stack([side * outline[:, 2], outline[:, 1], outline[:, 0]], -1)
    solid.add(points, normal, PAINT, rank=3, convex=False)
    solid.add(
        [
            (side * w, 0.25, low),
            (side * w, 0.4, low),
            (side * w, 0.4, high),
            (side * w, 0.25, high),
        ],
        normal,
        SILL,
    )
    top, roof = outline[:, 1].max(), outline[:, 2].min()
    for window in body.side_glass:
        lean = [
            w + (roof - w) * np.clip((h - body.belt) / (top - body.belt), 0, 1) for _, h in window
        ]
        solid.add([(side * x, h, z) for x, (z, h) in zip(lean, window)], normal, GLASS, gain=0.95)
    if len(body.side_glass) < 4:
        for z in (-0.28, 0.9):  # gaps of the doors
            solid.add(
                [
                    (side * w, 0.45, z),
                    (side * w, body.belt - 0.03, z),
                    (side * w, body.belt - 0.03, z + 0.03),
                    (side * w, 0.45, z + 0.03),
                ],
                normal,
                SILL,
                fine=True,
            )
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    for z in body.axles:
        for share, slot, fine in (
            (1.18, DARK, True),
            (1.0, TYRE, False),
            (0.62, RIM, False),
            (0.2, HUB, True),
        ):
            radius = body.wheel * share
            rim = np.stack(
                [
                    np.full(14, side * w),
                    body.wheel + radius * np.sin(angle),
                    z + radius * np.cos(angle),
                ],
                -1,
            )
            rim[:, 1] = np.maximum(rim[:, 1], 0.0)
            solid.add(rim, normal, slot, gain=0.9, fine=fine)


@dataclass(frozen=True)
class Car:
    """A vehicle at one position.

    Attributes:
        s: position of its middle along the road in metres.
        d: position across it.
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
        """The s of its far end, in metres; it decides the drawing order."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw the vehicle at its position in this frame."""
        sill = tuple(c * 0.5 for c in self.color)
        palette = (
            self.color,
            sill,
            (50, 58, 66),
            (106, 120, 132),
            (28, 28, 30),
            (124, 126, 130),
            (60, 62, 64),
            (24, 24, 26),
            (255, 248, 220) if self.lights else (206, 210, 212),
            (255, 60, 46) if self.lights else (150, 30, 28),
            (222, 222, 214),
            (214, 190, 70),
        )
        painter.solid(solid_of(self.body), self.s, self.d, self.yaw, palette, CAR)

    def footprint(self) -> np.ndarray:
        """(4, 3) corners on the ground in its own frame."""
        w, z = BODIES[self.body].half_width + 0.04, BODIES[self.body].half_length
        return np.array([[-w, 0, -z], [w, 0, -z], [w, 0, z], [-w, 0, z]])

"""Trees and bushes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .labels import TREE
from .painter import Painter
from .textures import bare_crown, foliage

BARK = (78, 64, 52)


@dataclass(frozen=True)
class Tree:
    """A tree that always shows the same side.

    Attributes:
        s: position along the road in metres.
        d: position across it.
        height: metres.
        spread: width of the crown.
        kind: index of the foliage.
        bare: whether it has lost its leaves.
    """

    s: float
    d: float
    height: float
    spread: float
    kind: int
    bare: bool = False

    @property
    def far_end(self) -> float:
        """The s of its far end, in metres; it decides the drawing order."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw trunk and crown."""
        base = painter.view.point(self.s, self.d)
        light = painter.weather.ambient + 0.3 * painter.weather.sunshine
        clear = self.height * (0.12 if self.kind % 3 == 2 else 0.28)
        painter.limbs(
            np.stack([base, base + (0, clear + self.height * 0.15, 0)]),
            ((0, 1, 0.09 + self.height * 0.03, BARK),),
            TREE,
            light * 0.9,
            1.0,
        )
        if self.bare:
            painter.billboard(
                base,
                self.spread * 1.1,
                clear * 0.6,
                self.height,
                bare_crown(self.kind % 4),
                TREE,
                light,
            )
        else:
            painter.billboard(
                base, self.spread, clear, self.height, foliage(self.kind), TREE, light
            )


@dataclass(frozen=True)
class Bush:
    """A bush down to the ground."""

    s: float
    d: float
    size: float
    kind: int

    @property
    def far_end(self) -> float:
        """The s of its far end, in metres; it decides the drawing order."""
        return self.s

    def paint(self, painter: Painter, time: float) -> None:
        """Draw the object."""
        base = painter.view.point(self.s, self.d)
        light = painter.weather.diffuse
        painter.billboard(
            base,
            self.size * 1.5,
            -0.1 * self.size,
            self.size,
            foliage(self.kind - self.kind % 3),
            TREE,
            light,
        )


def shadow_of(tree: Tree, count: int = 12) -> np.ndarray:
    """Outline of a crown as (n, 2): offset across (m) and height (m)."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack(
        [
            np.sin(angle) * tree.spread * 0.45,
            tree.height * 0.62 + np.cos(angle) * tree.height * 0.36,
        ],
        -1,
    )

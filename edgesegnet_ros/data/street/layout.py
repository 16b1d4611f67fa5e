"""The layout of a street: its cross-section, its blocks and its road markings.

The road is divided into blocks of `BLOCK` metres. The objects of a block depend only on the seed
of the street and the number of the block, so that any block can be drawn without the ones before.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .buildings import House
from .facades import FACADES, bays
from .furniture import Bollard, Lamp, Run, SignPost, TrafficLight
from .labels import PAVEMENT, TREE
from .textures import FOLIAGE
from .vegetation import Bush, Tree
from .vehicles import COLORS, Car

BLOCK = 48.0
STRAIGHT = 25.0  # metres over which a bend does not show
PARKING_WIDTH = 2.1
RAILINGS = (2, 3, 6, 7, 10, 11)  # kinds of `fence` that stand at a kerb
WHITE_PAINT, YELLOW_PAINT = (214, 214, 206), (206, 186, 90)


@dataclass(frozen=True)
class Section:
    """Cross-section and colours of the street.

    Attributes:
        half_road: half the width of the carriageway in metres.
        travel: width of one lane; what is left of half_road is for parked cars.
        pavement: width of each pavement.
        verge: width of the grass behind it, 0 for none.
        setback: distance of the fronts from the pavement.
        drive: +1 where one drives on the right, -1 on the left.
        road_color: RGB; so the others.
        beyond_label: class of the ground behind the pavement.
        slab: spacing of the pavement's joints.
        grain: which ground texture.
    """

    half_road: float
    travel: float
    pavement: float
    verge: float
    setback: float
    drive: int
    road_color: np.ndarray
    pavement_color: np.ndarray
    kerb_color: np.ndarray
    grass: np.ndarray
    beyond_color: np.ndarray
    beyond_label: int
    slab: float
    grain: int


class Layout:
    """All of a street that stays where it is.

    Args:
        seed: the street's seed.

    Attributes:
        seed: the argument of that name.
        section: the cross-section.
        urban: 0 for a garden suburb, 1 for the middle of a town.
        lane: middle of the lane that the camera's car keeps to, as d in metres.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 11])
        self.seed = seed
        self.urban = rng.uniform(0, 1)
        green = self.urban < 0.42
        travel, drive = rng.uniform(2.55, 3.4), int(rng.choice([-1, 1]))
        half = travel + (PARKING_WIDTH if rng.random() < 0.4 else 0.0)
        road = rng.uniform(78, 116) * np.array([1.0, 1.0, 1.03])
        pave = rng.uniform(118, 160) * np.array([1.0, 0.97, 0.93]) * rng.uniform(0.95, 1.05, 3)
        grass = np.array([88, 106, 54]) * rng.uniform(0.8, 1.15)
        verge = rng.uniform(0.8, 2.5) if green and rng.random() < 0.6 else 0.0
        self.section = Section(
            half,
            travel,
            rng.uniform(2.3, 4.2),
            verge,
            rng.uniform(2.5, 6) if green else rng.uniform(0, 0.5),
            drive,
            road,
            pave,
            np.clip(pave * 1.12, 0, 215),
            grass,
            grass if green else pave * 0.9,
            TREE if green else PAVEMENT,
            rng.uniform(0.8, 1.6),
            int(rng.integers(3)),
        )
        self.lane = drive * travel * 0.5
        self._styles = rng.choice(FACADES, 12, replace=False)
        self._trees = rng.choice(FOLIAGE, 4, replace=False)
        self._bare = rng.random() < 0.25
        self._parked = rng.uniform(0.45, 0.85)
        self._steel = int(rng.integers(5))
        self._fences = rng.integers(12, size=3)
        self._dash = rng.uniform(2, 4), rng.uniform(3, 6)
        self._edge_lines = rng.random() < 0.5
        self._double = rng.random() < 0.25
        self.standing_in = lru_cache(maxsize=12)(self._standing_in)

    def _crossroads(self, block: int) -> tuple[float, float, int] | None:
        rng = np.random.default_rng([self.seed, 12, block + 100000])
        if rng.random() > 0.42:
            return None
        near = block * BLOCK + rng.uniform(8, BLOCK - 18)
        return near, near + rng.uniform(6, 9), int(rng.choice([-1, 1]))

    def side_streets(self, low: float, high: float):
        """Mouths of side streets between two s: (near s, far s, side)."""
        for block in range(int(low // BLOCK) - 1, int(high // BLOCK) + 1):
            mouth = self._crossroads(block)
            if mouth and mouth[1] > low and mouth[0] < high:
                yield mouth

    def _standing_in(self, block: int) -> tuple:
        rng = np.random.default_rng([self.seed, 13, block + 100000])
        section = self.section
        things: list = []
        mouth = self._crossroads(block)
        start = block * BLOCK
        for side in (-1, 1):
            gap = mouth[:2] if mouth and mouth[2] == side else None
            self._houses(rng, things, start, side, gap)
            self._kerbside(rng, things, start, side, gap)
            if gap:
                things.append(
                    TrafficLight(gap[0] - 1.5, side * (section.half_road + 0.7), rng.uniform(0, 3))
                )
                things.append(
                    SignPost(
                        gap[1] + 1.2,
                        side * (section.half_road + 0.8),
                        int(rng.choice([1, 3, 6])),
                        False,
                        self._steel,
                    )
                )
        return tuple(things)

    def _houses(self, rng, things, start, side, gap) -> None:
        section = self.section
        front = section.half_road + section.pavement + section.verge + section.setback
        s, end = start, start + BLOCK
        while s < end - 2:
            kind = int(rng.choice(self._styles))
            width = min(bays(kind) * 2.7 * rng.uniform(0.95, 1.25), end - s)
            if end - s - width < 3:
                width = end - s
            free = gap is None or s + width < gap[0] - 0.5 or s > gap[1] + 0.5
            if not free:
                if s < gap[0] - 3:
                    width, free = gap[0] - 0.5 - s, True
                else:
                    s = gap[1] + 0.6
                    continue
            if rng.random() < 0.18 + 0.22 * (1 - self.urban):
                self._garden(rng, things, s, s + width, side, front)
            else:
                things.append(
                    House(
                        s,
                        s + width,
                        side * (front + rng.uniform(0, 0.4)),
                        kind,
                        int(rng.integers(5)),
                        rng.uniform(1.5, 3.5) if rng.random() < 0.75 else 0.0,
                        rng.uniform(0.85, 1.1),
                    )
                )
                if section.setback > 2 and rng.random() < 0.75:
                    self._boundary(rng, things, s, s + width, side)
            s += width
        if gap:  # what closes the view into the side street
            for near, far in ((gap[0] - 9, gap[0] - 0.5), (gap[1] + 0.5, gap[1] + 9)):
                things.append(
                    Tree(
                        (near + far) / 2,
                        side * (front + 26),
                        8.0,
                        7.0,
                        int(rng.choice(self._trees)),
                    )
                )

    def _boundary(self, rng, things, start, end, side) -> None:
        d = side * (self.section.half_road + self.section.pavement + 0.15)
        if rng.random() < 0.6:
            things.append(Run(start, end, d, rng.uniform(1.0, 1.7), int(rng.choice(self._fences))))
        else:
            things.append(Run(start, end, d, rng.uniform(0.9, 1.8), int(rng.integers(3)), True))

    def _garden(self, rng, things, start, end, side, front) -> None:
        self._boundary(rng, things, start, end, side)
        for s in np.arange(start + 1.5, end, 4.5):
            height = rng.uniform(5, 11)
            things.append(
                Tree(
                    s,
                    side * (front + rng.uniform(2, 6)),
                    height,
                    height * rng.uniform(0.6, 0.9),
                    int(rng.choice(self._trees)),
                    self._bare and rng.random() < 0.6,
                )
            )
            things.append(
                Bush(
                    s + 1,
                    side * (front + rng.uniform(0.2, 1.5)),
                    rng.uniform(1.2, 2.6),
                    int(rng.integers(FOLIAGE)),
                )
            )

    def _kerbside(self, rng, things, start, side, gap) -> None:
        section = self.section
        taken = [gap] if gap else []

        def free(low, high):
            return all(high < start - 1 or low > end + 1 for start, end in taken)

        rails = self._railings(rng, start, side, gap)
        if rails:
            things.append(rails)
            taken.append((rails.start, rails.end))
        kerb = side * (section.half_road + 0.45)
        lamps = start + np.array([9.0, 33.0]) + rng.uniform(-3, 3, 2) + (side > 0) * 10
        for s in lamps:
            if gap is None or not gap[0] - 1 < s < gap[1] + 1:
                things.append(Lamp(s, kerb, rng.uniform(5.5, 8), self._steel))
        for s in start + np.array([4.0, 20.0, 38.0]) + rng.uniform(-3, 3, 3):
            hidden = np.abs(lamps - s).min() < 2.5 or (gap and gap[0] - 1 < s < gap[1] + 1)
            if not hidden and rng.random() < 0.9:
                facing = side == section.drive or rng.random() < 0.5
                things.append(
                    SignPost(
                        s,
                        kerb + side * rng.uniform(0, 0.3),
                        int(rng.integers(7)),
                        not facing,
                        int(rng.integers(5)),
                    )
                )
        if rng.random() < 0.4:
            for s in start + 2 + np.arange(5) * 2.2 + rng.uniform(0, 25):
                if free(s, s):
                    things.append(Bollard(s, kerb, self._steel))
        if rng.random() < 0.65 - 0.3 * self.urban:
            for s in start + np.arange(3, BLOCK, rng.uniform(9, 16)) + rng.uniform(0, 4):
                if free(s - 2, s + 2):
                    height = rng.uniform(4.5, 8.5)
                    things.append(
                        Tree(
                            s,
                            kerb + side * 0.5,
                            height,
                            height * rng.uniform(0.5, 0.7),
                            int(rng.choice(self._trees)),
                            self._bare and rng.random() < 0.7,
                        )
                    )
        if section.half_road > section.travel:
            for s in np.arange(start + 3, start + BLOCK - 3, 6.2):
                if rng.random() < self._parked and free(s - 4, s + 4):
                    body = int(rng.choice(4, p=[0.35, 0.3, 0.22, 0.13]))
                    toward = np.pi if side != section.drive else 0.0
                    things.append(
                        Car(
                            s + rng.uniform(-0.4, 0.4),
                            side * (section.half_road - 1.05 + rng.uniform(-0.1, 0.1)),
                            body,
                            COLORS[rng.integers(len(COLORS))],
                            toward + rng.normal(0, 0.03),
                        )
                    )

    def _railings(self, rng, start, side, gap) -> Run | None:
        """Railings at the kerb: in each block on one side or the other, so none goes without."""
        if (side > 0) != (round(start / BLOCK) % 2 == 0) and rng.random() > 0.25 * self.urban:
            return None
        length = rng.uniform(13, 18)
        low = start + rng.uniform(1, BLOCK - length - 1)
        if gap and low < gap[1] + 1 and low + length > gap[0] - 1:
            low = start + 1.0 if gap[0] - start > length + 2 else gap[1] + 1.2
        d = side * (self.section.half_road + 0.25)
        return Run(low, min(low + length, start + BLOCK), d, 1.1, int(rng.choice(RAILINGS)))

    def markings(self, low: float, high: float):
        """Paint on the road between two s: (RGB, (n, 4, 2) corners as s and d) of each colour."""
        section = self.section
        dash, pause = self._dash
        period = dash + pause
        starts = np.arange(low // period, high // period) * period
        lines = [
            _stripes(starts, dash, d, 0.14) for d in ((-0.14, 0.14) if self._double else (0.0,))
        ]
        if self._edge_lines:
            edges = np.concatenate(
                [
                    _stripes(
                        np.arange(low // 6, high // 6) * 6, 6, side * (section.travel - 0.15), 0.12
                    )
                    for side in (-1, 1)
                ]
            )
            yield (YELLOW_PAINT if section.grain == 1 else WHITE_PAINT), edges
        mended = []
        for block in range(int(low // BLOCK) - 1, int(high // BLOCK) + 1):
            rng = np.random.default_rng([self.seed, 14, block + 100000])
            mouth = self._crossroads(block)
            if mouth:  # give-way line across the mouth
                lines.append(
                    _stripes(
                        mouth[:1], mouth[1] - mouth[0], mouth[2] * (section.half_road + 0.22), 0.25
                    )
                )
            if rng.random() < 0.3:  # zebra crossing
                s = block * BLOCK + rng.uniform(4, BLOCK - 8)
                lines += [
                    _stripes([s], 3.0, d, 0.55)
                    for d in np.arange(-section.half_road + 0.7, section.half_road - 0.4, 1.1)
                ]
            if rng.random() < 0.5:
                mended.append(
                    _stripes(
                        [block * BLOCK + rng.uniform(0, BLOCK)],
                        rng.uniform(2, 8),
                        rng.uniform(-2, 2),
                        1.4,
                    )
                )
        if mended:
            yield section.road_color * 0.82, np.concatenate(mended)
        yield WHITE_PAINT, np.concatenate(lines)

    def standing(self, low: float, high: float, fine: float) -> list:
        """Static objects with their far end between two s.

        Args:
            low: from this s.
            high: to this s.
            fine: up to this s fences come in pieces, so that people pass before and behind them.
        """
        things = []
        for block in range(int(low // BLOCK), int(high // BLOCK) + 1):
            for thing in self.standing_in(block):
                if isinstance(thing, Run) and thing.start < fine:
                    things += [piece for piece in thing.pieces() if piece.far_end >= low]
                elif low <= thing.far_end <= high:
                    things.append(thing)
        return things


def far_to_near(things: list, s: float, section: Section) -> list:
    """The order in which things are drawn for a camera on the road at s.

    Far off, what has the greater s comes first. Near by, where the road is as good as straight, a
    ray from the camera only ever leads outwards: first what stands beyond the pavement, then the
    fence there, the people, the railings at the kerb, the traffic; and each of them by s.
    """
    half, outer = section.half_road, section.half_road + section.pavement
    edges = (half + 0.2, half + 0.3, outer + 0.1, outer + 0.2)

    def order(thing) -> tuple[float, float, float]:
        if thing.far_end > s + STRAIGHT:
            return -1e9, -thing.far_end, -abs(thing.d)
        return -bisect(edges, abs(thing.d)), -thing.far_end, -abs(thing.d)

    return sorted(things, key=order)


def _stripes(starts, length: float, d: float, width: float) -> np.ndarray:
    """(n, 4, 2) corners, s and d, of bars along the road."""
    starts = np.asarray(starts, float)[:, None]
    s = starts + [0, length, length, 0]
    across = np.broadcast_to(d + np.array([-0.5, -0.5, 0.5, 0.5]) * width, s.shape)
    return np.stack([s, across], -1)

"""Everything that a replay counts: sums alone, so that bags add up without their frames."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

FINEST_MS = 0.01
PER_NATURAL_LOG = 200
"""Bins of a latency histogram per factor of e: neighbours lie 0.5 % apart."""
BINS = 3300
"""From 0.01 ms to 147 s."""


class Times:
    """A histogram of times in ms, exact to 0.3 %, of a fixed size however long the run."""

    def __init__(self) -> None:
        self._counts = np.zeros(BINS, np.int64)
        self._total_ms = 0.0
        self._max_ms = 0.0

    def add(self, ms: float) -> None:
        """Count one time."""
        place = int(np.log(max(ms, FINEST_MS) / FINEST_MS) * PER_NATURAL_LOG)
        self._counts[min(place, BINS - 1)] += 1
        self._total_ms += float(ms)
        self._max_ms = max(self._max_ms, float(ms))

    def __iadd__(self, other: Times) -> Times:
        """Count all of another's."""
        self._counts += other._counts
        self._total_ms += other._total_ms
        self._max_ms = max(self._max_ms, other._max_ms)
        return self

    def __len__(self) -> int:
        """How many were counted."""
        return int(self._counts.sum())

    @property
    def total_ms(self) -> float:
        """Sum of all."""
        return self._total_ms

    def summary(self) -> dict[str, float] | None:
        """p50, p95, p99, mean and max in ms; None without any."""
        count = len(self)
        if not count:
            return None
        reached = np.cumsum(self._counts)

        def percentile(share: float) -> float:
            place = int(np.searchsorted(reached, max(1.0, share * count)))
            middle = FINEST_MS * float(np.exp((place + 0.5) / PER_NATURAL_LOG))
            return round(min(middle, self._max_ms), 4)

        return {
            'p50': percentile(0.5),
            'p95': percentile(0.95),
            'p99': percentile(0.99),
            'mean': round(self._total_ms / count, 4),
            'max': round(self._max_ms, 4),
        }

    def to_json(self) -> dict[str, Any]:
        """The bins that are not empty, and the sums."""
        filled = np.flatnonzero(self._counts)
        return {
            'bins': filled.tolist(),
            'counts': self._counts[filled].tolist(),
            'total_ms': self._total_ms,
            'max_ms': self._max_ms,
        }

    @classmethod
    def from_json(cls, text: dict[str, Any]) -> Times:
        """What `to_json` gave."""
        times = cls()
        times._counts[text['bins']] = text['counts']
        times._total_ms, times._max_ms = text['total_ms'], text['max_ms']
        return times


@dataclass
class Tallies:
    """Sums over frames and pixels; `a.add(b)` is what both bags together would have counted.

    Attributes:
        num_classes: N below.
        frames: Label maps that came out.
        pixels: (N + 1) int64, pixels of each class; the last are unlabelled ones.
        confidence: (256) int64, pixels by their confidence as uint8.
        frames_scored: Frames with ground truth.
        confusion: (N, N + 1) int64; rows are true classes, columns predicted, the last for
            pixels that were left unlabelled.
        bins_pixels: (256) int64, scored pixels by confidence.
        bins_right: (256) int64, those of them that are right.
        pairs: Neighbouring frames compared along optical flow.
        pairs_skipped: Neighbours that could not be: another size, or time that did not rise.
        flow_pixels: Pixels of all pairs, at the size of the flow.
        flow_compared: (N + 1) int64, pixels whose flow passed the check, by the former class.
        flow_agreed: (N + 1) int64, those that kept their class.
        against_pixels: (N + 1) int64, pixels compared with the second engine, by our class.
        against_differ: (N + 1) int64, those where it says another class.
    """

    num_classes: int
    frames: int = 0
    pixels: np.ndarray = None  # type: ignore[assignment]
    confidence: np.ndarray = None  # type: ignore[assignment]
    frames_scored: int = 0
    confusion: np.ndarray = None  # type: ignore[assignment]
    bins_pixels: np.ndarray = None  # type: ignore[assignment]
    bins_right: np.ndarray = None  # type: ignore[assignment]
    pairs: int = 0
    pairs_skipped: int = 0
    flow_pixels: int = 0
    flow_compared: np.ndarray = None  # type: ignore[assignment]
    flow_agreed: np.ndarray = None  # type: ignore[assignment]
    against_pixels: np.ndarray = None  # type: ignore[assignment]
    against_differ: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        n = self.num_classes
        shapes = {
            'confidence': (256,),
            'bins_pixels': (256,),
            'bins_right': (256,),
            'confusion': (n, n + 1),
        }
        for field in fields(self):
            if field.default is None and getattr(self, field.name) is None:
                setattr(self, field.name, np.zeros(shapes.get(field.name, (n + 1,)), np.int64))

    def add(self, other: Tallies) -> None:
        """Count all of another's.

        Raises:
            ValueError: It counted other classes.
        """
        if other.num_classes != self.num_classes:
            raise ValueError(f'{other.num_classes} classes are not {self.num_classes}')
        for field in fields(self):
            if field.name != 'num_classes':
                mine, theirs = getattr(self, field.name), getattr(other, field.name)
                setattr(self, field.name, mine + theirs)

    def to_json(self) -> dict[str, Any]:
        """Numbers and lists."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls, text: dict[str, Any]) -> Tallies:
        """What `to_json` gave."""
        values: dict[str, Any] = {
            name: np.array(value, np.int64) if isinstance(value, list) else value
            for name, value in text.items()
        }
        return cls(**values)

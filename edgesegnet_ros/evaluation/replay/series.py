"""Figures over time, in a fixed number of points however long the recording."""

from __future__ import annotations

from typing import Any

import numpy as np

POINTS = 1024
COLUMNS = ('t_s', 'latency_ms', 'confidence', 'consistency', 'pixel_accuracy', 'disagreement')


class Series:
    """Means over consecutive frames; when all points are taken, each two become one.

    Args:
        classes: Names, for the fractions.
    """

    def __init__(self, classes: list[str]) -> None:
        self._classes = classes
        width = len(COLUMNS) + len(classes)
        self._sums = np.zeros((POINTS, width))
        self._counts = np.zeros((POINTS, width), np.int64)
        self._slowest = np.zeros(POINTS)
        self._frames = np.zeros(POINTS, np.int64)
        self._per_point = 1
        self._point = 0

    def add(self, values: dict[str, float | None], fractions: np.ndarray) -> None:
        """Add one frame.

        Args:
            values: By column; None and missing ones are unknown.
            fractions: (classes,) shares of its pixels.
        """
        row = np.array(
            [np.nan if values.get(name) is None else values[name] for name in COLUMNS]
            + fractions.tolist(),
            np.float64,
        )
        if self._frames[self._point] == self._per_point:
            self._point += 1
            if self._point == POINTS:
                self._halve()
        known = ~np.isnan(row)
        self._sums[self._point, known] += row[known]
        self._counts[self._point] += known
        self._frames[self._point] += 1
        self._slowest[self._point] = max(self._slowest[self._point], values['latency_ms'] or 0.0)

    def _halve(self) -> None:
        half = POINTS // 2
        for array in (self._sums, self._counts, self._frames):
            array[:half] = array[0::2] + array[1::2]
            array[half:] = 0
        self._slowest[:half] = np.maximum(self._slowest[0::2], self._slowest[1::2])
        self._slowest[half:] = 0
        self._point, self._per_point = half, 2 * self._per_point

    def to_json(self) -> dict[str, Any]:
        """See `ReplayResult.series`."""
        used = int(np.count_nonzero(self._frames))
        counts = self._counts[:used]
        unknown = np.full(counts.shape, np.nan)
        means = np.divide(self._sums[:used], counts, out=unknown, where=counts > 0)
        columns = [
            [None if np.isnan(value) else round(float(value), 5) for value in column]
            for column in means.T
        ]
        return {
            'frames': self._frames[:used].tolist(),
            'latency_max_ms': [round(float(value), 4) for value in self._slowest[:used]],
            **dict(zip(COLUMNS, columns, strict=False)),
            'fractions': dict(zip(self._classes, columns[len(COLUMNS) :], strict=True)),
        }

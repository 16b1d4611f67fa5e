"""How long the stages of a replay take: histograms of a fixed size, which add up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgesegnet_ros.evaluation.replay.figures import Timing

FINEST_MS = 0.01
PER_NATURAL_LOG = 200
"""Bins of a latency histogram per factor of e: neighbours lie 0.5 % apart."""
BINS = 3300
"""From 0.01 ms to 147 s."""
LATENCY, AGE = 'latency', 'age'
"""What is timed beside the stages: a whole frame, and a frame from the player to the collector."""
STAGES = ('read', 'resize', 'infer', 'score')
OPTIONAL_STAGES = ('flow', 'against', 'label_maps', 'write_bag', 'rerun', 'pictures', 'video')


class Times:
    """A histogram of times in ms, exact to 0.3 %, of a fixed size however long the run."""

    def __init__(self) -> None:
        self._counts = np.zeros(BINS, np.int64)
        self._total_ms = 0.0
        self._max_ms = 0.0

    def add(self, ms: float) -> None:
        """Count one time."""
        index = int(np.log(max(ms, FINEST_MS) / FINEST_MS) * PER_NATURAL_LOG)
        self._counts[min(index, BINS - 1)] += 1
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
            index = int(np.searchsorted(reached, max(1.0, share * count)))
            middle = FINEST_MS * float(np.exp((index + 0.5) / PER_NATURAL_LOG))
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


class StageTimes:
    """Times of every stage; each stage is timed by one thread.

    Attributes:
        wall_s: Of the replay, from the first frame to the last.
    """

    def __init__(self) -> None:
        self.wall_s = 0.0
        self._stages: dict[str, Times] = {}

    def add(self, stage: str, ms: float) -> None:
        """Count one time of a stage, of LATENCY or of AGE."""
        self._stages.setdefault(stage, Times()).add(ms)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count what the block takes."""
        began = time.perf_counter()
        yield
        self.add(stage, (time.perf_counter() - began) * 1e3)

    def __iadd__(self, other: StageTimes) -> StageTimes:
        """Count all of another's."""
        for stage, spent in other._stages.items():
            mine = self._stages.setdefault(stage, Times())
            mine += spent
        self.wall_s += other.wall_s
        return self

    def timing(self, frames_out: int) -> Timing:
        """The figures.

        Args:
            frames_out: Label maps that came out, for the rate.
        """
        summaries = {
            stage: summary
            for stage, spent in self._stages.items()
            if (summary := spent.summary()) is not None
        }
        return Timing(
            latency_ms=summaries.get(LATENCY),
            rate_hz=round(frames_out / self.wall_s, 4) if self.wall_s else None,
            stages_ms={
                stage: summaries[stage]
                for stage in (*STAGES, *OPTIONAL_STAGES)
                if stage in summaries
            },
            costs_s={
                stage: round(self._stages[stage].total_ms / 1e3, 3)
                if stage in self._stages
                else 0.0
                for stage in OPTIONAL_STAGES
            },
            age_ms=summaries.get(AGE),
            wall_s=self.wall_s,
        )

    def to_json(self) -> dict[str, Any]:
        """Stage -> histogram; `wall_s` is a figure of the result."""
        return {stage: spent.to_json() for stage, spent in self._stages.items()}

    @classmethod
    def from_json(cls, text: dict[str, Any], wall_s: float | None) -> StageTimes:
        """What `to_json` gave, and the figure."""
        times = cls()
        times.wall_s = wall_s or 0.0
        times._stages = {stage: Times.from_json(spent) for stage, spent in text.items()}
        return times

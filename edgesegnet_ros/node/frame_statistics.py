"""What the diagnostics tell of the frames: counts, ages and stage times."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import Deque, Dict, List, NamedTuple, Optional

import numpy as np

from edgesegnet_ros.interface.diagnostic_keys import TIMES

_WINDOW = 300
"""Frames that percentiles are taken over."""


class Percentiles(NamedTuple):
    """Of the last frames, in ms."""

    p50: float
    p95: float
    p99: float


class FrameStatistics:
    """Counts frames; written by the node's two threads, read by its diagnostics.

    Attributes:
        counts: `in`, `out`, each reason of `diagnostic_keys.DROPS`, and `bad_<kind>`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter = Counter()
        self._stages: Dict[str, Deque[float]] = {s: deque(maxlen=_WINDOW) for s in TIMES}
        self._arrivals: Deque[float] = deque(maxlen=_WINDOW)
        self._publications: Deque[float] = deque(maxlen=_WINDOW)
        self._ages: Deque[float] = deque(maxlen=_WINDOW)
        self.last_arrival: Optional[float] = None

    def count(self, what: str) -> None:
        """Add one."""
        with self._lock:
            self.counts[what] += 1

    def bad(self, kind: str) -> None:
        """Count a frame that could not be used."""
        with self._lock:
            self.counts['bad'] += 1
            self.counts[f'bad_{kind}'] += 1

    def arrived(self, age_ms: Optional[float]) -> None:
        """Count an arriving frame and note its age in ms, where its stamp gives one."""
        now = time.monotonic()
        with self._lock:
            self.counts['in'] += 1
            self.last_arrival = now
            self._arrivals.append(now)
            if age_ms is not None:
                self._ages.append(age_ms)

    def published(self, stages_ms: Dict[str, float]) -> None:
        """Count a published frame and note its stage times in ms."""
        with self._lock:
            self.counts['out'] += 1
            self._publications.append(time.monotonic())
            for stage, value in stages_ms.items():
                self._stages[stage].append(value)

    def percentiles(self, stage: str) -> Optional[Percentiles]:
        """Of one stage; None before the first frame."""
        with self._lock:
            values: List[float] = list(self._stages[stage])
        return Percentiles(*np.percentile(values, (50, 95, 99))) if values else None

    def median_age_ms(self) -> Optional[float]:
        """Of the frames' stamps on arrival; None where they carry none."""
        with self._lock:
            ages = list(self._ages)
        return float(np.median(ages)) if ages else None

    def rates_hz(self, over_s: float = 3.0) -> Dict[str, float]:
        """Frames in and out a second, over the last seconds."""
        since = time.monotonic() - over_s
        with self._lock:
            return {
                'in': sum(at > since for at in self._arrivals) / over_s,
                'out': sum(at > since for at in self._publications) / over_s,
            }

    def silent_for_s(self) -> Optional[float]:
        """Seconds since the last frame; None before the first."""
        with self._lock:
            return None if self.last_arrival is None else time.monotonic() - self.last_arrival

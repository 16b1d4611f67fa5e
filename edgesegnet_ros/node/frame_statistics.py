"""Frame statistics for the diagnostics: counts, ages and stage times."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import Deque, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from edgesegnet_ros.interface.diagnostic_keys import TIMES
from edgesegnet_ros.node.stamps import LostFrames

_WINDOW = 300
"""Number of frames over which percentiles are computed."""


class Percentiles(NamedTuple):
    """Percentiles of the last frames, in ms."""

    p50: float
    p95: float
    p99: float


class FrameStatistics:
    """Counts frames; the two threads of the node write it, and the diagnostics read it.

    Attributes:
        counts: `in`, `out`, each reason of `diagnostic_keys.DROPS`, and `bad_<kind>`.
        last_arrival: Time of the last arrival by time.monotonic, in s; None before the first.
        lost: Estimates the images that never arrived.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter = Counter()
        self._stages: Dict[str, Deque[float]] = {s: deque(maxlen=_WINDOW) for s in TIMES}
        self._arrivals: Deque[float] = deque(maxlen=_WINDOW)
        self._publications: Deque[float] = deque(maxlen=_WINDOW)
        self._ages: Deque[float] = deque(maxlen=_WINDOW)
        self._published_ages: Deque[float] = deque(maxlen=_WINDOW)
        self._sizes_changed: Deque[float] = deque(maxlen=_WINDOW)
        self._since_out: Counter = Counter()
        self._last_out: Optional[float] = None
        self.last_arrival: Optional[float] = None
        self.lost = LostFrames()

    def activated(self) -> None:
        """Note an activation, from which silence and publications are measured."""
        with self._lock:
            self.last_arrival = self._last_out = None
            self._since_out = Counter()

    def count(self, what: str) -> None:
        """Add one to a counter."""
        with self._lock:
            self.counts[what] += 1
            self._since_out[what] += 1

    def size_changed(self) -> None:
        """Note that an image has another size than the previous one."""
        with self._lock:
            self._sizes_changed.append(time.monotonic())

    def size_changes(self, over_s: float = 10.0) -> int:
        """How often the size has changed in the last seconds."""
        since = time.monotonic() - over_s
        with self._lock:
            return sum(at > since for at in self._sizes_changed)

    def bad(self, kind: str) -> None:
        """Count an unusable frame."""
        with self._lock:
            self.counts['bad'] += 1
            self._since_out['bad'] += 1
            self.counts[f'bad_{kind}'] += 1

    def arrived(self, age_ms: Optional[float], stamp_ns: int = 0) -> None:
        """Count an arriving frame.

        Args:
            age_ms: Age in ms; None if its stamp does not give one.
            stamp_ns: The stamp.
        """
        now = time.monotonic()
        with self._lock:
            self.counts['in'] += 1
            self._since_out['in'] += 1
            self.last_arrival = now
            self._arrivals.append(now)
            if age_ms is not None:
                self._ages.append(age_ms)
            self.lost.arrived(stamp_ns)

    def published(self, times_ms: Dict[str, float], age_ms: Optional[float] = None) -> None:
        """Count a published frame.

        Args:
            times_ms: Times of its stages in ms, by name.
            age_ms: Age at publication in ms; None if its stamp does not give one.
        """
        with self._lock:
            self.counts['out'] += 1
            self._last_out = time.monotonic()
            self._since_out = Counter()
            self._publications.append(self._last_out)
            if age_ms is not None:
                self._published_ages.append(age_ms)
            for stage, value in times_ms.items():
                self._stages[stage].append(value)

    def unpublished(self) -> Tuple[Counter, Optional[float]]:
        """Counts since the last publication, and its time (time.monotonic).

        The counter has `in` and reasons of `diagnostic_keys.DROPS`; the time is None before the
        first publication since `activated`.
        """
        with self._lock:
            return Counter(self._since_out), self._last_out

    def percentiles(self, stage: str) -> Optional[Percentiles]:
        """Percentiles of one stage; None before the first frame."""
        with self._lock:
            values: List[float] = list(self._stages[stage])
        return Percentiles(*np.percentile(values, (50, 95, 99))) if values else None

    def ages(self) -> Optional[Percentiles]:
        """Percentiles of the ages at arrival; None if images have no stamp."""
        with self._lock:
            ages = list(self._ages)
        return Percentiles(*np.percentile(ages, (50, 95, 99))) if ages else None

    def published_ages(self) -> Optional[Percentiles]:
        """Percentiles of the ages at publication; None if images have no stamp."""
        with self._lock:
            ages = list(self._published_ages)
        return Percentiles(*np.percentile(ages, (50, 95, 99))) if ages else None

    def rates_hz(self, over_s: float = 3.0) -> Dict[str, float]:
        """Frames in and out per second, over the last seconds."""
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

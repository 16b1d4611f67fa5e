"""Which images are worth a place in the worker's buffer."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

_JITTER = 0.9
"""A tenth of a period is a camera's jitter, not a higher rate."""


class Limits(NamedTuple):
    """What the parameters of these names say.

    Attributes:
        max_age_ms: 0 switches it off.
        max_rate_hz: 0 switches it off.
        lazy: Whether a frame that nobody would see is left out.
    """

    max_age_ms: float
    max_rate_hz: float
    lazy: bool


class Admission:
    """Judges images one by one, in the executor's thread."""

    def __init__(self) -> None:
        self._admitted_at = -float('inf')

    def refusal(
        self, limits: Limits, now: float, age_ms: Optional[float], is_seen: Callable[[], bool]
    ) -> Optional[str]:
        """Why an image that has just come is not segmented: too_old, over_rate or unseen.

        Args:
            limits: As they are now.
            now: When its callback was entered, of time.perf_counter, in s.
            age_ms: By its stamp and the ROS clock; None without a stamp.
            is_seen: Whether any output has a subscriber; asked only where nothing else decides.

        Returns:
            A counter's name of `frame_statistics`; None for an image that is admitted.
        """
        if limits.max_age_ms > 0.0 and (age_ms is None or age_ms > limits.max_age_ms):
            return 'too_old'
        rate = limits.max_rate_hz
        if rate > 0.0 and now - self._admitted_at < _JITTER / rate:
            return 'over_rate'
        if limits.lazy and not is_seen():
            return 'unseen'
        self._admitted_at = now
        return None

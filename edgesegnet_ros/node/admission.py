"""Admission control: the decision whether an image is passed on to the worker."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

_JITTER = 0.9
"""An image may come a tenth of the period early, which allows for the jitter of a camera."""


class Limits(NamedTuple):
    """Values of the parameters with these names.

    Attributes:
        max_age_ms: 0 disables the limit.
        max_rate_hz: 0 disables the limit.
        lazy: Whether inference is skipped when no output has a subscriber.
    """

    max_age_ms: float
    max_rate_hz: float
    lazy: bool


class Admission:
    """Decides about one image after another, in the thread of the executor."""

    def __init__(self) -> None:
        self._admitted_at = -float('inf')

    def refusal(
        self, limits: Limits, now: float, age_ms: Optional[float], is_seen: Callable[[], bool]
    ) -> Optional[str]:
        """The reason why an image is not segmented: too_old, over_rate or unseen.

        Args:
            limits: The current limits.
            now: Time at which its callback was entered, by time.perf_counter, in s.
            age_ms: Age by its stamp and the ROS clock, in ms; None without a stamp.
            is_seen: Whether any output has a subscriber; only called if no other limit applies.

        Returns:
            Name of a counter of `frame_statistics`; None if the image is admitted.
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

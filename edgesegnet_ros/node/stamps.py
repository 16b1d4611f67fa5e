"""Ages of images by their stamps, and an estimate of lost images."""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Optional

import numpy as np
from rclpy.clock import Clock, JumpThreshold
from rclpy.duration import Duration

FUTURE_MS = 100.0
"""Stamps further ahead of the node's clock than this are reported."""
_WINDOW = 60
_FEWEST = 20
"""Number of intervals that an estimate of the period of the camera requires."""


def stamp_ns(message: Any) -> int:
    """The stamp of a message's header in ns; negative if it is invalid."""
    stamp = message.header.stamp
    return stamp.sec * 1_000_000_000 + stamp.nanosec


class AgeClock:
    """Ages by the clock of the node, which may be simulated, stand still or jump back.

    Args:
        clock: Clock of the node.

    Attributes:
        epoch: Number of backward jumps of the clock; frames of an earlier epoch are outdated.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.epoch = 0
        backward = JumpThreshold(
            min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
        )
        self._jumps = clock.create_jump_callback(backward, post_callback=self._on_jump)

    def _on_jump(self, jump: Any) -> None:
        self.epoch += 1

    @property
    def stands_still(self) -> bool:
        """Whether time is simulated and no message has come on /clock yet."""
        return bool(self._clock.ros_time_is_active) and self._clock.now().nanoseconds <= 0

    def age_ms(self, message: Any) -> Optional[float]:
        """Age of a message in ms; None if it has no stamp or the clock does not run yet.

        Negative for a stamp in the future.
        """
        stamp = stamp_ns(message)
        now = self._clock.now().nanoseconds
        if stamp <= 0 or (now <= 0 and self._clock.ros_time_is_active):
            return None
        return (now - stamp) / 1e6


class LostFrames:
    """Estimates from gaps in the stamps how many images were published but did not arrive.

    The period of the camera is the 10th percentile of the last intervals between stamps, because
    lost images only make intervals longer.

    Attributes:
        total: The estimate since configure.
    """

    def __init__(self) -> None:
        self.total = 0
        self._last: Optional[int] = None
        self._intervals: Deque[int] = deque(maxlen=_WINDOW)

    def arrived(self, stamp: int) -> None:
        """Note an image's stamp in ns."""
        last, self._last = self._last, stamp
        if last is None or not 0 < stamp - last < 2_000_000_000:
            return  # the first, a repetition, a jump, or a pause
        self._intervals.append(stamp - last)
        if len(self._intervals) >= _FEWEST:
            period = float(np.percentile(np.array(self._intervals), 10))
            self.total += max(0, round((stamp - last) / period) - 1)

"""Stops a run on a signal without losing a step."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType


class StopRequest:
    """Records SIGINT and SIGTERM; a second SIGINT ends the process as usual.

    Attributes:
        signal: Number of the recorded signal, 0 before.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signal = 0

    def __enter__(self) -> StopRequest:
        self._before = {number: signal.signal(number, self._note) for number in self._SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

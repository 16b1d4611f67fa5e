"""Handlers of signals that end a process. Import this module first; it imports quickly."""

from __future__ import annotations

import signal
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM)


class InterruptOnce:
    """A signal handler: the first signal raises KeyboardInterrupt, all later ones do nothing.

    A second Ctrl-C, or one that a launch file passes on to a process that the terminal has
    interrupted already, then does not cut the shutdown short.
    """

    def __init__(self) -> None:
        self._interrupted = False

    def __call__(self, number: int, frame: Any) -> None:
        """Raise KeyboardInterrupt, the first time.

        Raises:
            KeyboardInterrupt: In the main thread.
        """
        if not self._interrupted:
            self._interrupted = True
            raise KeyboardInterrupt


def interrupt_once() -> None:
    """Let the first SIGINT or SIGTERM interrupt the main thread; call it before `rclpy.init`.

    The handlers of rclpy are installed on top and call these. An existing handler is kept.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not isinstance(handler, InterruptOnce):
        handler = InterruptOnce()
    for number in ENDING:
        signal.signal(number, handler)


class NoteOnly:
    """Notes signals and interrupts nothing; the process ends when it checks `noted`.

    The handlers of rclpy would shut down the context while a thread is publishing, and a
    KeyboardInterrupt could be raised in the middle of any callback.

    Attributes:
        noted: Whether a signal has come.
    """

    def __init__(self) -> None:
        self.noted = False
        for number in ENDING:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        self.noted = True


def ignore() -> None:
    """Ignore SIGINT and SIGTERM until the process has ended, Python's own shutdown included."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)

"""The end of a process that spins."""

from __future__ import annotations

import os
import sys

import rclpy
from rclpy.signals import uninstall_signal_handlers

from edgesegnet_ros.node import signals


def shut_down() -> None:
    """Shut rclpy down if no signal has done so, and ignore signals from then on.

    On a signal rclpy shuts down in a separate thread. `rclpy.try_shutdown` checks whether that
    has happened, and fails if it happens just after the check. It is therefore called last, when
    that thread has ended.
    """
    uninstall_signal_handlers()
    signals.ignore()
    rclpy.try_shutdown()


def leave(status: int, idle: bool) -> int:
    """Return the exit status, or end the process at once if a thread is still computing.

    A normal exit of the interpreter would wait for the libraries in that thread, or crash in them.

    Args:
        status: Status of the process.
        idle: Whether no thread is computing any more.
    """
    if not idle:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status

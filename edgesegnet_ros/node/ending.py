"""The end of a process that spins."""

from __future__ import annotations

import os
import sys

import rclpy
from rclpy.signals import uninstall_signal_handlers

from edgesegnet_ros.node import signals


def shut_down() -> None:
    """Shut rclpy down, where a signal has not done so or is about to; ignore signals from then on.

    On a signal rclpy shuts down in a thread of its own. `rclpy.try_shutdown` asks first whether
    that has happened, and fails where it happens just after: it goes last, when that thread has
    ended.
    """
    uninstall_signal_handlers()
    signals.ignore()
    rclpy.try_shutdown()


def leave(status: int, idle: bool) -> int:
    """The exit status, for sys.exit; ends the process at once where a thread still computes.

    The interpreter's own end would wait for libraries that such a thread is in, or crash in them.

    Args:
        status: Status of the process.
        idle: Whether no thread is left that computes.
    """
    if not idle:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status

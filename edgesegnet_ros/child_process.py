"""What processes that this package starts have in common."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask the system to end this process with SIGTERM when its parent ends, however it ends.

    A parent that is killed with SIGKILL cannot end its children; Linux does. Elsewhere nothing is
    done.
    """
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

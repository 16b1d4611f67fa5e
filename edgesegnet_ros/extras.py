"""Optional packages: what a command needs beyond the robot's install, checked before any work."""

from __future__ import annotations

import importlib.util
from typing import Iterable

from edgesegnet_ros.errors import EdgeSegNetError


class MissingExtra(EdgeSegNetError):
    """Something is asked for that needs packages which are not installed."""


def need(extra: str, modules: Iterable[str], what: str) -> None:
    """Check that optional packages are there, before any work is done.

    Args:
        extra: Of setup.py that brings them.
        modules: Names to find.
        what: What needs them.

    Raises:
        MissingExtra: Some are missing; names them and the extra.
    """
    missing = [module for module in modules if not _is_there(module)]
    if missing:
        raise MissingExtra(
            f"{what} needs {', '.join(missing)}: pip install 'edgesegnet_ros[{extra}]'"
        )


def _is_there(module: str) -> bool:
    """Whether a module can be found; some take seconds to import."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False

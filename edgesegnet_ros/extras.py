"""Optional packages: what a command needs beyond the robot's install, checked before any work."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from pathlib import Path
from typing import Iterable

from edgesegnet_ros.errors import EdgeSegNetError


class MissingExtra(EdgeSegNetError):
    """Something is asked for that needs packages which are not installed."""


PACKAGES = {
    'PIL': 'pillow',
    'mcap_protobuf': 'mcap-protobuf-support',
    'rerun': 'rerun-sdk',
}
"""Names of packages on PyPI that differ from their modules'."""


def install(*modules: str) -> str:
    """The command that installs packages by their own names.

    The system's Python of Debian 12 and Ubuntu 24.04 on refuses pip (PEP 668); where it runs, the
    way out is named, too.

    Args:
        *modules: Names of modules.
    """
    command = 'pip install ' + ' '.join(PACKAGES.get(module, module) for module in modules)
    managed = Path(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED').is_file()
    if managed and sys.prefix == sys.base_prefix:
        command += ', in a virtual environment: see docs/installation.md'
    return command


def need(extra: str, modules: Iterable[str], what: str) -> None:
    """Check that optional packages are there, before any work is done.

    Args:
        extra: Name of the extra in setup.py.
        modules: Names to find.
        what: What needs them.

    Raises:
        MissingExtra: Some are missing; names them and the command that installs them.
    """
    missing = [module for module in modules if not is_there(module)]
    if missing:
        raise MissingExtra(f'{what} requires {", ".join(missing)}: {install(*missing)}')


def is_there(module: str) -> bool:
    """Whether a module can be found; some take seconds to import."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False

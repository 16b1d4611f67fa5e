"""Optional packages that some commands require, checked before any work is done."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from pathlib import Path
from typing import Iterable, Optional

from edgesegnet_ros.errors import EdgeSegNetError


class MissingExtra(EdgeSegNetError):
    """A command requires packages that are not installed."""


REQUIRED = ('cv2', 'numpy', 'safetensors', 'torch', 'tqdm', 'yaml')
"""Modules without which nothing here runs."""
PACKAGES = {
    'PIL': 'pillow',
    'cv2': 'opencv-python-headless',
    'mcap_protobuf': 'mcap-protobuf-support',
    'rerun': 'rerun-sdk',
    'yaml': 'PyYAML',
}
"""Names of packages on PyPI, where they differ from the names of their modules."""


def install(*modules: str) -> str:
    """The command that installs packages.

    The system's Python refuses pip from Debian 12 and Ubuntu 24.04 on (PEP 668); the text then
    names the way out, too.

    Args:
        *modules: Names of modules.
    """
    command = 'pip install ' + ' '.join(PACKAGES.get(module, module) for module in modules)
    managed = Path(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED').is_file()
    if managed and sys.prefix == sys.base_prefix:
        command += ', in a virtual environment: see docs/installation.md'
    return command


def need(extra: str, modules: Iterable[str], what: str) -> None:
    """Check that optional packages are installed.

    Args:
        extra: Name of the extra in setup.py.
        modules: Names of the modules.
        what: The feature that requires them.

    Raises:
        MissingExtra: Packages are missing; the message has the command that installs them.
    """
    missing = [module for module in modules if not is_there(module)]
    if missing:
        raise MissingExtra(f'{what} requires {", ".join(missing)}: {install(*missing)}')


def missing_requirement(error: ModuleNotFoundError) -> Optional[str]:
    """A sentence with the remedy where a required package is missing, else None."""
    module = (error.name or '').partition('.')[0]
    if module not in REQUIRED:
        return None
    return (
        f'{module} is not installed in {sys.executable}. Activate the virtual environment that '
        f'has it (docs/installation.md), or install it: {install(module)}'
    )


def is_there(module: str) -> bool:
    """Whether a module is installed, without importing it, which can take seconds."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False

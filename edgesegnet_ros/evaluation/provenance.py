"""The provenance of a figure: software, weights, machine, command."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import edgesegnet_ros
from edgesegnet_ros import shipped
from edgesegnet_ros.engines import cpu
from edgesegnet_ros.engines.base import EngineDescription
from edgesegnet_ros.engines.recipe import file_sha256

PACKAGES = ('numpy', 'opencv-python-headless', 'safetensors', 'torch')


def software(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of this package, of Python and of other packages that are installed."""
    versions = {'edgesegnet_ros': edgesegnet_ros.__version__, 'python': platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def machine() -> dict[str, Any]:
    """Processor, its usable cores, and the system."""
    return {
        'cpu': cpu.name(),
        'cpus': cpu.cores(),
        'system': f'{platform.system()} {platform.release()}',
        'architecture': platform.machine(),
    }


def weights(model: str) -> dict[str, str]:
    """Name, file name and content hash of the weights that `--model` names."""
    path = shipped.find('models', model)
    return {'name': model, 'file': path.name, 'sha256': file_sha256(path)}


def provenance(
    model: str, classes: str, engine: EngineDescription, options: dict[str, Any]
) -> dict[str, Any]:
    """Everything that a report states about how its figures were made.

    Args:
        model: The value of `--model`.
        classes: Name of the class set.
        engine: Description of the engine.
        options: Options of the command, with defaults filled in.
    """
    return {
        'command': [Path(sys.argv[0]).name, *sys.argv[1:]],
        'started': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'software': software(),
        'weights': weights(model),
        'classes': {'name': classes},
        'engine': engine._asdict(),
        'machine': machine(),
        'options': {name: _plain(value) for name, value in options.items()},
    }


def as_shell(command: Iterable[str]) -> str:
    """A command line as one types it, with the home folder as ~."""
    home = os.path.expanduser('~')
    return shlex.join(command).replace(home + os.sep, '~/')


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, int, float, type(None))):
        return value
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else str(value)

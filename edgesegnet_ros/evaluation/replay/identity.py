"""The key of a bag and its options, by which finished results are recognised."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import edgesegnet_ros
from edgesegnet_ros import shipped
from edgesegnet_ros.engines import cpu
from edgesegnet_ros.engines.recipe import file_sha256
from edgesegnet_ros.evaluation.replay.options import ReplayOptions
from edgesegnet_ros.evaluation.replay.result import ReplayError


def bag_identity(path: Path) -> list[list[Any]]:
    """Name, size and modification time of a bag's files; hashing terabytes is too slow."""
    files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.is_file())
    return [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in files]


def identity(options: ReplayOptions) -> dict[str, Any]:
    """Everything except the bag that determines the figures, files by their content.

    Raises:
        ReplayError: The weights or the class file cannot be read.
    """
    described = options.to_json()
    for name, request in (('request', options.request), ('against', options.against)):
        if request is not None:
            described[name] |= {
                'weights_sha256': _sha256('models', request.model),
                'classes_sha256': _sha256('classes', request.classes),
                'threads': request.num_threads or cpu.cores(),
            }
    return {'version': edgesegnet_ros.__version__, 'options': described}


def fingerprint(bag: Path, decided_by: dict[str, Any]) -> str:
    """A key of 16 hexadecimal digits for a bag and its options."""
    text = json.dumps([str(bag.resolve()), bag_identity(bag), decided_by], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _sha256(kind: str, name: str) -> str:
    path = shipped.find(kind, name)
    try:
        return file_sha256(path)
    except OSError as error:
        raise ReplayError(f'{path}: cannot be read ({error.strerror or error})') from error

"""Locations of the files that come with the package: class files, models, parameters, RViz."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator, List

from edgesegnet_ros.errors import EdgeSegNetError

PACKAGE = 'edgesegnet_ros'
DEFAULT_MODEL = 'edgesegnet-camvid11'
DEFAULT_CLASSES = 'camvid11'
FOLDERS = {
    'classes': ('config/classes', '.yaml'),
    'config': ('config', '.yaml'),
    'designs': ('config/designs', '.yaml'),
    'fastdds': ('config', '.xml'),
    'models': ('models', '.safetensors'),
    'security': ('config/security', '.xml'),
    'tables': ('config', '.csv'),
    'training': ('config/training', '.yaml'),
}
"""Kinds of shipped files: their folder, and the suffix that is left out in their names."""
FAST_DDS_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
"""Environment variables with Fast DDS's profiles: from Kilted on, and before."""


class ShippedFileError(EdgeSegNetError):
    """A name that is neither a shipped file nor a path."""


def share_folders() -> Iterator[Path]:
    """All folders that may hold config/ and models/, the most likely first.

    These are a checkout's root, the package itself after a plain pip install, and
    share/edgesegnet_ros of the prefix that colcon installed to.
    """
    package = Path(__file__).resolve().parent
    if (package.parent / 'package.xml').is_file():
        yield package.parent
    yield package
    for parent in Path(__file__).absolute().parents:
        yield parent / 'share' / PACKAGE
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if prefix:
            yield Path(prefix) / 'share' / PACKAGE


def names(kind: str) -> List[str]:
    """Names of the shipped files of a kind, sorted."""
    folder, suffix = FOLDERS[kind]
    for share in share_folders():
        if (share / folder).is_dir():
            return sorted(path.stem for path in (share / folder).glob('*' + suffix))
    return []


def find(kind: str, name: str) -> Path:
    """The file that a name or path refers to.

    Args:
        kind: A key of FOLDERS.
        name: Name of a shipped file, or a path (with a separator or the suffix).

    Returns:
        A path; a path that the user gave is not checked to exist.

    Raises:
        ShippedFileError: No shipped file has this name.
    """
    folder, suffix = FOLDERS[kind]
    if os.sep in name or name.endswith((suffix, '.onnx' if kind == 'models' else suffix)):
        return Path(name).expanduser()
    for share in share_folders():
        candidate = share / folder / (name + suffix)
        if candidate.is_file():
            return candidate
    raise ShippedFileError(
        f'no shipped {folder} file is named {name!r}; there are {", ".join(names(kind)) or "none"}'
        f', or give the path of a {suffix} file'
    )

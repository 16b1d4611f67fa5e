"""Resolves the bags that a command line names."""

from __future__ import annotations

import re
from pathlib import Path

from edgesegnet_ros.data.bag.opening import ROS2_SUFFIXES, SUFFIXES
from edgesegnet_ros.data.file_kind import is_hidden
from edgesegnet_ros.evaluation.replay.result import ReplayError


def find_bags(named: list[str]) -> list[Path]:
    """All bags that the paths name: bags, folders of bags (at any depth), and lists of bags.

    Args:
        named: Paths of bags and of folders, and `@FILE` for a list of paths, one a line; relative
            ones are relative to the list, and lines that begin with # are not read.

    Returns:
        Paths in the order of naming, those of a folder in the order of their names; each once.

    Raises:
        ReplayError: Something that is named is not there, or holds no bag.
    """
    found: dict[Path, None] = {}
    for text in named:
        paths = _listed(Path(text[1:]).expanduser()) if text.startswith('@') else [Path(text)]
        for path in paths:
            found |= dict.fromkeys(_bags_at(path.expanduser()))
    if not found:
        raise ReplayError('no bag: name one, a folder of bags, or @FILE with a list of them')
    return list(found)


def _listed(file: Path) -> list[Path]:
    try:
        lines = file.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ReplayError(f'{file}: no list of bags ({error})') from error
    names = [line.strip() for line in lines]
    return [file.parent / name for name in names if name and not name.startswith('#')]


def _bags_at(path: Path) -> list[Path]:
    if not path.exists():
        raise ReplayError(f'{path}: no such file or folder')
    if path.is_file() or _is_bag(path):
        return [path]
    bags = _inside(path)
    if not bags:
        raise ReplayError(
            f'{path}: holds no bag; a bag is a folder with metadata.yaml, an .mcap or .db3 file, '
            'or a .bag file of ROS 1'
        )
    return bags


def _is_bag(folder: Path) -> bool:
    """Whether a folder is one bag: it has metadata.yaml, or its files bear its own name."""
    if (folder / 'metadata.yaml').is_file():
        return True
    files = [f for f in folder.iterdir() if f.name.endswith(_ENDINGS) and not is_hidden(f)]
    own = re.compile(re.escape(folder.name) + r'(_\d+)?\..*')
    return bool(files) and all(own.fullmatch(file.name) for file in files)


_ENDINGS = (*ROS2_SUFFIXES, *(suffix + '.zstd' for suffix in ROS2_SUFFIXES))


def _inside(folder: Path) -> list[Path]:
    bags: list[Path] = []
    for entry in sorted(folder.iterdir()):
        if is_hidden(entry):
            continue
        if entry.is_dir():
            bags += [entry] if _is_bag(entry) else _inside(entry)
        elif entry.name.endswith(SUFFIXES):
            bags.append(entry)
    return bags

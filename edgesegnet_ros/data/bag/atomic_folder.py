"""Atomic writes of folders, which never replace a folder of another kind.

A folder is filled inside of a hidden one beside its place, and exchanged with the old one in one
step. A process that is killed leaves the old folder or the complete new one, and the hidden one,
which the next write of the same folder removes. Where the file system cannot exchange folders, a
kill may leave the old one in the hidden one; that write puts it back first.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from .errors import BagError

_REPLACED = 'replaced'
"""Where the old folder waits for the new one to take its place, inside of the hidden folder."""
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux's fcntl.h and fs.h
_NO_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP}
"""What systems and file systems say that cannot exchange two folders."""


@contextmanager
def atomic_folder(path: Path, force: bool, marker: str, what: str) -> Iterator[Path]:
    """A folder that replaces `path` when the block succeeds, and is removed otherwise.

    Args:
        path: Where the folder shall be.
        force: Whether one that is there is replaced.
        marker: Pattern of a file that shows that the folder there is such an output; another
            folder is never replaced.
        what: What the output is called in messages.

    Yields:
        The path of a folder, not made yet, of the same name beside `path`.

    Raises:
        BagError: Something is there already, or the folder above cannot be written.
    """
    path = Path(path).expanduser().absolute()
    try:
        _clear_up(path)
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    if path.exists():
        if not force:
            raise BagError(f'{path}: exists already; name another, or give --force to replace it')
        if not path.is_dir() or (not list(path.glob(marker)) and any(path.iterdir())):
            raise BagError(f'{path}: exists and is not a {what}, so --force does not replace it')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that the last step is a rename on one file system.
        with tempfile.TemporaryDirectory(prefix=f'.{path.name}.', dir=path.parent) as folder:
            with _locked(Path(folder)):
                filling = Path(folder, path.name)
                yield filling
                _replace(filling, path, Path(folder, _REPLACED))
    except OSError as error:
        raise _cannot_be_written(path, error) from error


def _cannot_be_written(path: Path, error: OSError) -> BagError:
    return BagError(f'{path}: cannot be written: {error.strerror or error}')


def _replace(filling: Path, path: Path, aside: Path) -> None:
    """Put `filling` in the place of `path`, whose content goes into the hidden folder."""
    if not path.exists():
        os.replace(filling, path)
    elif not _exchange(filling, path):
        os.replace(path, aside)
        try:
            os.replace(filling, path)
        except OSError:
            os.replace(aside, path)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; returns False where that is not possible here."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # no Linux, or a C library older than glibc 2.28
        return False
    names = os.fsencode(one), os.fsencode(other)
    if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder; yields False where another process has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # held, or the file system has no locks: then it may be in use
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _clear_up(path: Path) -> None:
    """Remove the hidden folders of processes that were killed.

    Where such a process had moved the old folder aside and not yet put the new one in its place,
    the old one goes back.
    """
    hidden = re.compile(re.escape(f'.{path.name}.') + '[a-z0-9_]{8}')
    begun = [one for one in path.parent.glob('.*') if hidden.fullmatch(one.name)]
    for folder in begun:
        if folder.is_symlink() or not folder.is_dir():
            continue
        try:
            with _locked(folder) as is_left:
                if is_left:
                    if (folder / _REPLACED).exists() and not path.exists():
                        os.replace(folder / _REPLACED, path)
                    shutil.rmtree(folder)
        except FileNotFoundError:  # another process has done it
            continue

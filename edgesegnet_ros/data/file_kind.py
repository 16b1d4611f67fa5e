"""Detects what a file really is when it cannot be decoded, so that the error can say so."""

from __future__ import annotations

from pathlib import Path

_LFS_POINTER = b'version https://git-lfs.github.com/spec/'


def why_unreadable(path: Path) -> str:
    """The usual reasons why a file cannot be read.

    Args:
        path: An existing file.

    Returns:
        A phrase such as `it is empty (0 bytes)`; an empty string if none applies.
    """
    try:
        with Path(path).open('rb') as file:
            start = file.read(512)
    except PermissionError:
        return 'this user has no permission to read it'
    except OSError as error:
        return error.strerror or str(error)
    if not start:
        return 'it is empty (0 bytes)'
    if start.startswith(_LFS_POINTER):
        return 'it is a Git LFS pointer, not the file itself: run `git lfs pull`'
    if Path(path).name.startswith('._'):
        return "it holds a file's attributes as macOS writes them, not the file itself"
    if start.lstrip().lower().startswith((b'<!doctype html', b'<html')):
        return 'it is an HTML page, as a failed download leaves behind'
    return ''


def is_hidden(path: Path) -> bool:
    """Whether a file is a by-product of tools, such as `._image.png` of macOS."""
    return Path(path).name.startswith('.')

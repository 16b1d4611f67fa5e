"""Atomic writes of folders, which never replace a folder of another kind."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from .errors import BagError


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
    if path.exists():
        if not force:
            raise BagError(f'{path}: exists already; name another, or give --force to replace it')
        if not path.is_dir() or (not list(path.glob(marker)) and any(path.iterdir())):
            raise BagError(f'{path}: exists and is not a {what}, so --force does not replace it')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that the last step is a rename on one file system.
        with tempfile.TemporaryDirectory(prefix=f'.{path.name}.', dir=path.parent) as folder:
            filling = Path(folder, path.name)
            yield filling
            if path.exists():
                os.replace(path, Path(folder, 'replaced'))
            os.replace(filling, path)
    except OSError as error:
        raise BagError(f'{path}: cannot be written: {error.strerror or error}') from error

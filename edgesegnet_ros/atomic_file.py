"""Atomic writes: after a kill or with a full disk, the previous file is still complete.

The content is written to a hidden file in the same folder, flushed to the disk, and renamed, which
POSIX does atomically. A reader sees either the old content or the new one.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Union

from edgesegnet_ros.errors import EdgeSegNetError

AnyPath = Union[str, Path]


class WriteError(EdgeSegNetError, OSError):
    """A file that cannot be written; the message names it and the cause."""

    def __init__(self, path: AnyPath, error: object) -> None:
        cause = getattr(error, 'strerror', None) or error
        super().__init__(
            f'{path}: cannot be written ({cause}); free some space there, or name another place'
        )


class PartialFile:
    """A file that is written over some time under a hidden temporary name.

    Missing folders are created. The file gets the mode that the user's umask allows.

    Args:
        path: Path of the complete file. A symbolic link is followed.

    Attributes:
        path: The real path.
        partial: The path to write to; it has the suffix of `path`, which some writers depend on.

    Raises:
        WriteError: The folder cannot be created or written.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path = Path(os.path.realpath(str(Path(path).expanduser())))
        name = f'.{self.path.stem}.{os.getpid()}.partial{self.path.suffix}'
        self.partial = self.path.with_name(name)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.partial.touch()
            self._mode = self.partial.stat().st_mode
        except OSError as error:
            raise WriteError(path, error) from None

    def keep(self) -> None:
        """Replace the file at `path` with the written one.

        Raises:
            WriteError: It cannot be replaced; the previous file is still complete.
        """
        try:
            # Some writers make files that only the owner can read.
            self.partial.chmod(self._mode)
            atomic_replace(self.partial, self.path)
        except OSError as error:
            raise WriteError(self.path, error) from None
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the temporary file, unless `keep` was called."""
        try:
            self.partial.unlink()
        except OSError:
            pass


@contextmanager
def atomic_file(path: AnyPath) -> Iterator[Path]:
    """A path to write to; the file replaces `path` when the block ends without an error.

    Args:
        path: Path of the file. A device or a pipe, such as /dev/stdout, is written to
            directly.

    Yields:
        The path to write to.

    Raises:
        WriteError: The file cannot be written, or the block raised an OSError.
    """
    if _is_stream(path):
        try:
            yield Path(path)
        except OSError as error:
            raise WriteError(path, error) from None
        return
    file = PartialFile(path)
    try:
        yield file.partial
        file.keep()
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(path, error) from None
    finally:
        file.discard()


def write_bytes(path: AnyPath, content: bytes) -> None:
    """Write a file atomically; missing folders are created.

    Raises:
        WriteError: The file cannot be written.
    """
    with atomic_file(path) as partial:
        partial.write_bytes(content)


def write_text(path: AnyPath, text: str) -> None:
    """Write a text file in UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode('utf-8'))


def write_json(path: AnyPath, value: Any) -> None:
    """Write a value as indented JSON; see `write_bytes`."""
    write_text(path, json.dumps(value, indent=2) + '\n')


def atomic_replace(partial: AnyPath, path: AnyPath) -> None:
    """Rename a complete file, and flush both the file and the folder to the disk.

    Args:
        partial: A file in the same file system as `path`.
        path: Its new name; an existing file is replaced.

    Raises:
        OSError: The file cannot be renamed; `path` is unchanged.
    """
    _to_disk(partial)  # the content must reach the disk before the rename
    os.replace(str(partial), str(path))
    # The new name is only on the disk once its folder is.
    _to_disk(Path(path).parent)


def _to_disk(path: AnyPath) -> None:
    descriptor = os.open(str(path), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_stream(path: AnyPath) -> bool:
    path = Path(path)
    return path.parts[:2] == ('/', 'dev') or (path.exists() and not path.is_file())

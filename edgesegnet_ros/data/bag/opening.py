"""Opens bags of ROS 2 and ROS 1 with rosbags, also damaged ones as far as they can be read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import yaml

from edgesegnet_ros.data.file_kind import is_hidden, why_unreadable

from .errors import BagError
from .salvage import SalvagedMcap, merged_sqlite, salvage_ros1, salvage_sqlite, zstd
from .topic_reader import TopicReader

ROS2_SUFFIXES = ('.mcap', '.db3')
ACTIVE = '.active'
"""Suffix of a ROS 1 bag during its recording, and after a crash."""
SUFFIXES = (*ROS2_SUFFIXES, '.bag', '.bag' + ACTIVE)
_REPAIR = (
    'If its recording was cut off, `ros2 bag reindex` (SQLite) or `mcap recover` may repair it'
)
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'


class BagProblem(NamedTuple):
    """A problem with a bag that did not end its reading.

    Attributes:
        kind: truncated, no_index, bad_image, bad_labels, …
        where: The bag, its file, or its topic and the stamp.
        what: A sentence that describes the problem.
        frames: Number of images that it concerns; None if unknown.
    """

    kind: str
    where: str
    what: str
    frames: int | None = None


OnProblem = Callable[[BagProblem], None]


class BagFile:
    """One bag on the disk.

    Args:
        path: Folder with metadata.yaml, or an .mcap, .db3 or .bag file.
        on_problem: Called with each problem; then the bag is read as far as possible, even a
            folder without metadata.yaml. If None, a problem raises an error.

    Raises:
        BagError: Not a bag, or nothing of it can be read.
    """

    def __init__(self, path: str | Path, on_problem: OnProblem | None = None) -> None:
        self.path = Path(path).expanduser()
        self._on_problem = on_problem
        self._temporary: tempfile.TemporaryDirectory | None = None
        self._merged = False
        self._paths: list[Any] = [self.path]
        refuse_what_is_no_bag(self.path, lenient=on_problem is not None)
        try:
            self._merge_logs()
            if on_problem is not None:
                self._prepare(on_problem)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Open the bag with rosbags, whose various errors are converted to BagError.

        Raises:
            BagError: The bag is damaged; also raised for errors in the with block.
        """
        try:
            with TopicReader(self._paths) as reader:
                yield reader
        except (BagError, GeneratorExit):
            raise
        except PermissionError as error:
            raise BagError(f'{self.path}: no permission to read it') from error
        except Exception as error:  # rosbags lets struct, sqlite3, zstd and lz4 errors through
            raise BagError(
                f'{self.path}: truncated, damaged or not a bag ({reason_of(error)}). {_REPAIR}'
            ) from error

    def announced(self, topic: str) -> int:
        """Number of messages of a topic according to metadata.yaml; 0 if it does not say."""
        try:
            return sum(
                int(entry['message_count'])
                for entry in self._metadata['topics_with_message_count']
                if entry['topic_metadata']['name'] == topic
            )
        except (ValueError, KeyError, TypeError):
            return 0

    def _missing(self, there: set[str]) -> list[str]:
        """Files that metadata.yaml names and that do not exist."""
        try:
            named = [PurePath(name).name for name in self._metadata['relative_file_paths']]
        except (KeyError, TypeError):
            return []
        return [name for name in named if name not in there]

    @cached_property
    def _metadata(self) -> dict[str, Any]:
        """The content of metadata.yaml; empty if it does not exist or cannot be read."""
        try:
            text = (self.path / 'metadata.yaml').read_text(encoding='utf-8')
            return dict(yaml.safe_load(text)['rosbag2_bagfile_information'])
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            return {}

    def close(self) -> None:
        """Remove temporary copies."""
        if self._temporary is not None:
            self._temporary.cleanup()

    def _merge_logs(self) -> None:
        """Read copies of SQLite files with a write-ahead log, merged with the log."""
        files = [self.path] if self.path.is_file() else _files_of(self.path)
        if not any(_log_of(file).is_file() and _log_of(file).stat().st_size for file in files):
            return
        try:
            self._paths = [
                merged_sqlite(file, self._folder()) if _log_of(file).is_file() else file
                for file in files
            ]
        except OSError as error:
            raise BagError(
                f'{self.path}: has a write-ahead log (-wal), and no space is left for a copy that '
                f'it can be merged into: {error.strerror or error}'
            ) from error
        self._merged = True

    def _prepare(self, on_problem: OnProblem) -> None:
        if self._merged:
            on_problem(
                BagProblem(
                    'no_index',
                    str(self.path),
                    'its recording ended without merging the write-ahead log (-wal); the messages '
                    'there are also read',
                    0,
                )
            )
        with suppress(BagError):
            if self._merged or self.path.is_file() or (self.path / 'metadata.yaml').is_file():
                with self.opened():
                    pass
                self._note_missing_index(on_problem)
                return
        files = [self.path] if self.path.is_file() else _files_of(self.path)
        found: list[BagProblem] = []
        missing = self._missing({file.name for file in files})
        if missing:
            found.append(
                BagProblem(
                    'truncated',
                    str(self.path),
                    'not there, though metadata.yaml names '
                    f'{"it" if len(missing) == 1 else "them"}: {", ".join(missing)}',
                )
            )
        if self.path.is_dir() and not (self.path / 'metadata.yaml').is_file():
            found.append(
                BagProblem(
                    'no_index',
                    str(self.path),
                    'it has no metadata.yaml; its files are read one by '
                    f'one, in the order of their names: {", ".join(file.name for file in files)}',
                )
            )
        readable = [what for file in files for what in self._readable(file, found.append)]
        if not readable:
            reasons = '; '.join(f'{Path(each.where).name} {each.what}' for each in found)
            raise BagError(f'{self.path}: nothing of it can be read ({reasons}). {_REPAIR}')
        for problem in found:
            on_problem(problem)
        self._paths = readable
        with self.opened():
            pass

    def _readable(self, file: Path, on_problem: OnProblem) -> list[Any]:
        """The substitutes from which one file can be read; empty if nothing can be read."""
        plain = file
        try:
            plain = self._decompressed(file)
            if plain.suffix == '.mcap' and _lacks_summary(plain):
                on_problem(_NO_SUMMARY._replace(where=str(file)))
            reason = why_unreadable(plain)
            if reason:
                raise BagError(reason)
            reason = _why_not(plain)
            if not reason:
                return [plain]
            salvaged: Any
            if plain.suffix == '.mcap':
                salvaged = SalvagedMcap(plain)
                lost = f'the last {salvaged.lost} bytes cannot be used'
            elif plain.suffix == '.db3':
                salvaged, lost = salvage_sqlite(plain, self._folder()), 'its end is missing'
            else:
                salvaged, lost = salvage_ros1(plain, self._folder()), 'its end is missing'
            if _why_not(salvaged):
                raise BagError(reason)
        except (BagError, OSError) as error:
            detail = str(error).removeprefix(f'{plain}: ')
            on_problem(BagProblem('truncated', str(file), f'skipped: {detail}'))
            return []
        on_problem(
            BagProblem(
                'truncated',
                str(file),
                f'damaged or cut off: {lost}; everything before that is read',
            )
        )
        return [salvaged]

    def _note_missing_index(self, on_problem: OnProblem) -> None:
        for file in [self.path] if self.path.is_file() else _files_of(self.path):
            if file.suffix == '.mcap' and _lacks_summary(file):
                on_problem(_NO_SUMMARY._replace(where=str(file)))

    def _decompressed(self, file: Path) -> Path:
        if file.suffix != '.zstd':
            return file
        plain = self._folder() / file.stem
        with file.open('rb') as packed, plain.open('wb') as out, suppress(EOFError):
            shutil.copyfileobj(zstd().open(packed, 'rb'), out)
        return plain

    def _folder(self) -> Path:
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix='edgesegnet-bag-')
        return Path(self._temporary.name)


_NO_SUMMARY = BagProblem(
    'no_index', '', 'no index at its end, so all of it is read to find the images', 0
)


def payload(data: bytes) -> bytes:
    """The bytes of a message, which may be compressed in a bag read without its metadata."""
    return zstd().decompress(data) if data[:4] == _ZSTD_MAGIC else data


def reason_of(error: BaseException) -> str:
    """The message of an exception without its full stop, or its name if it has no message."""
    return str(error).rstrip('.') or type(error).__name__


def _why_not(path: Any) -> str:
    """Why a file cannot be opened; empty if it can."""
    try:
        with TopicReader([path]):
            return ''
    except Exception as error:  # any error of rosbags; the file is then read in another way
        return reason_of(error)


def _lacks_summary(file: Path) -> bool:
    """Whether an MCAP is complete, but has no index."""
    with file.open('rb') as mcap:
        if mcap.seek(0, 2) < 45:
            return False
        mcap.seek(-37, 2)
        end = mcap.read()
    return end.endswith(b'\x89MCAP0\r\n') and end[9:17] == b'\0' * 8


def _log_of(file: Path) -> Path:
    """The write-ahead log of an SQLite database."""
    return file.with_name(file.name + '-wal')


def _files_of(folder: Path) -> list[Path]:
    names = (*ROS2_SUFFIXES, *(suffix + '.zstd' for suffix in ROS2_SUFFIXES))
    found = [f for f in folder.iterdir() if f.name.endswith(names) and not is_hidden(f)]
    return sorted(found, key=lambda file: (len(file.name), file.name))


def refuse_what_is_no_bag(path: Path, lenient: bool = False) -> None:
    """Raise for a path that cannot be a bag.

    Args:
        path: The path.
        lenient: Whether to accept a folder without metadata.yaml.

    Raises:
        BagError: It is not a bag; the message says what it is.
    """
    if not path.exists():
        raise BagError(f'{path}: no such file or folder')
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        files = [file.name for file in _files_of(path)]
        if lenient and files:
            return
        hint = (
            f'; name the file itself: {", ".join(files)}'
            if files
            else '; a ROS 2 bag is a folder with metadata.yaml, or an .mcap or .db3 file'
        )
        raise BagError(f'{path}: not a ROS 2 bag, because it has no metadata.yaml{hint}')
    reason = why_unreadable(path) if path.is_file() else ''
    if reason:
        raise BagError(f'{path}: {reason}')
    if path.is_file() and not path.name.endswith(SUFFIXES):
        raise BagError(
            f'{path}: not a bag. A bag is a folder with metadata.yaml, an .mcap or .db3 file, or '
            'a .bag file of ROS 1'
        )

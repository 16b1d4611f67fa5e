"""Built engines on disk, each with a fingerprint of what it was built from and for.

An entry is an engine file and, beside it, a record: JSON with the fingerprint, the file's hash and
the parity verdicts. Both are written under a temporary name and renamed, the engine first, so
that a kill at any time leaves an entry that is whole or is built again. Whoever reads or builds an
entry holds its lock, which the kernel takes back from a process that dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Optional

from edgesegnet_ros.atomic_file import atomic_replace, write_json
from edgesegnet_ros.engines.base import BackEnd
from edgesegnet_ros.engines.recipe import Recipe, file_sha256
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.engines.trust import why_not_trusted

ENVIRONMENT_VARIABLE = 'EDGESEGNET_ENGINE_CACHE'
FORMAT = 1
"""Version of the records; engines of another version are built again."""
LOCK_LIMIT_S = 1800.0
"""Longest wait for a process that builds the same engine; TensorRT takes minutes on a board."""
_log = logging.getLogger(__name__)


def cache_folder(named: str = '') -> Path:
    """The folder of built engines.

    Args:
        named: By the user; '' uses EDGESEGNET_ENGINE_CACHE, XDG_CACHE_HOME or the home folder, in
            this order.

    Raises:
        EngineError: Nothing names a folder, and the user has no home folder.
    """
    named = named or os.environ.get(ENVIRONMENT_VARIABLE, '')
    base = os.environ.get('XDG_CACHE_HOME', '')
    try:
        if named:
            return Path(named).expanduser()
        return (Path(base) if base else Path.home() / '.cache') / 'edgesegnet_ros'
    except RuntimeError:  # neither HOME nor an entry in passwd
        raise EngineError(
            'this user has no home folder to store engines in: set engine_cache or '
            f'{ENVIRONMENT_VARIABLE} to a folder'
        ) from None


def named_folder(named: str) -> Optional[Path]:
    """The folder that a user named; None for '' (`Entry` then finds one if it is needed).

    Raises:
        EngineError: See `cache_folder`.
    """
    return cache_folder(named) if named else None


def fingerprint(back_end: BackEnd, recipe: Recipe) -> Dict[str, Any]:
    """Everything that an engine file depends on, readable for people."""
    known = {
        'format': FORMAT,
        'weights_sha256': recipe.weights_sha256,
        'ignored_classes': list(recipe.classes.ignored),
        'input_size': list(recipe.input_size),
        'precision': recipe.precision,
        'engine': back_end.name,
        'version': back_end.version(),
        'device': back_end.target(recipe.device),
    }
    if recipe.resize_mode != 'stretch':  # it is calibrated and proved on other inputs
        known['resize_mode'] = recipe.resize_mode
    return known


class Record(NamedTuple):
    """The record of an engine file.

    Attributes:
        fingerprint: See there.
        file_sha256: Hash of the engine file; '' if the back end needs no file.
        built: Description of the build.
        verdicts: By the identity of the frames that they were found on.
    """

    fingerprint: Dict[str, Any]
    file_sha256: str
    built: Dict[str, Any]
    verdicts: Dict[str, Dict[str, Any]]

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Parse a record; its verdicts are parsed by `parity.Verdict.from_record`.

        Raises:
            TypeError, ValueError: It is none.
        """
        record = cls(**json.loads(text))
        kinds = (dict, str, dict, dict)
        for value, kind in zip(record, kinds):
            if not isinstance(value, kind):
                raise ValueError(f'{value!r} is no {kind.__name__}')
        return record


class Entry:
    """One engine in the cache.

    Args:
        folder: Folder of the cache; None uses the user's.
        back_end: Back end of the engine.
        recipe: Recipe of the engine.

    Attributes:
        read_only: Why nothing can be kept in the folder; '' where it can be, as far as is known.

    Raises:
        EngineError: There is no folder to keep engines in.
    """

    def __init__(self, folder: Optional[Path], back_end: BackEnd, recipe: Recipe) -> None:
        folder = cache_folder() if folder is None else folder
        self.read_only = ''
        # What is wanted names the entry; what may change under it (versions, devices) is compared.
        mode = [] if recipe.resize_mode == 'stretch' else [recipe.resize_mode]
        wanted = json.dumps([recipe.weights_sha256, list(recipe.classes.ignored), *mode])
        key = hashlib.sha256(wanted.encode()).hexdigest()[:12]
        parts = [back_end.name, recipe.precision, '{}x{}'.format(*recipe.input_size), key]
        if ':' in recipe.device:
            parts.insert(1, recipe.device.replace(':', ''))
        self.name = '-'.join(parts)
        self.file = folder / (self.name + back_end.suffix)
        self.record_file = folder / (self.name + '.json')
        self._folder = folder
        self._has_file = bool(back_end.suffix)
        self._fingerprint = fingerprint(back_end, recipe)

    @contextmanager
    def locked(self, limit_s: float = LOCK_LIMIT_S) -> Iterator[None]:
        """Hold the entry's lock; waits for a process that builds the same engine.

        There is no lock in a folder that cannot be written, because no process builds there.

        Args:
            limit_s: Longest wait.

        Raises:
            EngineError: The cache folder cannot be used, or the wait was too long.
        """
        lock = self._lock_file()
        try:
            if lock is not None:
                self._wait(lock, limit_s)
            yield
        finally:
            if lock is not None:
                os.close(lock)

    def _lock_file(self) -> Optional[int]:
        """A descriptor of the lock file; None if the folder cannot be written."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_what_others_can_write()
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            return os.open(str(self._folder / (self.name + '.lock')), flags, 0o600)
        except OSError as error:
            self.read_only = error.strerror or str(error)
            if not self._folder.is_dir():
                raise self.not_kept() from None
            self._refuse_what_others_can_write()
            return None

    def not_kept(self) -> EngineError:
        """The error for an engine that cannot be stored, because the folder cannot be written."""
        return EngineError(
            f'{self._folder}: engines cannot be stored there ({self.read_only}); set engine_cache '
            f'or {ENVIRONMENT_VARIABLE} to a folder that can be written'
        )

    def _refuse_what_others_can_write(self) -> None:
        why = why_not_trusted(self._folder, follow=True)
        if why:
            raise EngineError(
                f'{self._folder}: engines are not loaded from there, because {why}, and they are '
                'machine code; make it private (chmod 700), or set engine_cache or '
                f'{ENVIRONMENT_VARIABLE} to another folder'
            )

    def _wait(self, lock: int, limit_s: float) -> None:
        started, waited_for = time.monotonic(), False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                pass
            waited = time.monotonic() - started
            if waited >= limit_s:
                raise EngineError(
                    f'another process has been building the engine {self.name} for {waited:.0f} '
                    's; wait until it is done, or end it, and try again'
                )
            if not waited_for:
                _log.info('waiting for another process, which builds the engine %s', self.name)
                waited_for = True
            time.sleep(min(0.1, limit_s))

    def read(self) -> Record:
        """Read the record of the engine.

        Raises:
            FileNotFoundError: It was never built.
            EngineError: It has to be built again; the message says why.
        """
        try:
            self._refuse_what_others_can_write()
            self._refuse_foreign(self.record_file, 'record')
            record = Record.from_json(self.record_file.read_text(encoding='utf-8'))
        except FileNotFoundError:
            if self._has_file and self.file.exists():
                raise EngineError(
                    'its record is missing, because the build was interrupted'
                ) from None
            raise
        except (OSError, ValueError, TypeError, RecursionError):
            raise EngineError('its record is corrupt') from None
        known = record.fingerprint
        for what, now in self._fingerprint.items():
            if known.get(what) != now:
                raise EngineError(f'its {what} was {known.get(what)!r} and is {now!r} now')
        if self._has_file:
            try:
                self._refuse_foreign(self.file, 'file')
                digest = file_sha256(self.file)
            except OSError as error:
                raise EngineError(f'its file cannot be read ({error.strerror})') from None
            if digest != record.file_sha256:
                raise EngineError('its file is truncated, or not the one that was built')
        return record

    @staticmethod
    def _refuse_foreign(path: Path, what: str) -> None:
        why = why_not_trusted(path)
        if why:
            raise EngineError(f'its {what} is not used: {why}')

    def partial_file(self) -> Path:
        """A temporary name for the engine file; leftovers of killed builds are removed."""
        for pattern in (f'{self.name}.partial*', f'.{self.name}.*.partial.json'):
            for left in self._folder.glob(pattern):
                left.unlink()
        return self._folder / (self.name + f'.partial{os.getpid()}')

    def write(self, partial: Optional[Path], built: Dict[str, Any]) -> Record:
        """Store a built engine, without a verdict yet.

        Args:
            partial: What was built, under its temporary name; None where there is no file.
            built: How, for people.
        """
        digest = ''
        if partial is not None:
            digest = file_sha256(partial)
            atomic_replace(partial, self.file)
        record = Record(self._fingerprint, digest, built, {})
        self.write_record(record)
        return record

    def write_record(self, record: Record) -> None:
        """Replace the record.

        Raises:
            WriteError: It cannot be written.
        """
        if self.record_file.is_symlink():  # else it would be written where the link points to
            self.record_file.unlink()
        write_json(self.record_file, record._asdict())

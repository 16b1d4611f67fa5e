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
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Optional

from edgesegnet_ros.engines.base import BackEnd
from edgesegnet_ros.engines.recipe import Recipe, file_sha256
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.whole_file import put_in_place, write_json

ENVIRONMENT_VARIABLE = 'EDGESEGNET_ENGINE_CACHE'
FORMAT = 1
"""Of the records; engines of another one are built again."""
_log = logging.getLogger(__name__)


def cache_folder(named: str = '') -> Path:
    """Where engines are kept.

    Args:
        named: By the user; '' leaves it to EDGESEGNET_ENGINE_CACHE, XDG_CACHE_HOME and the home
            folder, in this order.
    """
    named = named or os.environ.get(ENVIRONMENT_VARIABLE, '')
    if named:
        return Path(named).expanduser()
    base = os.environ.get('XDG_CACHE_HOME', '')
    return (Path(base) if base else Path.home() / '.cache') / 'edgesegnet_ros'


def fingerprint(back_end: BackEnd, recipe: Recipe) -> Dict[str, Any]:
    """All that an engine file depends on, for people to read."""
    return {
        'format': FORMAT,
        'weights_sha256': recipe.weights_sha256,
        'ignored_classes': list(recipe.classes.ignored),
        'input_size': list(recipe.input_size),
        'precision': recipe.precision,
        'engine': back_end.name,
        'version': back_end.version(),
        'device': back_end.target(recipe.device),
    }


class Record(NamedTuple):
    """What is known of an engine file.

    Attributes:
        fingerprint: See there.
        file_sha256: Of the engine file; '' where the back end needs none.
        built: How it was built, for people.
        verdicts: By the identity of the frames that they were found on.
    """

    fingerprint: Dict[str, Any]
    file_sha256: str
    built: Dict[str, Any]
    verdicts: Dict[str, Dict[str, Any]]


class Entry:
    """One engine in the cache.

    Args:
        folder: Of the cache.
        back_end: Whose engine it is.
        recipe: What is wanted.
    """

    def __init__(self, folder: Path, back_end: BackEnd, recipe: Recipe) -> None:
        # What is wanted names the entry; what may change under it (versions, devices) is compared.
        wanted = json.dumps([recipe.weights_sha256, list(recipe.classes.ignored)])
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
    def locked(self) -> Iterator[None]:
        """Hold the entry's lock; waits for a process that builds the same engine.

        Raises:
            EngineError: The cache folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock_file = str(self._folder / (self.name + '.lock'))
            lock = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise EngineError(
                f'{self._folder}: engines cannot be kept there ({error.strerror}); set '
                f'engine_cache or {ENVIRONMENT_VARIABLE} to a folder that can be written'
            ) from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.info('another process is at work on the engine %s: waiting', self.name)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def read(self) -> Record:
        """What is known of the engine.

        Raises:
            FileNotFoundError: It was never built.
            EngineError: It has to be built again; the message says why.
        """
        try:
            document = json.loads(self.record_file.read_text())
            record = Record(**document)
            known = dict(record.fingerprint)
        except FileNotFoundError:
            if self._has_file and self.file.exists():
                raise EngineError('its record is missing, the build was interrupted') from None
            raise
        except (OSError, ValueError, TypeError, UnicodeDecodeError):
            raise EngineError('its record is corrupt') from None
        for what, now in self._fingerprint.items():
            if known.get(what) != now:
                raise EngineError(f'its {what} was {known.get(what)!r} and is {now!r} now')
        if self._has_file:
            try:
                digest = file_sha256(self.file)
            except OSError as error:
                raise EngineError(f'its file cannot be read ({error.strerror})') from None
            if digest != record.file_sha256:
                raise EngineError('its file is truncated, or not the one that was built')
        return record

    def partial_file(self) -> Path:
        """A temporary name for the engine file; what killed builds left behind is removed."""
        for pattern in (f'{self.name}.partial*', f'.{self.name}.*.partial.json'):
            for left in self._folder.glob(pattern):
                left.unlink()
        return self._folder / (self.name + f'.partial{os.getpid()}')

    def write(self, partial: Optional[Path], built: Dict[str, Any]) -> Record:
        """Take a built engine in, with no verdict yet.

        Args:
            partial: What was built, under its temporary name; None where there is no file.
            built: How, for people.
        """
        digest = ''
        if partial is not None:
            digest = file_sha256(partial)
            put_in_place(partial, self.file)
        record = Record(self._fingerprint, digest, built, {})
        self.write_record(record)
        return record

    def write_record(self, record: Record) -> None:
        """Replace the record."""
        write_json(self.record_file, record._asdict())

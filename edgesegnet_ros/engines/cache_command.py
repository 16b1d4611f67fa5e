"""`edgesegnet cache`: list, verify and prune the engines that were built on this machine."""

from __future__ import annotations

import argparse
import fcntl
import os
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from edgesegnet_ros.arguments import output_file
from edgesegnet_ros.atomic_file import write_json
from edgesegnet_ros.engines.request import BACK_ENDS, EngineError

_MIB = 1 << 20
_DAY_S = 86400.0


class Kept(NamedTuple):
    """One engine in the cache.

    Attributes:
        name: Name of its files, without their suffix.
        files: All of them but the lock.
        size: Bytes of all of them.
        changed: When the newest of them was written, in seconds since 1970.
        engine: Back end, or '' where the record cannot be read.
        precision: Number format.
        input_size: HxW.
        objection: Why it would be built again; '' for an engine that can be used.
    """

    name: str
    files: Tuple[Path, ...]
    size: int
    changed: float
    engine: str
    precision: str
    input_size: str
    objection: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        'action',
        nargs='?',
        default='list',
        choices=('list', 'verify', 'prune'),
        help='list: print names, sizes and ages; verify: read every engine file, exit status 1 '
        'if one would be built again; prune: remove those',
    )
    parser.add_argument(
        '--engine-cache',
        default='',
        metavar='DIR',
        help='folder of built engines; by default EDGESEGNET_ENGINE_CACHE, or '
        '~/.cache/edgesegnet_ros',
    )
    parser.add_argument(
        '--older-than',
        type=float,
        metavar='DAYS',
        help='prune: also remove engines that were built before',
    )
    parser.add_argument(
        '--keep-mib',
        type=float,
        metavar='MIB',
        help='prune: also remove the oldest engines, until the rest takes at most this much',
    )
    parser.add_argument('--all', action='store_true', help='prune: everything')
    parser.add_argument(
        '--dry-run', action='store_true', help='prune: only print what would be removed'
    )
    parser.add_argument(
        '--json', type=output_file, metavar='FILE', help='write the list to this file, as JSON'
    )


def run(args: argparse.Namespace) -> int:
    """List, verify or prune; returns 1 if `verify` finds an engine that would be built again."""
    from edgesegnet_ros.engines.cache import cache_folder

    limits = {'--older-than': args.older_than, '--keep-mib': args.keep_mib}
    for name, value in limits.items():
        if value is not None and not value >= 0.0:
            raise EngineError(f'{name} {value}: 0 or more')
    if args.action != 'prune' and (args.all or args.dry_run or any(limits.values())):
        raise EngineError(
            f'`edgesegnet cache {args.action}` removes nothing: use `edgesegnet '
            'cache prune` for that'
        )
    folder = cache_folder(args.engine_cache)
    if not folder.is_dir():
        if args.engine_cache:
            raise EngineError(f'{folder}: no such folder of engines')
        print(f'{folder} does not exist: no engine has been built yet')
        return 0
    kept = list(entries(folder, whole=args.action != 'list'))
    doomed = _doomed(kept, args) if args.action == 'prune' else []
    rows: List[Dict[str, Any]] = []
    for one in kept:
        state = f'would be built again: {one.objection}' if one.objection else 'can be used'
        if one in doomed:
            state = 'would be removed' if args.dry_run else _remove(folder, one)
        age = max(0.0, time.time() - one.changed) / _DAY_S
        print(f'{one.size / _MIB:8.1f} MiB  {age:6.1f} days  {one.name}  {state}')
        rows.append(
            {
                'name': one.name,
                'engine': one.engine,
                'precision': one.precision,
                'input_size': one.input_size,
                'bytes': one.size,
                'age_days': round(age, 2),
                'state': state,
            }
        )
    total = sum(one.size for one in kept) / _MIB
    gone = sum(one.size for one in doomed) / _MIB
    freed = f', {gone:.1f} MiB of them {"to go" if args.dry_run else "removed"}' if doomed else ''
    print(f'{len(kept)} engines, {total:.1f} MiB{freed} in {folder}')
    if args.json:
        write_json(args.json, {'folder': str(folder), 'engines': rows})
    return int(args.action == 'verify' and any(one.objection for one in kept))


def entries(folder: Path, whole: bool) -> Iterator[Kept]:
    """The engines in a folder, and leftovers of killed builds; other files are ignored.

    Args:
        folder: Folder of the cache.
        whole: Whether engine files are read and compared with their records.
    """
    names: Dict[str, List[Path]] = {}
    for path in sorted(folder.iterdir()):
        name = path.name.lstrip('.').split('.')[0]
        if name.split('-')[0] in BACK_ENDS and path.suffix != '.lock':
            names.setdefault(name, []).append(path)
    for name, files in names.items():
        found = [path.lstat() for path in files]
        engine, precision, size, objection = _looked_at(folder / name, files, whole)
        yield Kept(
            name,
            tuple(files),
            sum(one.st_size for one in found),
            max(one.st_mtime for one in found),
            engine,
            precision,
            size,
            objection,
        )


def _looked_at(stem: Path, files: List[Path], whole: bool) -> Tuple[str, str, str, str]:
    """Back end, precision, input size and objection of an entry."""
    from edgesegnet_ros.engines.cache import Record
    from edgesegnet_ros.engines.recipe import file_sha256
    from edgesegnet_ros.engines.registry import back_end
    from edgesegnet_ros.engines.trust import why_not_trusted

    engine = precision = size = ''
    record_file = stem.with_name(stem.name + '.json')
    try:
        foreign = next(filter(None, map(why_not_trusted, files)), None)
        record = Record.from_json(record_file.read_text(encoding='utf-8'))
        known = record.fingerprint
        engine, precision = str(known['engine']), str(known['precision'])
        size = 'x'.join(str(side) for side in known['input_size'])
        found = back_end(engine)
        absent = found.why_not('auto')
        if foreign:
            return engine, precision, size, foreign
        if absent:
            return engine, precision, size, absent
        if found.version() != known['version']:
            said = f'built by version {known["version"]}, and {found.version()} is here now'
            return engine, precision, size, said
        file = stem.with_name(stem.name + found.suffix)
        if found.suffix and not file.is_file():
            return engine, precision, size, 'its engine file is missing'
        if whole and found.suffix and file_sha256(file) != record.file_sha256:
            return engine, precision, size, 'its engine file is truncated or another one'
    except FileNotFoundError:
        return engine, precision, size, 'its build was interrupted'
    except (OSError, KeyError, TypeError, ValueError, RecursionError, EngineError):
        return engine, precision, size, 'its record is corrupt'
    return engine, precision, size, ''


def _doomed(kept: List[Kept], args: argparse.Namespace) -> List[Kept]:
    doomed = []
    left = sum(one.size for one in kept if not one.objection)
    for one in sorted(kept, key=lambda one: one.changed):
        old = args.older_than is not None and time.time() - one.changed > args.older_than * _DAY_S
        large = args.keep_mib is not None and left > args.keep_mib * _MIB
        if args.all or one.objection or old or large:
            doomed.append(one)
            left -= 0 if one.objection else one.size
    return doomed


def _remove(folder: Path, one: Kept) -> str:
    """Remove an entry's files, unless a process is using it; returns a sentence on the outcome."""
    lock_file = folder / (one.name + '.lock')
    try:
        lock = os.open(str(lock_file), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in one.files:
                path.unlink()
            lock_file.unlink()
        finally:
            os.close(lock)
    except BlockingIOError:
        return 'kept, because another process is using it'
    except OSError as error:
        raise EngineError(f'{folder}: {one.name} cannot be removed ({error.strerror})') from None
    return 'removed'

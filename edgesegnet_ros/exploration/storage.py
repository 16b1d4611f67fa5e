"""The storage of a study and its trials, by Optuna (SQLite, PostgreSQL)."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from edgesegnet_ros.exploration.generator import Generator
from edgesegnet_ros.exploration.history import PERFORMANCE, REASON, RUNGS
from edgesegnet_ros.exploration.settings import RUNG_FACTOR, ExplorationError, Settings

SETTINGS, REFERENCE_MS, FORMAT_KEY = 'settings', 'reference_ms', 'format'
FORMAT = 1
STORAGE_ERRORS = (SQLAlchemyError, optuna.exceptions.StorageInternalError)
"""Errors of a storage that cannot be read or written, such as SQLite on a full disk."""
WORKER = 'worker'
"""Attribute of a trial: host:pid of the worker that trains it."""
_HEARTBEAT = 30
"""Seconds between two heartbeats of a worker; its trial fails after three missed ones."""


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Connect to a storage.

    Raises:
        ExplorationError: The URL is invalid, or the storage cannot be reached.
    """
    shown = _without_password(url)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger('alembic').setLevel(logging.ERROR)
    # Heartbeats are experimental since Optuna 2.9.
    warnings.filterwarnings('ignore', category=optuna.exceptions.ExperimentalWarning)
    try:
        if url.startswith('sqlite:///'):
            Path(url[len('sqlite:///') :]).parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.RDBStorage(
            url,
            engine_kwargs={'connect_args': {'timeout': 60}} if url.startswith('sqlite') else {},
            heartbeat_interval=_HEARTBEAT,
            grace_period=3 * _HEARTBEAT,
        )
    except ImportError as error:
        raise ExplorationError(
            f'--storage {shown}: {error}; a PostgreSQL URL is written '
            "postgresql+psycopg://user@host/database, and needs pip install 'psycopg[binary]'"
        ) from None
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ExplorationError(
            f'--storage {shown}: not a URL of a database ({_first_line(error)}); write it like '
            'sqlite:///out/explore/study.db or postgresql+psycopg://user@host/database'
        ) from None
    except (SQLAlchemyError, RuntimeError, OSError) as error:
        raise ExplorationError(
            f'--storage {shown}: cannot be reached ({_first_line(error)}); start the server, or '
            'correct the URL; finished trials are kept'
        ) from None


def open_study(url: str, name: str, settings: Settings) -> optuna.Study:
    """Create a study, or resume an existing one.

    Raises:
        ExplorationError: The storage cannot be reached, or holds another study's settings.
    """
    storage = open_storage(url)
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction='maximize',
            load_if_exists=True,
            sampler=Generator(settings),
            pruner=optuna.pruners.SuccessiveHalvingPruner(
                min_resource=settings.rungs[0], reduction_factor=RUNG_FACTOR
            ),
        )
        stored = study.user_attrs.get(SETTINGS)
        if stored is None:
            study.set_user_attr(FORMAT_KEY, FORMAT)
            study.set_user_attr(SETTINGS, settings.stored())
            return study
    except STORAGE_ERRORS as error:
        raise storage_error(url, error) from None
    newer = study.user_attrs.get(FORMAT_KEY, FORMAT)
    if newer != FORMAT:
        raise ExplorationError(
            f'study {name} is of format {newer}, and this release reads {FORMAT}: install a newer '
            'one, or give another --study'
        )
    differences = settings.differences(stored)
    if differences:
        raise ExplorationError(
            f"study {name} in {_without_password(url)} holds another exploration's settings: "
            f'{"; ".join(differences)}. Give those, or another --study'
        )
    return study


def stored_settings(url: str, name: str) -> Settings | None:
    """The settings of an existing study; None if there is no such study.

    Raises:
        ExplorationError: The storage cannot be reached.
    """
    if url.startswith('sqlite:///') and not Path(url[len('sqlite:///') :]).exists():
        return None
    try:
        study = optuna.load_study(study_name=name, storage=open_storage(url))
        return Settings.restored(study.user_attrs[SETTINGS])
    except (KeyError, TypeError):
        return None
    except STORAGE_ERRORS as error:
        raise storage_error(url, error) from None


def join_study(url: str, name: str) -> tuple[optuna.Study, Settings]:
    """Open a study for a worker, with the settings that are stored in it.

    Raises:
        ExplorationError: The storage cannot be reached.
    """
    try:
        study = optuna.load_study(study_name=name, storage=open_storage(url))
        settings = Settings.restored(study.user_attrs[SETTINGS])
    except (*STORAGE_ERRORS, KeyError) as error:
        raise storage_error(url, error) from None
    return open_study(url, name, settings), settings


def storage_error(url: str, error: Exception) -> ExplorationError:
    """The error for a failure of the storage."""
    if isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__:
        error = error.__cause__  # type: ignore[assignment]
    return ExplorationError(
        f'--storage {_without_password(url)}: {_first_line(error)}; finished trials are kept: '
        'free some space or repair it, and run the same command again'
    )


def worker_name() -> str:
    """The host and process id of this worker."""
    return f'{socket.gethostname()}:{os.getpid()}'


def fail_dead_trials(study: optuna.Study, reason: str = 'killed') -> list[int]:
    """Mark running trials of this machine whose process has ended as failed.

    A trial that was trained to the end and judged is marked as complete. Trials of other machines
    fail when their heartbeat is missing.

    Returns:
        The numbers of the failed trials.
    """
    failed = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        host, _, pid = trial.user_attrs.get(WORKER, ':').rpartition(':')
        if host == socket.gethostname() and not _is_alive(int(pid)):
            rungs = trial.user_attrs.get(RUNGS)
            steps = study.user_attrs.get(SETTINGS, {}).get('steps')
            if PERFORMANCE in trial.user_attrs and rungs and rungs[-1][0] == steps:
                study.tell(trial.number, trial.user_attrs[PERFORMANCE])
                continue
            storage: Any = study._storage  # noqa: SLF001 - a frozen trial has no public setter
            storage.set_trial_user_attr(trial._trial_id, REASON, f'{reason}: its process ended')
            study.tell(trial.number, state=TrialState.FAIL)
            failed.append(trial.number)
    return failed


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return True
    return state != 'Z'


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition('@')
    if not at or '://' not in head:
        return url
    scheme, _, account = head.partition('://')
    return f'{scheme}://{account.split(":")[0]}@{tail}'

"""Compares two studies of a storage that differ only in whether the inquisitor is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial

from edgesegnet_ros.exploration import history
from edgesegnet_ros.exploration.plots import Point, steps
from edgesegnet_ros.exploration.settings import Settings
from edgesegnet_ros.exploration.storage import SETTINGS, open_storage


class ComparedStudy(NamedTuple):
    """One study of the comparison.

    Attributes:
        study: Name of the study.
        inquisitor: Whether the inquisitor advised its generators.
        trials: Trials of the study.
    """

    study: str
    inquisitor: bool
    trials: list[FrozenTrial]


def compared_studies(study: optuna.Study, settings: Settings, url: str) -> list[ComparedStudy]:
    """A study and the first other study of its storage that differs only in the inquisitor.

    Args:
        study: The study that is reported.
        settings: Settings of the study.
        url: URL of the storage.

    Returns:
        Both studies, the one with the inquisitor first; empty if there is no other study.
    """
    found = {settings.inquisitor: study}
    storage = open_storage(url)
    for name in optuna.get_all_study_names(storage):
        other = optuna.load_study(study_name=name, storage=storage)
        stored = other.user_attrs.get(SETTINGS)
        if stored is None or name == study.study_name:
            continue
        theirs = Settings.restored({**stored, 'inquisitor': settings.inquisitor})
        if theirs == settings and stored['inquisitor'] != settings.inquisitor:
            found.setdefault(stored['inquisitor'], other)
    if len(found) < 2:
        return []
    return [
        ComparedStudy(found[one].study_name, one, found[one].get_trials()) for one in (True, False)
    ]


def as_json(compared: Sequence[ComparedStudy], population: int) -> list[dict[str, Any]]:
    """The values for --json."""
    return [
        {
            'study': one.study,
            'inquisitor': one.inquisitor,
            'networks': len(_finished(one)),
            'worker_seconds': sum(t.user_attrs.get(history.SECONDS, 0.0) for t in one.trials),
            'accepted': sum(g.accepted for g in history.generations(one.trials, population)),
            'best_u': max((u for _, u in _rises(one)), default=None),
            'best_u_of_equally_many': _best_of_first(one, _equally_many(compared)),
        }
        for one in compared
    ]


def in_words(compared: Sequence[ComparedStudy], population: int) -> str:
    """Sentences about the comparison."""
    with_it, without = as_json(compared, population)

    def u(value: float | None) -> str:
        return 'none' if value is None else f'{value:.2f}'

    return (
        f'With the inquisitor (study {with_it["study"]}) {with_it["networks"]} networks in '
        f'{with_it["worker_seconds"] / 60:.1f} minutes of workers had a best U of '
        f'{u(with_it["best_u"])} and {with_it["accepted"]} accepted generators; without it (study '
        f'{without["study"]}) {without["networks"]} networks in '
        f'{without["worker_seconds"] / 60:.1f} minutes had {u(without["best_u"])} and '
        f'{without["accepted"]}. Over the first {_equally_many(compared)} networks of each: '
        f'{u(with_it["best_u_of_equally_many"])} with it, '
        f'{u(without["best_u_of_equally_many"])} without. Seed and settings are the same; it is '
        'one run of each, so a small difference may be chance.'
    )


def plot(compared: Sequence[ComparedStudy]) -> str:
    """SVG of the best U so far over the number of networks tried."""
    lines = {}
    for one in compared:
        name = 'with the inquisitor' if one.inquisitor else 'without'
        lines[name] = [
            Point(count, u, f'{name}: network {count} of its study has U {u:.2f}')
            for count, u in _rises(one)
        ]
    return steps('Best U with and without the inquisitor', lines, 'networks tried', 'best U')


def _finished(one: ComparedStudy) -> list[FrozenTrial]:
    return [trial for trial in one.trials if trial.state.is_finished()]


def _equally_many(compared: Sequence[ComparedStudy]) -> int:
    return min(len(_finished(one)) for one in compared)


def _best_of_first(one: ComparedStudy, count: int) -> float | None:
    return max((u for number, u in _rises(one) if number <= count), default=None)


def _rises(one: ComparedStudy) -> list[tuple[int, float]]:
    """The number of networks tried and the best U so far, at each increase of U."""
    found: list[tuple[int, float]] = []
    for count, trial in enumerate(_finished(one), 1):
        if history.is_feasible(trial):
            u = trial.user_attrs[history.PERFORMANCE]
            if not found or u > found[-1][1]:
                found.append((count, u))
    return found

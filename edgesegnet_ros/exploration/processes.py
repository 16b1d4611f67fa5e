"""Starts the workers of an exploration on this machine, and replaces workers that end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState
from tqdm import tqdm

from edgesegnet_ros.exploration import history
from edgesegnet_ros.exploration.data import open_shared_data
from edgesegnet_ros.exploration.settings import ExplorationError, Settings
from edgesegnet_ros.exploration.storage import STORAGE_ERRORS, fail_dead_trials, storage_error
from edgesegnet_ros.exploration.worker import STORAGE_FAILED
from edgesegnet_ros.training.stopping import StopRequest

LOG = 'workers.log'
"""Log file of the workers."""
_LOOK_EVERY = 2.0
"""Seconds between two checks of the study."""
_LOST_IN_A_ROW = 4
"""Number of consecutive workers that end without a finished network, after which the exploration
stops."""
_LEAST_TIME = 5.0
"""Seconds of the budget below which no worker is started, as it could not even open the pool."""
_GRACE = 60.0
"""Seconds after the budget in which workers may end by themselves."""

HEADER = (
    f'{"network":>8} {"rung":>5} {"accuracy":>9} {"mIoU":>6} {"params":>8} {"GMAC":>7} '
    f'{"ms":>7} {"U":>7}  result'
)


def explore(
    study: optuna.Study,
    storage: str,
    settings: Settings,
    out: Path,
    budget: float,
    workers: int,
    networks: int = sys.maxsize,
) -> float:
    """Make the pool, then let workers try networks until the budget is spent or a signal comes.

    Args:
        study: Open.
        storage: Its URL, for the workers.
        settings: Settings of the study.
        out: Takes the pool and the weights.
        budget: Seconds, the pool's making included.
        workers: Processes.
        networks: Number of networks of the study after which it ends before.

    Returns:
        Seconds spent.

    Raises:
        ExplorationError: The storage failed, or workers cannot do their work here.
    """
    began = time.monotonic()
    with tqdm(total=settings.views, desc='views for all', unit='view', leave=False) as bar:
        open_shared_data(settings, out / 'pool', lambda views: _advance(bar, views), judged=False)
    table = _ProgressTable(study, settings, round(budget))
    processes: list[subprocess.Popen] = []
    lost = 0
    with StopRequest() as stop:
        try:
            while True:
                left = budget - (time.monotonic() - began)
                over = left <= 0 or stop.signal or table.finished >= networks
                lost = _reap(processes, study, table, lost, out / LOG)
                while not over and left > _LEAST_TIME and len(processes) < workers:
                    processes.append(_start(storage, study.study_name, out, left, networks))
                if over and (not processes or stop.signal or left < -_GRACE):
                    break
                table.look(time.monotonic() - began)
                time.sleep(_LOOK_EVERY)
        except STORAGE_ERRORS as error:
            raise storage_error(storage, error) from None
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()
            # If this cannot be written now, the next call does it.
            with contextlib.suppress(*STORAGE_ERRORS):
                fail_dead_trials(study, 'out of time')
    table.look()
    table.close()
    return time.monotonic() - began


def _advance(bar: tqdm, views: int) -> None:
    bar.update(views)


def _start(storage: str, name: str, out: Path, left: float, networks: int) -> subprocess.Popen:
    command = [
        sys.executable,
        '-m',
        'edgesegnet_ros.exploration.worker',
        '--storage',
        storage,
        '--study',
        name,
        '--out',
        str(out),
        '--parent',
        str(os.getpid()),
        '--seconds',
        str(left),
        '--networks',
        str(networks),
    ]
    # A file, because a pipe that is not read would block the worker.
    with (out / LOG).open('a') as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, 'TQDM_DISABLE': '1'}
        )


def _reap(
    processes: list[subprocess.Popen],
    study: optuna.Study,
    table: _ProgressTable,
    lost: int,
    log: Path,
) -> int:
    """Remove the processes that have ended; returns how many failed consecutively."""
    for process in list(processes):
        status = process.poll()
        if status is None:
            continue
        processes.remove(process)
        said = log.read_text(errors='replace').strip()
        if status == STORAGE_FAILED:
            raise ExplorationError(
                said.rpartition('edgesegnet explore: ')[2]
                or f'a worker stopped, and could not write the reason to {log}: free some space '
                'on the disk, and give the same command again; finished networks are kept'
            )
        if status == 0:
            continue
        table.say(f'a worker ended with status {status}; its network is infeasible')
        fail_dead_trials(study, 'killed' if status < 0 else 'failed')
        lost = 1 if table.look() else lost + 1
        if lost >= _LOST_IN_A_ROW:
            last = said.splitlines()[-1] if said else 'no output'
            raise ExplorationError(
                f'{lost} workers in a row ended before they finished a network ({last}); with '
                'less memory give fewer --workers or a smaller --batch'
            )
    return lost


class _ProgressTable:
    """Prints a row for each finished network and generator, and shows the time left.

    Args:
        study: The study.
        settings: Settings of the study.
        budget: Budget in s.
    """

    def __init__(self, study: optuna.Study, settings: Settings, budget: int) -> None:
        self._study, self._settings, self._budget = study, settings, budget
        done = study.get_trials(deepcopy=False)
        self._shown = {trial.number for trial in done if trial.state.is_finished()}
        self._generations = len(history.generations(done, settings.population))
        if self._shown:
            self.say(f'resuming after {len(self._shown)} networks')
        self.say(HEADER)
        self._bar = tqdm(
            total=budget,
            desc='exploring: ',
            leave=False,
            bar_format='{desc}{percentage:3.0f}%|{bar}| {n:.0f}/{total} s of the budget',
            disable=None,  # no bar in a log file
        )

    def _clock(self, seconds: float, trials: Sequence[FrozenTrial]) -> None:
        """Show how much of the budget is spent, how many networks are done, and the best U."""
        self._bar.n = min(round(seconds), self._budget)
        best = history.best_of(trials)
        so_far = '' if best is None else f', best U {best.user_attrs[history.PERFORMANCE]:.2f}'
        running = sum(trial.state == TrialState.RUNNING for trial in trials)
        self._bar.set_description(f'{len(self._shown)} networks, {running} in training{so_far}')

    @property
    def finished(self) -> int:
        """Networks that are finished, by the last look."""
        return len(self._shown)

    def close(self) -> None:
        """Remove the progress bar."""
        self._bar.close()

    def say(self, line: str) -> None:
        """Print a line above the progress bar."""
        tqdm.write(line)

    def look(self, seconds: float | None = None) -> int:
        """Print the networks and generators that finished since the last call.

        Args:
            seconds: Seconds that are spent, for the progress bar.

        Returns:
            The number of networks that finished.
        """
        trials = self._study.get_trials(deepcopy=False)
        new = [t for t in trials if t.state.is_finished() and t.number not in self._shown]
        for trial in new:
            self._shown.add(trial.number)
            self.say(row(trial))
        found = history.generations(trials, self._settings.population)
        for one in found[self._generations :]:
            best = 'none meets the requirement' if one.best_u is None else f'{one.best_u:.2f}'
            verdict = 'accepted' if one.accepted else 'rejected'
            self.say(
                f'generator {one.index}: best U {best}, {one.feasible:.0%} feasible: {verdict}'
            )
        self._generations = len(found)
        if seconds is not None:
            self._clock(seconds, trials)
        return len(new)


def row(trial: FrozenTrial) -> str:
    """A row of the table for a network."""
    figures = trial.user_attrs.get(history.FIGURES, {})

    def cell(name: str, width: int, digits: int, factor: float = 1.0) -> str:
        value = figures.get(name)
        return f'{"–" if value is None else format(factor * value, f".{digits}f"):>{width}}'

    rungs: Sequence = trial.user_attrs.get(history.RUNGS, [])
    performance = trial.user_attrs.get(history.PERFORMANCE)
    return (
        f'{trial.number:>8} {rungs[-1][0] if rungs else "–":>5} {cell("accuracy", 9, 2, 100)} '
        f'{cell("miou", 6, 1, 100)} {cell("params", 7, 2, 1e-6)}M {cell("gmac", 7, 3)} '
        f'{cell("latency_ms", 7, 1)} '
        f'{"–" if performance is None else format(performance, ".2f"):>7}  {verdict(trial)}'
    )


def verdict(trial: FrozenTrial) -> str:
    """The outcome of a network as text."""
    failed = trial.user_attrs.get(history.FAILED)
    if failed:
        return f'misses {", ".join(failed)}'
    if trial.user_attrs.get(history.REASON):
        return f'infeasible, {trial.user_attrs[history.REASON]}'
    if trial.state == TrialState.PRUNED:
        return 'stopped early'
    if trial.state == TrialState.FAIL:
        return 'infeasible, its worker ended'
    return 'meets the requirement'

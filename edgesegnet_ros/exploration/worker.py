"""A worker, which trains and judges networks of the generator until the budget is spent.

`edgesegnet explore` runs this module in separate processes, so that a worker that runs out of
memory or is killed does not affect the others.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import optuna
import torch

from edgesegnet_ros.child_process import end_with_parent
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.exploration import history
from edgesegnet_ros.exploration.candidate import (
    Diverged,
    OutOfTime,
    Trained,
    train_candidate,
)
from edgesegnet_ros.exploration.data import SharedData, open_shared_data
from edgesegnet_ros.exploration.figures import RelativeLatency, counted
from edgesegnet_ros.exploration.inquisitor import probe, share_lacking
from edgesegnet_ros.exploration.performance import performance
from edgesegnet_ros.exploration.requirement import Requirement, read_requirement
from edgesegnet_ros.exploration.settings import ExplorationError, Settings
from edgesegnet_ros.exploration.space import SPACE, design_from, prototype
from edgesegnet_ros.exploration.storage import (
    REFERENCE_MS,
    STORAGE_ERRORS,
    WORKER,
    fail_dead_trials,
    join_study,
    storage_error,
    worker_name,
)
from edgesegnet_ros.network.design import Design
from edgesegnet_ros.network.weights import WeightsError, WeightsInfo, save_weights

STORAGE_FAILED = 3
"""Exit status of a worker whose storage or disk failed, which would also fail for others."""
_MISSED = 100.0
"""Decibels that a clause costs whose bound is missed by as much as itself."""
_LEARNED = frozenset(('accuracy', 'miou'))
"""Figures that are known only after training."""


class Explorer:
    """Judges the networks of a study.

    Args:
        study: The study, on a connection of this process.
        settings: Settings of the study.
        shared: Pool and val.
        weights: Folder for the weights of networks that were trained to the end.
        deadline: Deadline of time.monotonic(), after which no network is started.
    """

    def __init__(
        self,
        study: optuna.Study,
        settings: Settings,
        shared: SharedData,
        weights: Path,
        deadline: float = math.inf,
    ) -> None:
        self._study, self._settings, self._shared = study, settings, shared
        self._weights, self._deadline = weights, deadline
        self._unwritten: Exception | None = None
        self._requirement = read_requirement(settings.requirement)
        self._latency = RelativeLatency(settings, shared.classes, prototype())
        if REFERENCE_MS not in study.user_attrs:
            study.set_user_attr(REFERENCE_MS, self._latency.reference_ms())

    def run(self, networks: int = sys.maxsize, in_all: int = sys.maxsize) -> None:
        """Try networks one after another, until the deadline.

        Args:
            networks: Most networks of this call.
            in_all: Networks of the study, of all workers, after which none is begun.

        Raises:
            ExplorationError: A file cannot be written, which is no network's fault.
        """
        for _ in range(networks):
            fail_dead_trials(self._study)
            begun = len(self._study.get_trials(deepcopy=False))
            if time.monotonic() > self._deadline or begun >= in_all:
                return
            self._study.optimize(
                self._objective, n_trials=1, catch=(EdgeSegNetError, RuntimeError)
            )
            unwritten, self._unwritten = self._unwritten, None
            if unwritten is not None:
                raise ExplorationError(
                    f'{unwritten}; finished networks are kept: free some space, and run the same '
                    'command again'
                ) from None

    def close(self) -> None:
        """Close the engine of the reference."""
        self._latency.close()

    def _objective(self, trial: optuna.Trial) -> float:
        began = time.monotonic()
        trial.set_user_attr(WORKER, worker_name())
        choices = {name: trial.suggest_categorical(name, values) for name, values in SPACE.items()}
        try:
            return self._judged(trial, choices)
        except OutOfTime as error:
            trial.set_user_attr(history.REASON, f'out of time: {error}')
            raise optuna.TrialPruned from None
        except Diverged as error:
            trial.set_user_attr(history.REASON, f'diverged: {error}')
            raise
        except OSError as error:
            self._unwritten = error
            trial.set_user_attr(history.REASON, f'not written: {error}')
            raise ExplorationError(str(error)) from None
        except (MemoryError, RuntimeError, EdgeSegNetError) as error:
            # PyTorch raises a RuntimeError if there is not enough memory.
            kind = 'out of memory' if 'alloc' in str(error).lower() else 'failed'
            trial.set_user_attr(history.REASON, f'{kind}: {str(error).splitlines()[0][:200]}')
            raise Diverged(str(error)) from None
        finally:
            trial.set_user_attr(history.SECONDS, time.monotonic() - began)

    def _judged(self, trial: optuna.Trial, choices: dict) -> float:
        settings = self._settings
        design = design_from(choices, f'{self._study.study_name}-{trial.number}')
        trial.set_user_attr(history.DESIGN, design.as_dict())
        figures = counted(design, len(self._shared.classes.classes), settings.input_size)
        reference = self._study.user_attrs[REFERENCE_MS]
        figures['latency_ms'] = self._latency.share(design) * reference
        trial.set_user_attr(history.FIGURES, figures)
        cheap = Requirement(
            '', tuple(c for c in self._requirement.clauses if c.figure not in _LEARNED)
        )
        failed = cheap.failed(figures)
        if failed:
            # A network that costs too much is not trained, whatever its accuracy would be.
            trial.set_user_attr(history.EXCESS, cheap.excess(figures))
            trial.set_constraint('requirement', cheap.excess(figures))
            trial.set_user_attr(history.FAILED, [str(clause) for clause in failed])
            raise optuna.TrialPruned
        rungs: list[list[float]] = []
        done = False

        def judge(trained: Trained) -> bool:
            nonlocal done
            figures['accuracy'] = trained.scores.pixel_accuracy
            figures['miou'] = trained.scores.miou
            value = performance(settings.performance, figures)
            rungs.append([trained.steps, figures['accuracy'], value])
            trial.report(value, trained.steps)
            done = trained.steps == settings.steps
            # The prototype φ is the reference for all others.
            spared = trial.number == 0 or not settings.halving
            return done or spared or not trial.should_prune()

        trained = train_candidate(design, self._shared, settings, judge, self._deadline)
        value = performance(settings.performance, figures)
        failed = self._requirement.failed(figures)
        trial.set_constraint('requirement', self._requirement.excess(figures))
        # U is written last, so that a network that has U is complete if its worker is killed.
        for name, attribute in {
            history.FIGURES: figures,
            history.RUNGS: rungs,
            history.EXCESS: self._requirement.excess(figures),
            history.FAILED: [str(clause) for clause in failed],
            history.PERFORMANCE: value,
        }.items():
            trial.set_user_attr(name, attribute)
        if not done:
            raise optuna.TrialPruned
        self._keep(trial, design, trained, choices, figures)
        return value

    def _worth(self, figures: Mapping[str, float]) -> float:
        """U, and less where the requirement is missed."""
        u = performance(self._settings.performance, figures)
        return u - _MISSED * self._requirement.excess(figures)

    def _keep(
        self, trial: optuna.Trial, design: Design, trained: Trained, choices: dict, figures: dict
    ) -> None:
        """Save the weights, and the findings about a network that children may derive from."""
        classes, settings = self._shared.classes, self._settings
        info = WeightsInfo(classes.name, len(classes.classes), settings.input_size)
        try:
            save_weights(self._weights / f'{design.name}.safetensors', trained.network, info)
        except (OSError, WeightsError) as error:
            self._unwritten = error  # the figures of the network are kept
        if not settings.inquisitor or time.monotonic() > self._deadline:
            return
        trials = self._study.get_trials(deepcopy=False)
        best = history.best_of(trials)
        value = performance(settings.performance, figures)
        if best is None or value >= best.user_attrs[history.PERFORMANCE]:
            findings = probe(
                trained.network,
                choices,
                self._shared.val,
                settings.input_size,
                figures,
                self._worth,
                share_lacking(trials),
            )
            trial.set_user_attr(history.FINDINGS, [one._asdict() for one in findings])


def main() -> int:
    """Run the worker in a process; see `processes`."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--storage', required=True)
    parser.add_argument('--study', required=True)
    parser.add_argument('--out', required=True)
    parser.add_argument('--parent', type=int, required=True)
    parser.add_argument('--seconds', type=float, required=True)
    parser.add_argument('--networks', type=int, default=sys.maxsize)
    args = parser.parse_args()
    deadline = time.monotonic() + args.seconds
    end_with_parent()
    if os.getppid() != args.parent:
        return 0  # the parent ended before this process registered
    try:
        study, settings = join_study(args.storage, args.study)
        torch.set_num_threads(settings.threads)
        out = Path(args.out)
        shared = open_shared_data(settings, out / 'pool')
        explorer = Explorer(study, settings, shared, out / 'weights', deadline)
        try:
            explorer.run(in_all=args.networks)
        finally:
            explorer.close()
    except EdgeSegNetError as error:
        print(f'edgesegnet explore: {error}', file=sys.stderr)
        return STORAGE_FAILED
    except STORAGE_ERRORS as error:
        print(f'edgesegnet explore: {storage_error(args.storage, error)}', file=sys.stderr)
        return STORAGE_FAILED
    return 0


if __name__ == '__main__':
    sys.exit(main())

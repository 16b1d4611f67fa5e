"""The generator G: a distribution over designs, seeded by S, that learns from its networks.

The optimiser is Optuna's (TPE: Bergstra et al. 2011, "Algorithms for hyper-parameter
optimization"). This module adds what the method of the paper requires: generation starts with the
prototype φ and its neighbours, and half of the later networks are children of the best network of
the previous generator, changed as the inquisitor advises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from edgesegnet_ros.exploration.history import FINDINGS, anchor_of, generations
from edgesegnet_ros.exploration.settings import Settings
from edgesegnet_ros.exploration.space import PROTOTYPE, SPACE, Choice

_CHANGES = 3
"""Largest number of choices in which a child differs from its parent."""
_SHARPNESS = 1.0
"""How much more likely advice is that promises a dB of U more: by a factor of e."""
_AT_RANDOM = 0.25
"""Share of an advised child's changes that are random all the same: the inquisitor knows nothing
of kinds of modules, stems and depth."""
_DRAWS = 20
"""Draws of a child that has not been tried."""


class Generator(BaseSampler):
    """Samples the choices of each network from its number, the seed and the finished networks.

    Args:
        settings: Seed, population, and whether the inquisitor advises the generator.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._derived: dict[int, dict[str, Choice] | None] = {}
        self._optimiser = TPESampler(
            seed=settings.seed,
            n_startup_trials=settings.population,
            multivariate=True,
        )

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See BaseSampler."""
        if self._given(study, trial) is not None:
            return {}
        return self._optimiser.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See BaseSampler."""
        if not search_space:
            return {}
        return self._optimiser.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See BaseSampler."""
        given = self._given(study, trial)
        if given is not None:
            return given[param_name]
        return self._optimiser.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """See BaseSampler."""
        self._optimiser.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """See BaseSampler."""
        self._optimiser.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """See BaseSampler."""
        self._optimiser.reseed_rng()

    def _given(self, study: Study, trial: FrozenTrial) -> dict[str, Choice] | None:
        """The choices of a network derived from another; None if the optimiser samples it."""
        # Called once per choice; networks that other workers finish must not change the answer.
        if trial.number not in self._derived:
            self._derived = {trial.number: self._derive(study, trial)}
        return self._derived[trial.number]

    def _derive(self, study: Study, trial: FrozenTrial) -> dict[str, Choice] | None:
        settings = self._settings
        if trial.number == 0:
            return dict(PROTOTYPE)
        random = np.random.default_rng([settings.seed, trial.number])
        if trial.number >= settings.population and trial.number % 2:
            return None
        trials = [one for one in study.get_trials(deepcopy=False) if one.number < trial.number]
        parent = PROTOTYPE
        advice: list[dict[str, Any]] = []
        if trial.number >= settings.population:
            anchor = anchor_of(trials, generations(trials, settings.population))
            if anchor is not None:
                parent = anchor.params
                advice = anchor.user_attrs.get(FINDINGS, []) if settings.inquisitor else []
        for _ in range(_DRAWS):
            child = _child(parent, advice, random)
            if not any(one.params == child for one in trials):
                break
        return child


def _child(
    parent: dict[str, Choice], advice: list[dict[str, Any]], random: np.random.Generator
) -> dict[str, Choice]:
    """A neighbour of a network.

    Args:
        parent: Its choices.
        advice: Findings of the inquisitor, as mappings; with none, all changes are random.
        random: Draws which and how many.
    """
    child, left = dict(parent), list(advice)
    for _ in range(int(random.integers(1, _CHANGES + 1))):
        if left and random.random() >= _AT_RANDOM:
            gains = np.array([one['advice'] for one in left])
            likely = np.exp(_SHARPNESS * (gains - gains.max()))
            one = left.pop(int(random.choice(len(left), p=likely / likely.sum())))
            child[one['choice']] = one['value']
            # A part that is to grow is not to shrink in the same child.
            left = [other for other in left if other['choice'] != one['choice']]
        else:
            name = str(random.choice(list(SPACE)))
            others = [value for value in SPACE[name] if value != parent[name]]
            child[name] = others[int(random.integers(len(others)))]
    return child

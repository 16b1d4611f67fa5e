"""The history of a study: generators, the acceptance rule, the best network, near misses.

All of this is computed from the trials, so that a killed process loses nothing and workers do not
have to coordinate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

FIGURES, EXCESS, FAILED, REASON = 'figures', 'excess', 'failed', 'reason'
FINDINGS, DESIGN, PERFORMANCE, SECONDS, RUNGS = 'findings', 'design', 'u', 'seconds', 'rungs'
"""Attributes of a trial: its figures, by how much it misses the requirement, the clauses that it
fails, why it has no figures, the findings of the inquisitor, its design, U, its duration in s, and
the values at each rung."""


@dataclass(frozen=True)
class Generation:
    """One generator Ĝ_k, described by its networks.

    Attributes:
        index: k, from 0.
        numbers: Numbers of its trials.
        best_u: Highest U of its networks that meet the requirement; None if none does.
        mean_u: Mean U of those networks.
        feasible: Share of its networks that meet the requirement.
        accepted: Whether it is better than the last accepted generator.
        best: Number of the trial with the highest U.
    """

    index: int
    numbers: list[int]
    best_u: float | None
    mean_u: float | None
    feasible: float
    accepted: bool
    best: int | None

    def as_json(self) -> dict[str, Any]:
        """The values for --json."""
        return {
            'index': self.index,
            'best_u': self.best_u,
            'mean_u': self.mean_u,
            'feasible': self.feasible,
            'accepted': self.accepted,
        }


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether a network was trained to the end and meets the requirement."""
    return (
        trial.state == TrialState.COMPLETE
        and PERFORMANCE in trial.user_attrs
        and trial.user_attrs.get(EXCESS, 1.0) <= 0
    )


def generations(trials: Sequence[FrozenTrial], population: int) -> list[Generation]:
    """The generators whose networks are all finished, in order.

    Ĝ_k is accepted only if it is better: if its best network has a higher U than the best network
    of every generator accepted before (Eq. 1 is solved by iteration, and each step improves).

    Args:
        trials: Trials of the study, in the order of their numbers.
        population: Number of networks of a generator.
    """
    found: list[Generation] = []
    best: float | None = None
    for first in range(0, len(trials) - population + 1, population):
        own = trials[first : first + population]
        if not all(trial.state.is_finished() for trial in own):
            break
        met = [trial for trial in own if is_feasible(trial)]
        values = [trial.user_attrs[PERFORMANCE] for trial in met]
        top = max(values, default=None)
        accepted = top is not None and (best is None or top > best)
        best = top if accepted else best
        winner = next((t.number for t in met if t.user_attrs[PERFORMANCE] == top), None)
        found.append(
            Generation(
                len(found),
                [trial.number for trial in own],
                top,
                sum(values) / len(values) if values else None,
                len(met) / population,
                accepted,
                winner,
            )
        )
    return found


def anchor_of(trials: Sequence[FrozenTrial], found: Sequence[Generation]) -> FrozenTrial | None:
    """The network from which the children of a generator derive.

    It is the best of the last accepted generator, or the nearest miss if none was accepted.
    """
    accepted = [one for one in found if one.accepted]
    if accepted:
        return trials[accepted[-1].best or 0]
    missed = nearest_misses(trials)
    return missed[0] if missed else None


def best_of(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The network with the highest U of those that meet the requirement."""
    met = [trial for trial in trials if is_feasible(trial)]
    return max(met, key=lambda trial: trial.user_attrs[PERFORMANCE], default=None)


def nearest_misses(trials: Sequence[FrozenTrial], count: int = 3) -> list[FrozenTrial]:
    """The fully trained networks that miss the requirement by the least."""
    missed = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE and trial.user_attrs.get(EXCESS, 0.0) > 0
    ]
    return sorted(missed, key=lambda trial: trial.user_attrs[EXCESS])[:count]


def failures(trials: Sequence[FrozenTrial]) -> dict[str, int]:
    """How often each clause was missed, and how often networks failed, by reason."""
    counts: dict[str, int] = {}
    for trial in trials:
        reasons = trial.user_attrs.get(FAILED, [])
        if not reasons and trial.user_attrs.get(REASON):
            reasons = [trial.user_attrs[REASON].split(':')[0]]
        for reason in reasons:
            counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def rank_correlation(short: Sequence[float], long: Sequence[float]) -> float | None:
    """Spearman's ρ between two rankings; None for fewer than three networks."""
    import numpy as np

    if len(short) < 3:
        return None
    ranks = [_ranks(values) for values in (short, long)]
    if min(np.std(r) for r in ranks) == 0:
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: Sequence[float]) -> Any:
    import numpy as np

    array = np.asarray(values, float)
    return np.array([(array < v).sum() + 0.5 * (array == v).sum() for v in array])

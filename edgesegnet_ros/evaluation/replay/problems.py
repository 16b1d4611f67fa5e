"""The problems of a replay: one entry per kind and place, however often it occurred."""

from __future__ import annotations

from dataclasses import replace

from edgesegnet_ros.data.bag import BagProblem
from edgesegnet_ros.evaluation.replay.result import Problem

FAILING = frozenset(
    {
        'truncated',
        'no_images',
        'bad_image',
        'bad_labels',
        'labels_disagree',
        'labels_unmatched',
        'not_written',
        'unreadable',
        'worker_died',
    }
)
"""Kinds with missing results, for which the command ends with 1; others are only reported."""
_ONCE = ('truncated', 'no_index', 'not_written', 'unreadable')


class ProblemLog:
    """Collects problems; of a repeated kind the first one is kept, with a count.

    Attributes:
        problems: So far.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._first: dict[tuple[str, str], int] = {}

    def add(self, kind: str, where: str, what: str, frames: int | None = None) -> None:
        """Add a problem; see `Problem`."""
        key = (kind, where + what if kind in _ONCE else '')
        if key not in self._first:
            self._first[key] = len(self.problems)
            self.problems.append(Problem(kind, where, what, frames))
        elif kind not in _ONCE:
            known = self.problems[self._first[key]]
            total = None if known.frames is None or frames is None else known.frames + frames
            self.problems[self._first[key]] = replace(known, frames=total)

    def on_problem(self, problem: BagProblem) -> None:
        """Add a problem that reading a bag found."""
        self.add(*problem)


def reason(error: Exception) -> str:
    """The message of an error; for an OSError without its number and temporary path."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def fails(problems: list[Problem]) -> bool:
    """Whether something that was requested is missing."""
    return any(problem.kind in FAILING for problem in problems)


def sentence(problem: Problem) -> str:
    """The problem as one line."""
    count = f' ({problem.frames} frames)' if problem.frames else ''
    return f'{problem.where}: {problem.what}{count}'

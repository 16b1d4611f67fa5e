"""What went wrong in a replay: one entry a kind and place, however often it happened."""

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
"""Kinds that something is missing for, so that the command ends with 1; the others only tell."""
_ONCE = ('truncated', 'no_index', 'not_written', 'unreadable')


class ProblemLog:
    """Collects problems; of a kind that comes again and again the first is kept, and counted.

    Attributes:
        problems: So far.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._first: dict[tuple[str, str], int] = {}

    def add(self, kind: str, where: str, what: str, frames: int | None = None) -> None:
        """Note a problem; see `Problem`."""
        key = (kind, where + what if kind in _ONCE else '')
        if key not in self._first:
            self._first[key] = len(self.problems)
            self.problems.append(Problem(kind, where, what, frames))
        elif kind not in _ONCE:
            known = self.problems[self._first[key]]
            total = None if known.frames is None or frames is None else known.frames + frames
            self.problems[self._first[key]] = replace(known, frames=total)

    def on_problem(self, problem: BagProblem) -> None:
        """Note what reading a bag found."""
        self.add(*problem)


def reason(error: Exception) -> str:
    """What an error says; of the operating system's without its number and a temporary path."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def fails(problems: list[Problem]) -> bool:
    """Whether something is missing that was asked for."""
    return any(problem.kind in FAILING for problem in problems)


def sentence(problem: Problem) -> str:
    """One line for people."""
    count = f' ({problem.frames} frames)' if problem.frames else ''
    return f'{problem.where}: {problem.what}{count}'

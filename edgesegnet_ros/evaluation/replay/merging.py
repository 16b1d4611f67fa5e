"""The result over many bags and cameras: their sums, in the order of the bags."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.evaluation.replay.figures import fill_in
from edgesegnet_ros.evaluation.replay.one_bag import BagOutcome
from edgesegnet_ros.evaluation.replay.result import RESULT_NAME, Problem, ReplayResult
from edgesegnet_ros.evaluation.replay.tallies import Tallies, Times

_SUMMED_UP = (
    'frames_in',
    'frames_out',
    'dropped',
    'frames_scored',
    'labels_sha256',
    'latency_ms',
    'rate_hz',
    'temporal_consistency',
    'pixel_accuracy',
    'miou',
)


class Merger:
    """Adds up results in any order; keeps a summary of each, but no series.

    Args:
        classes: Classes of the labels.
        bags: All that will come, in the order of the report.
    """

    def __init__(self, classes: ClassSet, bags: list[str]) -> None:
        self._classes = classes
        self._order = {bag: number for number, bag in enumerate(bags)}
        self._tallies = Tallies(len(classes.classes))
        self._times: dict[str, Times] = {}
        self._parts: dict[int, list[dict[str, Any]]] = {}
        self._problems: dict[int, list[Problem]] = {}
        self._notes: dict[int, list[str]] = {}
        self._sums = ReplayResult(wall_s=0.0, duration_s=0.0)
        self._only: ReplayResult | None = None
        self._only_folder = ''

    def add(self, outcome: BagOutcome) -> None:
        """Add the outcome of one bag."""
        place = self._order[outcome.bag]
        self._problems[place] = list(outcome.problems)
        self._notes[place] = list(outcome.notes)
        parts = self._parts.setdefault(place, [])
        for number, result in enumerate(outcome.results):
            folder = outcome.folders[number] if outcome.folders else None
            self._add(result)
            self._problems[place] += result.problems
            parts.append(
                {
                    'bag': outcome.bag,
                    'topic': result.topic,
                    'result': f'{folder}/{RESULT_NAME}' if folder else None,
                    **{name: getattr(result, name) for name in _SUMMED_UP},
                    'problems': [asdict(problem) for problem in result.problems],
                }
            )
            self._only, self._only_folder = result, folder or ''

    def _add(self, result: ReplayResult) -> None:
        sums = self._sums
        assert result.tallies is not None
        self._tallies.add(Tallies.from_json(result.tallies))
        for stage, spent in result.times.items():
            self._times.setdefault(stage, Times()).__iadd__(Times.from_json(spent))
        sums.frames_in += result.frames_in
        sums.dropped += result.dropped
        sums.wall_s = (sums.wall_s or 0.0) + (result.wall_s or 0.0)
        sums.duration_s = (sums.duration_s or 0.0) + (result.duration_s or 0.0)
        for reason, count in result.drops.items():
            sums.drops[reason] = sums.drops.get(reason, 0) + count
        for stage, seconds in result.costs_s.items():
            sums.costs_s[stage] = round(sums.costs_s.get(stage, 0.0) + seconds, 3)
        sums.mode = result.mode
        sums.provenance = sums.provenance or dict(result.provenance)
        sums.disagreement = sums.disagreement or result.disagreement

    def result(self) -> ReplayResult:
        """The sum; for a single camera its own result."""
        parts = [part for place in sorted(self._parts) for part in self._parts[place]]
        problems = [p for place in sorted(self._problems) for p in self._problems[place]]
        if len(parts) == 1 and len(self._order) == 1 and self._only is not None:
            only = self._only
            for name in ('label_maps', 'frames_dir'):
                relative = getattr(only, name)
                setattr(only, name, relative and f'{self._only_folder}/{relative}')
            only.problems = problems
            return only
        result = self._sums
        result.bags = sorted(self._order, key=self._order.__getitem__)
        topics = {part['topic'] for part in parts}
        result.topic = topics.pop() if len(topics) == 1 else None
        fill_in(result, self._tallies, self._times, self._classes)
        if result.mode == 'offline' and result.frames_out:
            hashes = ''.join(part['labels_sha256'] or '' for part in parts)
            result.labels_sha256 = hashlib.sha256(hashes.encode()).hexdigest()
        if result.wall_s:
            result.rate_hz = round(result.frames_out / result.wall_s, 4)
        result.problems = problems
        notes = [note for place in sorted(self._notes) for note in self._notes[place]]
        result.notes = list(dict.fromkeys(notes))
        result.parts = parts
        return result

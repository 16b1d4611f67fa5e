"""The result over many bags and cameras: their sums, in the order of the bags."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.evaluation.replay.figures import Frames, Source
from edgesegnet_ros.evaluation.replay.one_bag import BagOutcome
from edgesegnet_ros.evaluation.replay.result import RESULT_NAME, Problem, ReplayResult
from edgesegnet_ros.evaluation.replay.tallies import Tallies
from edgesegnet_ros.evaluation.replay.tallies.times import StageTimes

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
        self._tallies = Tallies.empty(len(classes.classes))
        self._times = StageTimes()
        self._frames = Frames()
        self._duration_s = 0.0
        self._labels_from: set[str | None] = set()
        self._parts: dict[int, list[dict[str, Any]]] = {}
        self._problems: dict[int, list[Problem]] = {}
        self._notes: dict[int, list[str]] = {}
        self._first: ReplayResult | None = None
        self._only: ReplayResult | None = None
        self._only_folder = ''

    def add(self, outcome: BagOutcome) -> None:
        """Add the outcome of one bag."""
        position = self._order[outcome.bag]
        self._problems[position] = list(outcome.problems)
        self._notes[position] = list(outcome.notes)
        parts = self._parts.setdefault(position, [])
        for number, result in enumerate(outcome.results):
            folder = outcome.folders[number] if outcome.folders else None
            self._add(result)
            values = result.values()
            self._problems[position] += result.problems
            parts.append(
                {
                    'bag': outcome.bag,
                    'topic': result.source.topic,
                    'result': f'{folder}/{RESULT_NAME}' if folder else None,
                    **{name: values[name] for name in (*_SUMMED_UP, 'problems')},
                }
            )
            self._only, self._only_folder = result, folder or ''

    def _add(self, result: ReplayResult) -> None:
        assert result.tallies is not None
        self._tallies += result.tallies
        self._times += result.times
        self._frames += result.frames
        self._duration_s += result.source.duration_s or 0.0
        self._labels_from.add(result.source.labels_from)
        self._first = self._first or replace(result, series={})

    def result(self) -> ReplayResult:
        """The sum; for a single camera its own result."""
        parts = [part for position in sorted(self._parts) for part in self._parts[position]]
        problems = [p for position in sorted(self._problems) for p in self._problems[position]]
        if len(parts) == 1 and len(self._order) == 1 and self._only is not None:
            only, folder = self._only, self._only_folder
            files = replace(
                only.files,
                label_maps=only.files.label_maps and f'{folder}/{only.files.label_maps}',
                frames_dir=only.files.frames_dir and f'{folder}/{only.files.frames_dir}',
            )
            return replace(only, files=files, problems=problems)
        notes = [note for position in sorted(self._notes) for note in self._notes[position]]
        names = self._classes.names
        result = ReplayResult(
            classes=names,
            colors={entry.name: list(entry.color) for entry in self._classes.classes},
            source=self._source({part['topic'] for part in parts}),
            frames=self._frames,
            timing=self._times.timing(self._frames.frames_out),
            accuracy=self._tallies.accuracy.accuracy(names),
            consistency=self._tallies.consistency.consistency(names),
            masks=self._tallies.masks.masks(names, None),
            problems=problems,
            notes=list(dict.fromkeys(notes)),
            parts=parts,
            tallies=self._tallies,
            times=self._times,
        )
        return result if self._first is None else self._as_the_first(result, self._first)

    def _source(self, topics: set[str | None]) -> Source:
        return Source(
            sorted(self._order, key=self._order.__getitem__),
            topics.pop() if len(topics) == 1 else None,
            next(iter(self._labels_from)) if len(self._labels_from) == 1 else None,
            self._duration_s,
        )

    def _as_the_first(self, result: ReplayResult, first: ReplayResult) -> ReplayResult:
        """The sum with what all its parts have alike."""
        result = replace(result, mode=first.mode, provenance=dict(first.provenance))
        if first.disagreement is not None:
            other = first.disagreement
            disagreement = self._tallies.disagreement.disagreement(
                result.classes, other.model, other.engine, other.precision
            )
            result = replace(result, disagreement=disagreement)
        if first.mode == 'live':  # the stages are the node's, whose histograms are not known
            return replace(result, timing=replace(result.timing, stages_ms={}))
        if not result.frames.frames_out:
            return result
        hashes = ''.join(part['labels_sha256'] or '' for part in result.parts)
        sha256 = hashlib.sha256(hashes.encode()).hexdigest()
        return replace(result, masks=replace(result.masks, labels_sha256=sha256))

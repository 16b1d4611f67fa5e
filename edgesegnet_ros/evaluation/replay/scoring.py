"""Scores the frames of one camera in the order of the bag, and passes them to the sinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from edgesegnet_ros.data.bag import BagError
from edgesegnet_ros.data.classes import VOID, ClassSet
from edgesegnet_ros.data.geometry import compute_placement, to_source
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.evaluation.replay.flow import FlowConsistency
from edgesegnet_ros.evaluation.replay.frames import FrameSink, ReplayFrame
from edgesegnet_ros.evaluation.replay.problems import ProblemLog, reason
from edgesegnet_ros.evaluation.replay.series import Series
from edgesegnet_ros.evaluation.replay.tallies import Tallies
from edgesegnet_ros.evaluation.replay.tallies.masks import LabelHash
from edgesegnet_ros.evaluation.replay.tallies.times import StageTimes


class Labelled(NamedTuple):
    """A frame with labels.

    Attributes:
        frame: Without figures of its own yet.
        has_stamp: Whether its header had one.
        latency_ms: Picture to labels; None where unknown.
    """

    frame: ReplayFrame
    has_stamp: bool = True
    latency_ms: float | None = None


class Scoring:
    """All counts of one camera; `add` takes its frames one by one, from one thread.

    Args:
        where: Bag and topic, for problems.
        classes: Classes of the labels.
        flow: Whether neighbouring frames are compared.
        sinks: Take every frame.
        times: Takes those of `score`, `flow` and each sink.
        log: Takes what is wrong.

    Attributes:
        tallies: Counts.
        label_hash: Over all label maps.
        series: Over time.
    """

    def __init__(
        self,
        where: str,
        classes: ClassSet,
        flow: bool,
        sinks: Sequence[FrameSink],
        times: StageTimes,
        log: ProblemLog,
    ) -> None:
        self._where, self._times, self._log = where, times, log
        self._count = len(classes.classes)
        self._flow = FlowConsistency(self._count) if flow else None
        self._sinks = list(sinks)
        self.tallies = Tallies.empty(self._count)
        self.label_hash = LabelHash()
        self.series = Series([entry.name for entry in classes.classes])
        self._first_ns: int | None = None
        self._last_ns = 0
        self._size: tuple[int, ...] | None = None

    @property
    def duration_s(self) -> float | None:
        """Time from the first stamp to the latest, in s."""
        return None if self._first_ns is None else (self._last_ns - self._first_ns) * 1e-9

    def add(self, labelled: Labelled) -> None:
        """Score one frame and pass it to the sinks."""
        tallies = self.tallies
        with self._times.measure('score'):
            frame = self._with_known_truth(labelled.frame)
            follows = self._look_at(frame, labelled.has_stamp)
            self.label_hash.add(frame.labels)
            fractions, confidence = tallies.masks.add(frame.labels, frame.confidence)
            accuracy = self._score(frame)
            disagreement = None
            if frame.other is not None:
                disagreement = tallies.disagreement.add(frame.labels, frame.other)
        consistency = self._compare(frame, follows)
        assert self._first_ns is not None
        self.series.add(
            {
                't_s': (frame.stamp_ns - self._first_ns) * 1e-9,
                'latency_ms': labelled.latency_ms,
                'confidence': confidence,
                'consistency': consistency,
                'pixel_accuracy': accuracy,
                'disagreement': disagreement,
            },
            fractions,
        )
        self._hand_on(replace(frame, pixel_accuracy=accuracy, consistency=consistency))

    def close(self, complete: bool) -> None:
        """End after the last frame, or after an error."""
        for sink in self._sinks:
            self._guarded(sink, lambda sink=sink: sink.close(complete))
        self._sinks = []

    def skip(self) -> None:
        """Note a missing frame: its neighbours are not compared."""
        if self._flow is not None:
            self._flow.forget()

    def _look_at(self, frame: ReplayFrame, has_stamp: bool) -> bool:
        """Report anomalies; returns whether the frame follows the previous one in time."""
        where = f'{self._where}, image {frame.index}'
        if not has_stamp:
            self._log.add(
                'no_stamp', where, 'the stamp is zero; the time of recording is used instead', 1
            )
        first = self._first_ns is None
        follows = first or frame.stamp_ns > self._last_ns
        if not follows:
            self._log.add(
                'out_of_order',
                where,
                f'its stamp is {(self._last_ns - frame.stamp_ns) * 1e-09:g} s earlier than the '
                'latest so far (or equal to it): it is evaluated in the order of the recording, '
                'and not compared with its neighbours in time',
                1,
            )
        self._first_ns = frame.stamp_ns if first else self._first_ns
        self._last_ns = max(self._last_ns, frame.stamp_ns)
        size = frame.image.shape[:2]
        if self._size not in (None, size):
            assert self._size is not None
            self._log.add(
                'resolution_changes',
                where,
                f'the size changes from {self._size[1]}x{self._size[0]} to {size[1]}x{size[0]}: '
                'label maps follow, and the two frames are not compared in time',
                1,
            )
            follows = False
        self._size = size
        return follows

    def _with_known_truth(self, frame: ReplayFrame) -> ReplayFrame:
        truth = frame.truth
        if truth is None:
            return frame
        # CamVid's convention: the number of classes also means void.
        unknown = (truth > self._count) & (truth != VOID)
        if unknown.any():
            values = np.unique(truth[unknown]).tolist()
            self._log.add(
                'bad_labels',
                f'{self._where}, image {frame.index}',
                f'the labels hold {values}, which are not class ids: the image is not scored',
                1,
            )
            return replace(frame, truth=None)
        if (truth >= self._count).any():
            truth = np.where(truth >= self._count, np.uint8(VOID), truth)
        return replace(frame, truth=truth)

    def _score(self, frame: ReplayFrame) -> float | None:
        truth = frame.truth
        if truth is None:
            return None
        labels, confidence = frame.labels, frame.confidence
        if truth.shape != labels.shape:  # scored at the labels' own resolution
            self._log.add(
                'labels_size',
                f'{self._where}, image {frame.index}',
                f'its labels are {truth.shape[1]}x{truth.shape[0]}, the image is '
                f'{labels.shape[1]}x{labels.shape[0]}: scored at the size of the labels',
                1,
            )
            placement = compute_placement(truth.shape, labels.shape, 'stretch')
            labels = to_source(labels, placement)
            confidence = None if confidence is None else to_source(confidence, placement)
        return self.tallies.accuracy.add(labels, truth, confidence)

    def _compare(self, frame: ReplayFrame, follows: bool) -> float | None:
        if self._flow is None:
            return None
        with self._times.measure('flow'):
            if not follows:
                self._flow.forget()
            pair = self._flow.add(frame.image, frame.labels)
        if self.tallies.masks.frames == 1:  # the first has no neighbour before it
            return None
        return self.tallies.consistency.add(pair)

    def _hand_on(self, frame: ReplayFrame) -> None:
        for sink in list(self._sinks):
            with self._times.measure(sink.name):
                if not self._guarded(sink, lambda sink=sink: sink.on_frame(frame)):
                    self._sinks.remove(sink)
                    self._guarded(sink, lambda sink=sink: sink.close(False))

    def _guarded(self, sink: FrameSink, do: object) -> bool:
        """Whether a sink succeeded; a full disk costs its output, not the evaluation."""
        try:
            do()  # type: ignore[operator]
        except (OSError, BagError, EdgeSegNetError) as error:
            self._log.add(
                'not_written',
                f'{self._where}: {sink.name}',
                f'could not be written, and the partial output was removed: {reason(error)}',
            )
            return False
        return True

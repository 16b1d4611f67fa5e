"""Scores the frames of one camera in the order of the bag, and passes them to the sinks."""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from edgesegnet_ros.data.bag import BagError
from edgesegnet_ros.data.classes import VOID, ClassSet
from edgesegnet_ros.data.geometry import compute_placement, to_source
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.evaluation.accuracy import count_bytes, count_pixels
from edgesegnet_ros.evaluation.replay.flow import FlowConsistency
from edgesegnet_ros.evaluation.replay.frames import FrameSink, ReplayFrame
from edgesegnet_ros.evaluation.replay.problems import ProblemLog, reason
from edgesegnet_ros.evaluation.replay.series import Series
from edgesegnet_ros.evaluation.replay.tallies import Tallies, Times


class Labelled(NamedTuple):
    """A frame with labels.

    Attributes:
        frame: Without figures of its own yet.
        has_stamp: Whether its header had one.
        latency_ms: Picture to labels; None where unknown.
        other: (H, W) uint8, labels of the second engine; None without one.
    """

    frame: ReplayFrame
    has_stamp: bool = True
    latency_ms: float | None = None
    other: np.ndarray | None = None


class Scoring:
    """All counts of one camera; `add` takes its frames one by one, from one thread.

    Args:
        where: Bag and topic, for problems.
        classes: Classes of the labels.
        flow: Whether neighbouring frames are compared.
        sinks: Take every frame.
        log: Takes what is wrong.

    Attributes:
        tallies: Counts.
        times: Stage -> times, of `score`, `flow` and each sink.
        series: Over time.
        jumps: Frames whose size is not the former's.
    """

    def __init__(
        self,
        where: str,
        classes: ClassSet,
        flow: bool,
        sinks: Sequence[FrameSink],
        log: ProblemLog,
    ) -> None:
        self._where, self._log = where, log
        self._count = len(classes.classes)
        self._flow = FlowConsistency(self._count) if flow else None
        self._sinks = list(sinks)
        self.tallies = Tallies(self._count)
        self.series = Series([entry.name for entry in classes.classes])
        self.times = {
            name: Times()
            for name in ('score', *(['flow'] if flow else []), *(sink.name for sink in sinks))
        }
        self._digest = hashlib.sha256()
        self._first_ns: int | None = None
        self._last_ns = 0
        self._size: tuple[int, ...] | None = None

    @property
    def labels_sha256(self) -> str | None:
        """SHA-256 of all label maps: height and width (little-endian uint32) and ids of each."""
        return self._digest.hexdigest() if self.tallies.frames else None

    @property
    def duration_s(self) -> float | None:
        """Time from the first stamp to the latest, in s."""
        return None if self._first_ns is None else (self._last_ns - self._first_ns) * 1e-9

    def add(self, labelled: Labelled) -> None:
        """Score one frame and pass it to the sinks."""
        began = time.perf_counter()
        frame = self._with_known_truth(labelled.frame)
        follows = self._look_at(frame, labelled.has_stamp)
        labels = frame.labels
        self._digest.update(struct.pack('<II', *labels.shape))
        self._digest.update(np.ascontiguousarray(labels).data)
        pixels = _by_class(labels, self._count)
        tallies = self.tallies
        tallies.frames += 1
        tallies.pixels += pixels
        confidence = None
        if frame.confidence is not None:
            counts = count_bytes(frame.confidence)
            tallies.confidence += counts
            confidence = float(counts @ np.arange(256) / labels.size / 255.0)
        accuracy = self._score(frame)
        disagreement = self._disagreement(labelled.other, labels)
        self.times['score'].add((time.perf_counter() - began) * 1e3)
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
            pixels[:-1] / labels.size,
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
        place_ = f'{self._where}, image {frame.index}'
        if not has_stamp:
            self._log.add(
                'no_stamp', place_, 'the stamp is zero; the time of recording is used instead', 1
            )
        first = self._first_ns is None
        follows = first or frame.stamp_ns > self._last_ns
        if not follows:
            self._log.add(
                'out_of_order',
                place_,
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
                place_,
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
        counts = count_pixels(labels, truth, self._count)
        total = int(counts.sum())
        if not total:
            return None
        self.tallies.frames_scored += 1
        self.tallies.confusion += counts
        if confidence is not None:
            known = truth != VOID
            self.tallies.bins_pixels += count_bytes(confidence, known)
            self.tallies.bins_right += count_bytes(confidence, known & (labels == truth))
        return float(np.trace(counts)) / total

    def _disagreement(self, other: np.ndarray | None, labels: np.ndarray) -> float | None:
        if other is None:
            return None
        differ = _by_class(labels[labels != other], self._count)
        self.tallies.against_pixels += _by_class(labels, self._count)
        self.tallies.against_differ += differ
        return float(differ.sum()) / labels.size

    def _compare(self, frame: ReplayFrame, follows: bool) -> float | None:
        if self._flow is None:
            return None
        began = time.perf_counter()
        first = self.tallies.frames == 1
        if not follows:
            self._flow.forget()
        pair = self._flow.add(frame.image, frame.labels)
        self.times['flow'].add((time.perf_counter() - began) * 1e3)
        if pair is None:
            self.tallies.pairs_skipped += not first
            return None
        self.tallies.pairs += 1
        self.tallies.flow_pixels += pair.pixels
        self.tallies.flow_compared += pair.compared
        self.tallies.flow_agreed += pair.agreed
        return pair.share

    def _hand_on(self, frame: ReplayFrame) -> None:
        for sink in list(self._sinks):
            began = time.perf_counter()
            if not self._guarded(sink, lambda sink=sink: sink.on_frame(frame)):
                self._sinks.remove(sink)
                self._guarded(sink, lambda sink=sink: sink.close(False))
            self.times[sink.name].add((time.perf_counter() - began) * 1e3)

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


def _by_class(labels: np.ndarray, count: int) -> np.ndarray:
    """(count + 1) int64 pixels by class; those without a class are the last."""
    counts = count_bytes(labels)
    return np.append(counts[:count], counts[count:].sum())

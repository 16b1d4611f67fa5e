"""The sums of label maps compared with ground truth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgesegnet_ros.data.classes import VOID
from edgesegnet_ros.evaluation.accuracy import Scores, count_bytes, count_pixels
from edgesegnet_ros.evaluation.calibration import Reliability
from edgesegnet_ros.evaluation.replay.figures import Accuracy
from edgesegnet_ros.evaluation.replay.tallies.sums import Sums, zeros


@dataclass
class AccuracyTally(Sums):
    """How the label maps compare with ground truth.

    Attributes:
        frames_scored: Frames with ground truth.
        confusion: (N, N + 1) int64; rows are true classes, columns predicted, the last for
            pixels that were left unlabelled.
        bins_pixels: (256) int64, scored pixels by confidence.
        bins_right: (256) int64, those of them that are right.
    """

    frames_scored: int
    confusion: np.ndarray
    bins_pixels: np.ndarray
    bins_right: np.ndarray

    @classmethod
    def empty(cls, num_classes: int) -> AccuracyTally:
        """Of no frame."""
        return cls(0, zeros(num_classes, num_classes + 1), zeros(256), zeros(256))

    def add(
        self, labels: np.ndarray, truth: np.ndarray, confidence: np.ndarray | None
    ) -> float | None:
        """Count one frame.

        Args:
            labels: (H, W) uint8 class ids, 255 for unlabelled, which counts as wrong.
            truth: (H, W) uint8 class ids, 255 for void, which is not counted.
            confidence: (H, W) uint8, or None.

        Returns:
            The pixel accuracy of this frame, 0-1; None where all of it is void.
        """
        counts = count_pixels(labels, truth, len(self.confusion))
        total = int(counts.sum())
        if not total:
            return None
        self.frames_scored += 1
        self.confusion += counts
        if confidence is not None:
            known = truth != VOID
            self.bins_pixels += count_bytes(confidence, known)
            self.bins_right += count_bytes(confidence, known & (labels == truth))
        return float(np.trace(counts)) / total

    def agreement_and_chance(self) -> tuple[float, float]:
        """Share of pixels whose label is the true one, and the share that chance would give.

        Chance is a random permutation of the predicted labels (the expected agreement of Cohen's
        kappa, 1960).

        Returns:
            Both shares in 0 to 1; (0, 0) where nothing was scored.
        """
        total = float(self.confusion.sum())
        if not total:
            return 0.0, 0.0
        predicted = self.confusion.sum(0)[:-1]
        chance = float(self.confusion.sum(1) @ predicted) / total**2
        return float(np.trace(self.confusion[:, :-1])) / total, chance

    def accuracy(self, names: list[str]) -> Accuracy:
        """The figures."""
        if not self.confusion.sum():
            return Accuracy(self.frames_scored)
        scores = Scores(self.confusion[:, :-1], self.frames_scored, declined=self.confusion[:, -1])
        return Accuracy(
            self.frames_scored,
            _finite(scores.pixel_accuracy),
            _finite(scores.miou),
            {name: _finite(value) for name, value in zip(names, scores.iou, strict=True)},
            self.confusion.tolist(),
            _finite(Reliability(self.bins_pixels, self.bins_right).ece()),
        )


def _finite(value: float) -> float | None:
    """The number, or None where it is none (a mean over nothing)."""
    return float(value) if math.isfinite(value) else None

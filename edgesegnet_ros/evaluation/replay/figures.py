"""Figures from sums, for one camera of one bag as for a thousand bags."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.evaluation.accuracy import Scores
from edgesegnet_ros.evaluation.calibration import Reliability
from edgesegnet_ros.evaluation.replay.result import ReplayResult
from edgesegnet_ros.evaluation.replay.tallies import Tallies, Times

UNLABELLED = 'unlabelled'


def fill_in(
    result: ReplayResult, tallies: Tallies, times: dict[str, Times], classes: ClassSet
) -> None:
    """Set every figure of a result that follows from sums, and the sums themselves.

    Args:
        result: Takes them.
        tallies: Counts.
        times: By stage; `latency` is the whole.
        classes: Names and colours.
    """
    names = [entry.name for entry in classes.classes]
    result.classes = names
    result.colors = {entry.name: list(entry.color) for entry in classes.classes}
    result.frames_out = tallies.frames
    result.latency_ms = times['latency'].summary() if 'latency' in times else result.latency_ms
    result.stages_ms = {
        stage: summary
        for stage, spent in times.items()
        if stage != 'latency' and (summary := spent.summary()) is not None
    }
    _accuracy(result, tallies, names)
    _without_labels(result, tallies, names)
    result.tallies = tallies.to_json()
    result.times = {stage: spent.to_json() for stage, spent in times.items()}


def agreement_and_chance(confusion: np.ndarray) -> tuple[float, float]:
    """Share of pixels whose label is right, and the share expected by chance.

    Chance is a random permutation of the predicted labels (the expected agreement of Cohen's
    kappa, 1960).

    Args:
        confusion: (C, C + 1) pixels by true class and predicted class; the last column holds
            unlabelled predictions.

    Returns:
        Both shares in 0 to 1; (0, 0) where nothing was scored.
    """
    total = float(confusion.sum())
    if not total:
        return 0.0, 0.0
    predicted = confusion.sum(0)[:-1]
    chance = float(confusion.sum(1) @ predicted) / total**2
    return float(np.trace(confusion[:, :-1])) / total, chance


def _accuracy(result: ReplayResult, tallies: Tallies, names: list[str]) -> None:
    result.frames_scored = tallies.frames_scored
    if not tallies.confusion.sum():
        result.pixel_accuracy = result.miou = result.iou = result.confusion = result.ece = None
        return
    scores = Scores(
        tallies.confusion[:, :-1], tallies.frames_scored, declined=tallies.confusion[:, -1]
    )
    result.pixel_accuracy = finite(scores.pixel_accuracy)
    result.miou = finite(scores.miou)
    result.iou = {name: finite(value) for name, value in zip(names, scores.iou, strict=True)}
    result.confusion = tallies.confusion.tolist()
    result.ece = finite(Reliability(tallies.bins_pixels, tallies.bins_right).ece())


def _without_labels(result: ReplayResult, tallies: Tallies, names: list[str]) -> None:
    compared, agreed = tallies.flow_compared, tallies.flow_agreed
    result.consistency_pairs = tallies.pairs
    result.temporal_consistency = _share(agreed.sum(), compared.sum())
    result.consistency_coverage = _share(compared.sum(), tallies.flow_pixels)
    result.flicker = None
    if compared.sum():
        result.flicker = {
            name: _share(compared[i] - agreed[i], compared[i]) for i, name in enumerate(names)
        }
    result.fractions = None
    total = tallies.pixels.sum()
    if total:
        result.fractions = {name: float(tallies.pixels[i] / total) for i, name in enumerate(names)}
        if tallies.pixels[-1]:
            result.fractions[UNLABELLED] = float(tallies.pixels[-1] / total)
    counts = tallies.confidence
    if counts.sum():
        result.confidence_histogram = counts.tolist()
        result.mean_confidence = float(counts @ np.arange(256) / counts.sum() / 255.0)
    if result.disagreement is not None:
        result.disagreement |= {
            'pixels': _share(tallies.against_differ.sum(), tallies.against_pixels.sum()),
            'per_class': {
                name: _share(tallies.against_differ[i], tallies.against_pixels[i])
                for i, name in enumerate(names)
            },
        }


def _share(part: Any, whole: Any) -> float | None:
    return float(part) / float(whole) if whole else None


def finite(value: float) -> float | None:
    """The number, or None if it is not finite (such as a mean over nothing)."""
    return float(value) if math.isfinite(value) else None

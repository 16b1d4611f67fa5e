"""One pass over a labelled split: accuracy, calibration and worst images, in bounded memory."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from edgesegnet_ros.data import camvid_colors
from edgesegnet_ros.data.datasets import Dataset, Sample
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.evaluation.accuracy import Scores
from edgesegnet_ros.evaluation.calibration import LogitsReference, Reliability

WORST = 10


@dataclass(order=True)
class WorstImage:
    """An image that was segmented badly.

    Attributes:
        badness: 1 - pixel_accuracy, by which the heap is ordered.
        name: Name of its file.
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class ids, 255 for void.
        predicted: (H, W) uint8 class ids.
    """

    badness: float
    name: str
    image: np.ndarray = field(compare=False)
    labels: np.ndarray = field(compare=False)
    predicted: np.ndarray = field(compare=False)

    @property
    def pixel_accuracy(self) -> float:
        """Pixel accuracy of this image alone, 0-1."""
        return 1.0 - self.badness


@dataclass
class Measurement:
    """The results of one pass.

    Attributes:
        scores: Scores of the engine's labels.
        reliability: Reliability of the engine's confidence, at the temperature in the weights.
        at_temperature: Temperature -> reliability of fp32 logits; empty without a reference.
        worst: At most `WORST` images, the worst first.
    """

    scores: Scores
    reliability: Reliability
    at_temperature: dict[float, Reliability]
    worst: list[WorstImage]


def measure(
    segmenter: Segmenter,
    dataset: Dataset,
    samples: Iterable[Sample],
    reference: LogitsReference | None = None,
    temperatures: Iterable[float] = (),
) -> Measurement:
    """Segment each image once, as the node does, and score it at the resolution of the labels.

    Args:
        segmenter: Must have the output resolution `input`.
        dataset: Its classes are scored: those of the network, or the 11 for a network of
            CamVid's 32 classes, whose labels are then folded.
        samples: They are read one by one; only the worst images are kept.
        reference: If given, the calibration of its logits is measured, too.
        temperatures: Temperatures at which that calibration is measured.
    """
    num_classes = len(dataset.classes.classes)
    folds = num_classes != segmenter.engine.num_classes
    found = Measurement(
        Scores.empty(num_classes), Reliability(), {t: Reliability() for t in temperatures}, []
    )
    for sample in samples:
        image, labels = dataset.read(sample)
        result = segmenter.segment(image, confidence=True)
        assert result.confidence is not None
        predicted = camvid_colors.fold(result.labels) if folds else result.labels
        accuracy = found.scores.add(predicted, labels)
        found.reliability.add(result.confidence, predicted, labels)
        if reference is not None:
            reference.count(image, labels, found.at_temperature)
        if not math.isnan(accuracy):
            entry = WorstImage(1.0 - accuracy, sample.image.name, image, labels, predicted.copy())
            if len(found.worst) < WORST:
                heapq.heappush(found.worst, entry)
            else:
                heapq.heappushpop(found.worst, entry)
    found.worst.sort(reverse=True)
    return found

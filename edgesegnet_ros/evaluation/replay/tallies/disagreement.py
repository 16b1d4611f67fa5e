"""The sums of label maps compared with those of a second engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesegnet_ros.evaluation.replay.figures import Disagreement
from edgesegnet_ros.evaluation.replay.tallies.sums import Sums, by_class, share, zeros


@dataclass
class DisagreementTally(Sums):
    """How the label maps compare with those of a second engine.

    Attributes:
        against_pixels: (N + 1) int64, pixels compared with the second engine, by our class.
        against_differ: (N + 1) int64, those where it says another class.
    """

    against_pixels: np.ndarray
    against_differ: np.ndarray

    @classmethod
    def empty(cls, num_classes: int) -> DisagreementTally:
        """Of no frame."""
        return cls(zeros(num_classes + 1), zeros(num_classes + 1))

    def add(self, labels: np.ndarray, other: np.ndarray) -> float:
        """Count one frame.

        Args:
            labels: (H, W) uint8 class ids.
            other: (H, W) uint8 class ids of the second engine.

        Returns:
            The share of its pixels that differ, 0-1.
        """
        columns = len(self.against_pixels)
        differ = by_class(labels[labels != other], columns)
        self.against_pixels += by_class(labels, columns)
        self.against_differ += differ
        return float(differ.sum()) / labels.size

    def disagreement(
        self, names: list[str], model: str, engine: str, precision: str
    ) -> Disagreement:
        """The figures.

        Args:
            names: Of the classes.
            model: The other model's name.
            engine: Its back end.
            precision: Its number format.
        """
        pixels, differ = self.against_pixels, self.against_differ
        return Disagreement(
            model,
            engine,
            precision,
            share(differ.sum(), pixels.sum()),
            {name: share(differ[i], pixels[i]) for i, name in enumerate(names)},
        )

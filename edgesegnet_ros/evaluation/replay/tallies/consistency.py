"""The sums of neighbouring label maps compared along optical flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesegnet_ros.evaluation.replay.figures import Consistency
from edgesegnet_ros.evaluation.replay.flow import PairAgreement
from edgesegnet_ros.evaluation.replay.tallies.sums import Sums, share, zeros


@dataclass
class ConsistencyTally(Sums):
    """How neighbouring label maps compare along optical flow.

    Attributes:
        pairs: Neighbouring frames compared along optical flow.
        pairs_skipped: Neighbours that could not be: another size, or time that did not rise.
        flow_pixels: Pixels of all pairs, at the size of the flow.
        flow_compared: (N + 1) int64, pixels whose flow passed the check, by the former class.
        flow_agreed: (N + 1) int64, those that kept their class.
    """

    pairs: int
    pairs_skipped: int
    flow_pixels: int
    flow_compared: np.ndarray
    flow_agreed: np.ndarray

    @classmethod
    def empty(cls, num_classes: int) -> ConsistencyTally:
        """Of no pair."""
        return cls(0, 0, 0, zeros(num_classes + 1), zeros(num_classes + 1))

    def add(self, pair: PairAgreement | None) -> float | None:
        """Count two neighbouring frames; None where they could not be compared.

        Returns:
            The share of their pixels that keep their class, 0-1; None where unknown.
        """
        if pair is None:
            self.pairs_skipped += 1
            return None
        self.pairs += 1
        self.flow_pixels += pair.pixels
        self.flow_compared += pair.compared
        self.flow_agreed += pair.agreed
        return pair.share

    def consistency(self, names: list[str]) -> Consistency:
        """The figures."""
        compared, agreed = self.flow_compared, self.flow_agreed
        total = compared.sum()
        return Consistency(
            share(agreed.sum(), total),
            self.pairs,
            share(total, self.flow_pixels),
            {name: share(compared[i] - agreed[i], compared[i]) for i, name in enumerate(names)}
            if total
            else None,
        )

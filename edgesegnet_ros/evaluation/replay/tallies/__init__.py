"""What a replay counts, by idea: sums alone, so that bags add up without their frames.

Each tally owns its sums, counts a frame, and gives its part of the result. Adding another's sums
gives what both recordings together would have counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgesegnet_ros.evaluation.replay.tallies.accuracy import AccuracyTally
from edgesegnet_ros.evaluation.replay.tallies.consistency import ConsistencyTally
from edgesegnet_ros.evaluation.replay.tallies.disagreement import DisagreementTally
from edgesegnet_ros.evaluation.replay.tallies.masks import MaskTally
from edgesegnet_ros.evaluation.replay.tallies.sums import Sums

_KINDS: Any = (MaskTally, AccuracyTally, ConsistencyTally, DisagreementTally)


@dataclass
class Tallies:
    """All sums over a camera's frames.

    Attributes:
        num_classes: Of all of them.
        masks: What the label maps hold.
        accuracy: Against ground truth.
        consistency: Along optical flow.
        disagreement: Against a second engine.
    """

    num_classes: int
    masks: MaskTally
    accuracy: AccuracyTally
    consistency: ConsistencyTally
    disagreement: DisagreementTally

    @classmethod
    def empty(cls, num_classes: int) -> Tallies:
        """Of no frame."""
        return cls(num_classes, *(kind.empty(num_classes) for kind in _KINDS))

    def _parts(self) -> tuple[Sums, ...]:
        return (self.masks, self.accuracy, self.consistency, self.disagreement)

    def __iadd__(self, other: Tallies) -> Tallies:
        """Count all of another's.

        Raises:
            ValueError: It counted other classes.
        """
        if other.num_classes != self.num_classes:
            raise ValueError(f'{other.num_classes} classes are not {self.num_classes}')
        for mine, theirs in zip(self._parts(), other._parts(), strict=True):
            mine += theirs
        return self

    def to_json(self) -> dict[str, Any]:
        """All sums by name."""
        values: dict[str, Any] = {'num_classes': self.num_classes}
        for part in self._parts():
            values |= part.to_json()
        return values

    @classmethod
    def from_json(cls, text: dict[str, Any]) -> Tallies:
        """What `to_json` gave."""
        return cls(text['num_classes'], *(kind.from_json(text) for kind in _KINDS))

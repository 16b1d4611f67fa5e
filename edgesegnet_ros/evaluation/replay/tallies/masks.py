"""The sums of what label maps hold."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import numpy as np

from edgesegnet_ros.evaluation.accuracy import count_bytes
from edgesegnet_ros.evaluation.replay.figures import Masks
from edgesegnet_ros.evaluation.replay.tallies.sums import Sums, by_class, zeros

UNLABELLED = 'unlabelled'


class LabelHash:
    """SHA-256 over all label maps in order: of each its height, its width and its ids.

    It does not add up and cannot be pickled, so it is no part of the tally.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._empty = True

    def add(self, labels: np.ndarray) -> None:
        """Add one label map, (H, W) uint8; height and width go first, as little-endian uint32."""
        self._digest.update(struct.pack('<II', *labels.shape))
        self._digest.update(np.ascontiguousarray(labels).data)
        self._empty = False

    def hexdigest(self) -> str | None:
        """In hexadecimal digits; None of no label map."""
        return None if self._empty else self._digest.hexdigest()


@dataclass
class MaskTally(Sums):
    """What the label maps hold.

    Attributes:
        frames: Label maps that came out.
        pixels: (N + 1) int64, pixels of each class; the last are unlabelled ones.
        confidence: (256) int64, pixels by their confidence as uint8.
    """

    frames: int
    pixels: np.ndarray
    confidence: np.ndarray

    @classmethod
    def empty(cls, num_classes: int) -> MaskTally:
        """Of no frame."""
        return cls(0, zeros(num_classes + 1), zeros(256))

    def add(
        self, labels: np.ndarray, confidence: np.ndarray | None
    ) -> tuple[np.ndarray, float | None]:
        """Count one frame.

        Args:
            labels: (H, W) uint8 class ids, 255 for unlabelled.
            confidence: (H, W) uint8, or None.

        Returns:
            (N,) share of each class in it, 0-1, and its mean confidence, 0-1.
        """
        self.frames += 1
        pixels = by_class(labels, len(self.pixels))
        self.pixels += pixels
        mean = None
        if confidence is not None:
            counts = count_bytes(confidence)
            self.confidence += counts
            mean = _mean_level(counts)
        return pixels[:-1] / labels.size, mean

    def masks(self, names: list[str], labels_sha256: str | None) -> Masks:
        """The figures.

        Args:
            names: Of the classes.
            labels_sha256: Over the label maps; a sum does not know it.
        """
        total, fractions = int(self.pixels.sum()), None
        if total:
            shares = (self.pixels / total).tolist()
            fractions = dict(zip(names, shares, strict=False))
            if self.pixels[-1]:
                fractions[UNLABELLED] = shares[-1]
        known = bool(self.confidence.sum())
        return Masks(
            labels_sha256,
            fractions,
            self.confidence.tolist() if known else None,
            _mean_level(self.confidence) if known else None,
        )


def _mean_level(counts: np.ndarray) -> float:
    """Mean of uint8 levels as 0-1."""
    return float(counts @ np.arange(256) / counts.sum() / 255.0)

"""Temporal consistency: the share of pixels that keep their class along optical flow.

Dense inverse search (Kroeger et al. 2016, arXiv 1603.03590; OpenCV's DISOpticalFlow) follows
each pixel from one frame to the next and back; where it does not come back, something was covered
or uncovered and nothing is compared. The check is that of Sundaram et al. 2010 (ECCV, eq. 5).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from edgesegnet_ros.data.classes import VOID

LONGER_SIDE = 320
"""Number of pixels for optical flow: enough to follow a pole, at a tenth of VGA's cost."""
_RELATIVE, _ABSOLUTE = 0.01, 0.5
"""The check is |forward + backward|^2 < 0.01 (|forward|^2 + |backward|^2) + 0.5, in pixels."""


class PairAgreement(NamedTuple):
    """Two neighbouring frames compared.

    Attributes:
        pixels: At the size of the flow.
        compared: (N + 1) int64, pixels that passed the check, by their class in the former
            frame; the last for unlabelled ones.
        agreed: (N + 1) int64, those that have the same class in the latter.
    """

    pixels: int
    compared: np.ndarray
    agreed: np.ndarray

    @property
    def share(self) -> float | None:
        """Share of the compared pixels that agree; None if no pixel passed the check."""
        compared = int(self.compared.sum())
        return float(self.agreed.sum()) / compared if compared else None


class FlowConsistency:
    """Compares the labels of each frame with those of the previous frame, along optical flow.

    Args:
        num_classes: Ids are below it, or unlabelled.
    """

    def __init__(self, num_classes: int) -> None:
        self._columns = num_classes + 1
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._former: tuple[np.ndarray, np.ndarray] | None = None
        self._former_size: tuple[int, int] | None = None

    def forget(self) -> None:
        """Forget the previous frame."""
        self._former = self._former_size = None

    def add(self, image: np.ndarray, labels: np.ndarray) -> PairAgreement | None:
        """Compare a frame with the previous one.

        Args:
            image: (H, W, 3) uint8 RGB.
            labels: (H, W) uint8 class ids.

        Returns:
            None for the first frame, and for one of another size.
        """
        size = image.shape[:2]
        grey, small = self._small(image, labels)
        former, same = self._former, self._former_size == size
        self._former, self._former_size = (grey, small), size
        if former is None or not same or min(grey.shape) < 16:
            return None
        return self._compare(former[0], former[1], grey, small)

    def _small(self, image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height, width = image.shape[:2]
        scale = min(1.0, LONGER_SIDE / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        ids = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.minimum(ids, self._columns - 1)

    def _compare(
        self, grey0: np.ndarray, labels0: np.ndarray, grey1: np.ndarray, labels1: np.ndarray
    ) -> PairAgreement:
        forward = self._flow.calc(grey0, grey1, None)
        backward = self._flow.calc(grey1, grey0, None)
        height, width = grey0.shape
        columns, rows = np.meshgrid(
            np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        )
        there_x, there_y = columns + forward[..., 0], rows + forward[..., 1]
        back = cv2.remap(backward, there_x, there_y, cv2.INTER_LINEAR)
        arrived = cv2.remap(
            labels1,
            there_x,
            there_y,
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=VOID,
        )
        missed = np.square(forward + back).sum(-1)
        length = np.square(forward).sum(-1) + np.square(back).sum(-1)
        valid = (missed < _RELATIVE * length + _ABSOLUTE) & (arrived != VOID)
        before, after = labels0[valid], arrived[valid]
        compared = np.bincount(before, minlength=self._columns)
        agreed = np.bincount(before[before == after], minlength=self._columns)
        return PairAgreement(labels0.size, compared, agreed)

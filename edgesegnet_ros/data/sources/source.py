"""What every kind of input gives: frames, one at a time in memory."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from edgesegnet_ros.errors import EdgeSegNetError

START_NS = 1_700_000_000_000_000_000
"""Stamp of the first frame where the input has no stamps of its own."""
PERIOD_NS = 100_000_000
"""Between the frames of a folder, and of a video that does not tell its rate."""

MOST_REASONS = 5
"""How many skipped images a source explains."""

_log = logging.getLogger(__name__)


class SourceError(EdgeSegNetError):
    """An input without images; the message names it and lists the accepted inputs."""


class CameraModel(NamedTuple):
    """Camera calibration as in sensor_msgs/CameraInfo; k is all zeros without calibration.

    Attributes:
        width: Width of the calibrated image in pixels.
        height: Height of the calibrated image in pixels.
        distortion_model: plumb_bob, rational_polynomial, …
        d: Distortion parameters.
        k: (9) intrinsic matrix, row by row, in pixels.
        r: (9) rectification matrix.
        p: (12) projection matrix, in pixels.
    """

    width: int
    height: int
    distortion_model: str
    d: Tuple[float, ...]
    k: Tuple[float, ...]
    r: Tuple[float, ...]
    p: Tuple[float, ...]


class SourceFrame(NamedTuple):
    """One image of a source.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (h, w) uint8 class ids, 255 for void; None without ground truth.
        stamp_ns: Nanoseconds since the epoch, greater than the frame before it.
        name: Name of the file, or the frame's number.
        camera: The camera's calibration, where the input has one.
    """

    image: np.ndarray
    labels: Optional[np.ndarray]
    stamp_ns: int
    name: str
    camera: Optional[CameraModel] = None


class Source(ABC):
    """A source of frames; each iteration starts from the beginning.

    Attributes:
        name: Name that the user gave.
        total: Number of frames; None if it is unknown before the end.
        has_labels: Whether frames can have ground truth.
        live: Whether frames arrive in real time and cannot wait.
        label_topic: Label topic of the ground truth, of a bag; else empty.
        skipped: Number of images so far that could not be used.
        reasons: Reasons for the first few of them.
    """

    def __init__(
        self, name: str, total: Optional[int], has_labels: bool = False, live: bool = False
    ) -> None:
        self.name = name
        self.total = total
        self.has_labels = has_labels
        self.live = live
        self.label_topic = ''
        self.skipped = 0
        self.reasons: List[str] = []

    def _skip(self, problem: str) -> None:
        """Count an image that cannot be used, and log the reason."""
        self.skipped += 1
        if len(self.reasons) < MOST_REASONS:
            self.reasons.append(problem)
        _log.warning('%s', problem)

    @abstractmethod
    def __iter__(self) -> Iterator[SourceFrame]:
        """Frames in the order of their stamps.

        Raises:
            SourceError: A frame cannot be read.
        """

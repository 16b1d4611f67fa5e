"""The frames of a replay, and the interface of their consumers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class ReplayFrame:
    """One frame with all its data. The arrays belong to the receiver, who may keep them.

    Attributes:
        index: Index of the image in its bag and topic, from 0, frames that gave no labels counted.
        stamp_ns: Stamp in ns of the image's header.
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class ids, 255 for unlabelled; a dropped frame does not come here.
        truth: (h, w) uint8 class ids, 255 for void, or None.
        confidence: (H, W) uint8, or None where it was not asked for.
        other: (H, W) uint8 labels of the second engine (`--against`), or None without one.
        pixel_accuracy: Pixel accuracy of this frame, 0-1; None without truth.
        consistency: With the frame before along flow, 0-1; None where unknown.
        source: The image message as rosbags gives it.
        camera_info: CameraInfo message of this camera, or None.
    """

    index: int
    stamp_ns: int
    image: np.ndarray
    labels: np.ndarray
    truth: np.ndarray | None = None
    confidence: np.ndarray | None = None
    other: np.ndarray | None = None
    pixel_accuracy: float | None = None
    consistency: float | None = None
    source: Any = None
    camera_info: Any = None


class FrameSink(Protocol):
    """Consumes frames in the order of the bag, in one thread, and keeps only a few.

    A sink that raises OSError or EdgeSegNetError is not used from there on (`close(False)` is
    called); the replay continues and the result says so.

    Attributes:
        name: Under which its time is in `ReplayResult.costs_s`, such as `pictures` or `video`.
    """

    name: str

    def on_frame(self, frame: ReplayFrame) -> None:
        """Consume one frame."""

    def close(self, complete: bool) -> None:
        """End after the last frame.

        Args:
            complete: False after an error: what was begun is removed.
        """

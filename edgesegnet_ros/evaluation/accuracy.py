"""Pixel accuracy and mIoU without void pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from edgesegnet_ros.engines.segmenter import Segmenter

EXACT = 2**24
"""Largest number of pixels for which OpenCV's float32 counts are exact."""


def count_pixels(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Pixels by true and predicted class.

    torchmetrics gives the same counts, in eight times the time; the tests compare them.

    Args:
        predicted: (H, W) uint8 class ids; those without a class (255) are left unlabelled.
        labels: (H, W) uint8 class ids; 255 (void) is not counted.
        classes: Number of classes; labels are below it, or void.

    Returns:
        (classes, classes + 1) int64; rows are true classes, the last column is "unlabelled".
    """
    columns = classes + 1
    # A byte holds every pair of up to 15 classes, and bytes are counted five times as fast.
    dtype = np.uint8 if columns**2 <= 256 else np.uint16
    pairs = np.multiply(np.minimum(labels, classes), columns, dtype=dtype)
    pairs += np.minimum(predicted, classes)
    if dtype is np.uint8:
        counts = count_bytes(pairs)[: columns**2]
    else:
        counts = np.bincount(pairs.ravel(), minlength=columns**2)
    return counts.reshape(columns, columns)[:classes]


def count_bytes(values: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """How often each value occurs.

    Args:
        values: (H, W) uint8.
        where: (H, W) bool, the pixels that are counted; all of them where not given.

    Returns:
        (256,) int64.
    """
    if values.size >= EXACT:
        return np.bincount((values if where is None else values[where]).ravel(), minlength=256)
    mask = None if where is None else where.view(np.uint8)
    return cv2.calcHist([values], [0], mask, [256], [0, 256]).ravel().astype(np.int64)


@dataclass
class Scores:
    """A confusion matrix and what is read from it.

    Attributes:
        confusion: (classes, classes) int64 pixel counts; rows are the true classes.
        images: Number of images counted.
        declined: (classes) int64, pixels of each true class that were left unlabelled.
    """

    confusion: np.ndarray
    images: int = 0
    declined: np.ndarray = None  # type: ignore[assignment]

    @classmethod
    def empty(cls, num_classes: int) -> Scores:
        """Scores of no image."""
        return cls(np.zeros((num_classes, num_classes), np.int64))

    def add(self, predicted: np.ndarray, labels: np.ndarray) -> float:
        """Count one image.

        Args:
            predicted: (H, W) uint8 class ids; 255 (unlabelled by choice) counts as wrong.
            labels: (H, W) uint8 class ids; 255 (void) is not counted.

        Returns:
            The pixel accuracy of this image alone, 0-1; nan where all of it is void.
        """
        counts = count_pixels(predicted, labels, len(self.confusion))
        self.confusion += counts[:, :-1]
        self.declined += counts[:, -1]
        self.images += 1
        total = int(counts.sum())
        return float(np.trace(counts) / total) if total else float('nan')

    def __post_init__(self) -> None:
        if self.declined is None:
            self.declined = np.zeros(len(self.confusion), np.int64)

    @property
    def pixels(self) -> np.ndarray:
        """(classes,) int64 labelled pixels of each true class, including those left unlabelled."""
        return self.confusion.sum(1) + self.declined

    @property
    def pixel_accuracy(self) -> float:
        """Share of the labelled pixels that are right, 0-1; nan without any."""
        total = self.pixels.sum()
        return float(np.trace(self.confusion) / total) if total else float('nan')

    @property
    def iou(self) -> np.ndarray:
        """(classes,) intersection over union, 0-1; nan for a class that never occurs."""
        hits = np.diag(self.confusion).astype(np.float64)
        union = self.confusion.sum(0) + self.pixels - hits
        return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that occur, 0-1."""
        iou = self.iou
        return float(np.nanmean(iou)) if not np.isnan(iou).all() else float('nan')


def score(segmenter: Segmenter, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Scores:
    """Segment each image once, as the node does, and score it at the resolution of the labels.

    Args:
        segmenter: Must have the output resolution `input`.
        pairs: (H, W, 3) uint8 RGB and (H, W) uint8 labels, 255 for void.
    """
    scores = Scores.empty(segmenter.engine.num_classes)
    for image, labels in pairs:
        scores.add(segmenter.segment(image).labels, labels)
    return scores

"""Accuracy and mIoU of label maps small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix

from edgesegnet_ros.evaluation.accuracy import Scores, count_bytes, count_pixels


def test_by_hand():
    scores = Scores.empty(3)
    truth = np.array([[0, 0, 1, 1, 255]], np.uint8)
    scores.add(np.array([[0, 1, 1, 255, 0]], np.uint8), truth)
    # Two of four labelled pixels are right; void is not counted, a declined pixel is wrong.
    assert scores.pixel_accuracy == 0.5
    # Class 0: 1 hit of 2 true, nothing else called 0. Class 1: 1 hit, 1 declined, 1 false.
    np.testing.assert_allclose(scores.iou, [1 / 2, 1 / 3, np.nan])
    assert scores.miou == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_images_add_up_by_pixels_not_by_images():
    scores = Scores.empty(2)
    scores.add(np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8))
    scores.add(np.zeros((3, 1), np.uint8), np.ones((3, 1), np.uint8))
    assert scores.pixel_accuracy == 0.25 and scores.images == 2


def test_nothing_labelled_is_not_a_number():
    scores = Scores.empty(2)
    scores.add(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8))
    assert np.isnan(scores.pixel_accuracy)


def test_counts_are_those_of_torchmetrics():
    random = np.random.default_rng(1)
    labels, predicted = random.integers(0, 5, (2, 40, 30)).astype(np.uint8)
    labels[:5], predicted[3:9] = 255, 255
    known = labels != 255
    expected = multiclass_confusion_matrix(
        torch.from_numpy(np.minimum(predicted, 5)[known].astype(np.int64)),
        torch.from_numpy(labels[known].astype(np.int64)),
        num_classes=6,
    )
    np.testing.assert_array_equal(count_pixels(predicted, labels, 5), expected[:5].numpy())


@pytest.mark.parametrize('classes', [2, 15, 16, 32, 255])
def test_counts_by_hand_of_any_number_of_classes(classes):
    """Bytes hold the pairs of up to 15 classes; of 255 none is left over for void."""
    random = np.random.default_rng(classes)
    labels, predicted = random.integers(0, classes, (2, 20, 30)).astype(np.uint8)
    labels[:2], predicted[1:3] = 255, 255
    expected = np.zeros((classes, classes + 1), np.int64)
    for truth, found in zip(labels[labels != 255], predicted[labels != 255], strict=True):
        expected[truth, min(int(found), classes)] += 1
    np.testing.assert_array_equal(count_pixels(predicted, labels, classes), expected)


def test_bytes_are_counted_exactly(monkeypatch):
    values = np.random.default_rng(0).integers(0, 256, (40, 30)).astype(np.uint8)
    where = values % 3 == 0
    for part, kept in ((None, values), (where, values[where])):
        expected = [int((kept == value).sum()) for value in range(256)]
        assert count_bytes(values, part).tolist() == expected
        # More pixels than float32 can count go another way.
        monkeypatch.setattr('edgesegnet_ros.evaluation.accuracy.EXACT', 1)
        assert count_bytes(values, part).tolist() == expected
        monkeypatch.undo()

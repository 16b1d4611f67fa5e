"""What a training run is shown, by value: views, what is pasted onto them, order and shares."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from test_training import CONFIG

from edgesegnet_ros.data.augment import (
    _shrunk,
    random_view,
    recolour,
    relight,
    take_tone,
    tone,
)
from edgesegnet_ros.training.config import ConfigError
from edgesegnet_ros.training.dataset import Batches, Views


def test_a_view_is_void_outside_the_image():
    image, labels = np.full((32, 32, 3), 200, np.uint8), np.full((32, 32), 5, np.uint8)
    random = np.random.default_rng(0)
    for _ in range(20):
        view, seen = random_view(image, labels, (32, 32), (48, 48), (0.5, 1.4), random)
        assert set(np.unique(seen)) <= {5, 255}
        np.testing.assert_array_equal(seen == 255, (view == 114).all(2))
    assert (seen == 5).any()


def test_labels_move_with_their_pixels():
    # A picture whose brightness is its label: after any view both still agree.
    labels = np.zeros((64, 64), np.uint8)
    labels[:, 32:] = 10
    labels[40:] = 4
    image = np.repeat(labels[..., None] * 20, 3, axis=2)
    random = np.random.default_rng(1)
    for shrinking in ('area', 'linear', 'mixed'):
        view, seen = random_view(
            image, labels, (64, 64), (48, 48), (0.75, 1.5), random, shrinking=shrinking
        )
        known = seen != 255
        agrees = np.abs(view[..., 0].astype(int) - seen * 20) < 10
        assert agrees[known].mean() > 0.93  # but for pixels on a border


def test_shrinking_averages_areas():
    coarse = np.random.default_rng(2).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (480, 320), interpolation=cv2.INTER_CUBIC)
    # The same ratio along both axes, different ones, the width alone, and a large ratio.
    sizes = ((168, 253), (123, 185), (246, 185), (94, 141), (188, 141), (320, 253), (50, 75))
    for size in sizes:
        expected = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA).astype(int)
        linear = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
        error = np.abs(_shrunk(image, size) - expected).mean()
        assert error < min(1.5, 0.5 * np.abs(linear - expected).mean()), size


def test_colours_vary_and_channels_come_first():
    image = np.full((8, 10, 3), (120, 60, 30), np.uint8)
    np.testing.assert_array_equal(
        recolour(image, np.random.default_rng(0), 0.0), image.transpose(2, 0, 1)
    )
    seen = np.array([recolour(image, np.random.default_rng(n))[:, 4, 4] for n in range(50)])
    assert (np.diff(seen.astype(int)) <= 0).all()  # never less red than green, than blue
    assert (
        (seen.std(0) > 5).all()
        and (np.diff(seen.mean(0)) < -20).all()
        and (image == (120, 60, 30)).all()
    )


def test_thin_classes_and_mixed_ones_are_pasted_where_they_stand():
    # A wide class everywhere, a thin one in a corner of every second picture.
    plain = (np.full((64, 64, 3), 50, np.uint8), np.ones((64, 64), np.uint8))
    thin = tuple(part.copy() for part in plain)
    thin[0][:6, :6], thin[1][:6, :6] = 200, 7
    config = replace(
        CONFIG,
        input_size=(64, 64),
        crop=(64, 64),
        scale_min=1.0,
        scale_max=1.0,
        aspect=0.0,
        flip=False,
        color=0.0,
        tone=0.0,
        light=0.0,
        mix=0.0,
        rendered=2,
        camvid_views=2,
        batch=4,
    )

    def thin_pixels(paste):
        views = Views([thin, thin], [plain, plain], replace(config, paste=paste))
        seen = [views[0, position] for position in range(4)]
        for image, labels in seen:
            assert torch.equal(image[0] == 200, labels == 7)
        return sorted(int((labels == 7).sum()) for _, labels in seen)

    assert thin_pixels(0.0) == [0, 0, 36, 36]
    assert thin_pixels(1.0) == [36] * 4

    # Mixing takes half of the other's classes, rounded up: 7 or 1, or the only one there is.
    one, two = (np.full((64, 64, 3), 90, np.uint8), np.full((64, 64), 3, np.uint8)), thin
    views = Views([one, two], [], replace(config, mix=1.0, camvid_views=40, rendered=0, paste=0.0))
    seen = {frozenset(views[0, position][1].unique().tolist()) for position in range(40)}
    assert seen == {frozenset(x) for x in ((3,), (1, 3), (3, 7), (1, 7))}
    for position in range(40):
        image, labels = views[0, position]
        for value, class_id in ((50, 1), (90, 3), (200, 7)):
            assert torch.equal(image[0] == value, labels == class_id)


def test_a_view_takes_on_another_pictures_tone():
    random = np.random.default_rng(0)
    dusk = np.clip(random.normal((40, 35, 60), 12, (64, 64, 3)), 0, 255).astype(np.uint8)
    day = np.clip(random.normal((150, 160, 140), 20, (64, 64, 3)), 0, 255).astype(np.uint8)
    np.testing.assert_allclose(tone(take_tone(day, tone(dusk), 1.0)), tone(dusk), atol=3.0)
    half = tone(take_tone(day, tone(dusk), 0.5))[0]
    np.testing.assert_allclose(half, (tone(day)[0] + tone(dusk)[0]) / 2, atol=3.0)
    assert np.abs(take_tone(day, tone(dusk), 0.0).astype(int) - day).max() <= 6  # CIELAB in 8 bits
    # A flat picture's noise is at most doubled.
    flat = np.clip(random.normal(128, 1, (64, 64, 3)), 0, 255).astype(np.uint8)
    assert tone(take_tone(flat, tone(day), 1.0))[1, 0] < 2.6

    config = replace(
        CONFIG,
        input_size=(64, 64),
        crop=(64, 64),
        color=0.0,
        light=0.0,
        mix=0.0,
        paste=0.0,
        rendered=0,
        camvid_views=40,
        flip=False,
        scale_min=1.0,
        scale_max=1.0,
    )
    pairs = [(picture, np.zeros((64, 64), np.uint8)) for picture in (dusk, day)]
    for share, between in ((0.0, False), (1.0, True)):
        views = Views(pairs, [], replace(config, tone=share))
        means = [float(views[0, position][0].float().mean()) for position in range(40)]
        assert any(60 < mean < 130 for mean in means) == between


def test_light_falls_unevenly_and_differently_each_time():
    grey = np.full((64, 64, 3), 120, np.uint8)
    assert relight(grey, np.random.default_rng(0), 0.0) is grey
    lit = [relight(grey, np.random.default_rng(seed)) for seed in range(20)]
    corners = np.array(
        [[view[:16, :16].mean(), view[:16, 48:].mean(), view[48:, :16].mean()] for view in lit]
    )
    assert (np.ptp(corners, axis=1) > 5).mean() > 0.8
    assert abs(corners.mean() - 120) < 20
    weak = [relight(grey, np.random.default_rng(seed), 0.1) for seed in range(20)]
    assert max(np.abs(view.astype(int) - 120).max() for view in weak) < 40


PAIRS = [(np.full((8, 8, 3), value, np.uint8), np.zeros((8, 8), np.uint8)) for value in range(6)]


def test_an_epoch_draws_each_image_before_any_twice():
    config = replace(CONFIG, camvid_views=10, rendered=4, batch=2)
    views = Views(PAIRS[:4], PAIRS[4:], config)
    drawn = np.bincount(views._order(3))
    assert views.views_per_epoch == 14 and sorted(drawn[:4]) == [2, 2, 3, 3]
    assert drawn[4:].tolist() == [2, 2]
    assert views._order(3).tolist() != views._order(4).tolist()


def test_pictures_of_a_short_drive_are_drawn_more_often():
    names = ['long', 'long', 'short', 'long', 'long']
    config = replace(CONFIG, camvid_views=40, rendered=0, batch=2, mix=0.0, paste=0.0)
    for balance, expected in (
        (0.0, [8, 8, 8, 8, 8]),
        (0.5, [6.67, 6.67, 13.33, 6.67, 6.67]),
        (1.0, [5, 5, 20, 5, 5]),
    ):
        views = Views(PAIRS[:5], [], replace(config, drive_balance=balance), names)
        for epoch in range(4):
            drawn = np.bincount(views._order(epoch), minlength=5)
            assert drawn.sum() == 40 and (np.abs(drawn - expected) < 1).all()
        others = np.bincount([views._another(np.random.default_rng(n)) for n in range(2000)])
        np.testing.assert_allclose(others / 50, expected, atol=2)


def test_processes_share_each_batch_and_a_later_start_sees_the_same():
    config = replace(CONFIG, camvid_views=8, batch=4, epochs=2)
    views = Views(PAIRS, [], config)
    whole = list(Batches(views, config).positions(0, 0))
    halves = [list(Batches(views, config, rank, 2).positions(0, 0)) for rank in (0, 1)]
    assert [one + other for one, other in zip(*halves, strict=True)] == whole
    assert list(Batches(views, config).positions(1, 1)) == whole[3:]
    with pytest.raises(ConfigError, match='batch 4 cannot be shared by 3 processes'):
        Batches(views, config, 0, 3)


@pytest.mark.timeout(60)
def test_loader_processes_make_the_same_views():
    config = replace(CONFIG, camvid_views=4, epochs=1)
    alone, helped = (
        list(Batches(Views(PAIRS, [], one), one).load(0, 0))
        for one in (config, replace(config, workers=1))
    )
    assert len(alone) == 2
    for first, second in zip(alone, helped, strict=True):
        assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])

"""Views that come again, and the teachers' answers to them, which are asked for once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_training import (  # noqa: F401 - fixtures
    CONFIG,
    one_thread,
    run,
    small_camvid,
    untrained_teacher,
)

from edgesegnet_ros.training.answers import Answers, AnswersError
from edgesegnet_ros.training.dataset import Batches, Views
from edgesegnet_ros.training.distillation import Teacher

PAIRS = [(np.full((64, 64, 3), 40 * n, np.uint8), np.zeros((64, 64), np.uint8)) for n in range(6)]


def test_views_of_earlier_epochs_come_again():
    config = replace(CONFIG, camvid_views=8, reuse=0.75, batch=4)
    views, seen = Views(PAIRS, [], config), set()
    for epoch in range(6):
        positions = views.positions(epoch)
        new = set(positions) - seen
        assert len(set(positions)) == 8
        assert new == {(epoch, index) for index in range(views.new_views(epoch))}
        assert len(new) == (2 if epoch else 8)
        seen |= new
    first, again = ([*Batches(views, config).load(epoch, 0)] for epoch in (0, 1))
    image_at = {
        tuple(position.tolist()): image
        for images, _, positions in first
        for image, position in zip(images, positions, strict=True)
    }
    known = [
        (image, tuple(position.tolist()))
        for images, _, positions in again
        for image, position in zip(images, positions, strict=True)
        if position[0] == 0
    ]
    assert len(known) == 6
    assert all(torch.equal(image, image_at[position]) for image, position in known)


def test_a_run_in_minutes_has_views_for_more_epochs_than_configured():
    config = replace(CONFIG, camvid_views=4, batch=4, epochs=1, minutes=1.0, warmup_share=0.1)
    positions = Batches(Views(PAIRS, [], config), config).positions(0, 0)
    assert [next(positions)[0][0] for _ in range(3)] == [0, 1, 2]


def test_only_answers_that_are_missing_are_asked_for(tmp_path):
    asked = []

    def answer(images):
        asked.append(len(images))
        return images[:, :2, ::4, ::4].float()

    def get(positions, answers):
        images = torch.stack([torch.full((3, 8, 8), 10 * e + i) for e, i in positions])
        found = answers.get(torch.tensor(positions), images.to(torch.uint8), answer)
        assert torch.equal(found[:, 0, 0, 0], torch.tensor([10.0 * e + i for e, i in positions]))

    made_from = {'seed': 1, 'teachers': ['a']}
    answers = Answers(tmp_path, lambda epoch: 1 if epoch else 4, made_from)
    get([(0, 3), (0, 1)], answers)
    get([(0, 1), (1, 0), (0, 3)], answers)
    reopened = Answers(tmp_path, lambda epoch: 1 if epoch else 4, made_from)
    get([(1, 0), (0, 0), (0, 1), (0, 3)], reopened)
    assert asked == [2, 1, 1]
    # As after a kill in the middle of writing one.
    half = np.lib.format.open_memmap(tmp_path / 'epoch00000.npy', 'r+')
    half[3, 1, 1] = np.nan
    get([(0, 3), (0, 1)], Answers(tmp_path, lambda epoch: 4, made_from))
    assert asked[-1] == 1
    with pytest.raises(AnswersError, match='other values of teachers; remove the folder'):
        Answers(tmp_path, lambda epoch: 4, {'seed': 1, 'teachers': ['b']})


def test_a_resumed_run_learns_the_same_from_answers_that_were_kept(
    small_camvid,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    teacher = untrained_teacher(tmp_path)
    asked = []
    logits = Teacher.logits

    def count(self, images):
        asked.append(len(images))
        return logits(self, images)

    monkeypatch.setattr(Teacher, 'logits', count)
    config = replace(
        CONFIG,
        network='fast-scnn-design',
        optimizer='adamw',
        epochs=2,
        reuse=0.5,
        distillation=0.5,
        validate_every=2,
    )
    given = {'teachers': (str(teacher),)}
    run(small_camvid, tmp_path / 'whole', config, **given)
    assert sum(asked) == 4 + 2
    for epochs in (1, 2):
        run(small_camvid, tmp_path / 'resumed', replace(config, epochs=epochs), **given)
    assert sum(asked) == 2 * (4 + 2)
    state = [
        (tmp_path / name / 'answers' / '0' / 'epoch00001.npy').read_bytes()
        for name in ('whole', 'resumed')
    ]
    assert state[0] == state[1]
    with pytest.raises(AnswersError, match='other values of color'):
        run(small_camvid, tmp_path / 'whole', replace(config, epochs=3, color=0.3), **given)

"""A run that is interrupted and resumed ends as an uninterrupted one."""

from __future__ import annotations

import csv

import cv2
import pytest
import torch
from safetensors.torch import load_file

from edgesegnet_ros.data.street import Street
from edgesegnet_ros.training import train as training
from edgesegnet_ros.training.checkpoint import CheckpointError
from edgesegnet_ros.training.config import TrainConfig

CONFIG = TrainConfig(
    epochs=2, batch=2, input_size=(64, 64), crop=(64, 64), rendered=0, validate_every=1
)


@pytest.fixture(scope='module')
def small_camvid(tmp_path_factory):
    """A dataset in CamVid's layout, of rendered streets."""
    folder = tmp_path_factory.mktemp('camvid')
    for split, seed, count in (('train', 3, 4), ('val', 4, 2)):
        street = Street(seed, (90, 120))
        for part in (split, split + 'annot'):
            (folder / part).mkdir()
        for index in range(count):
            frame = street.frame(10 * index)
            cv2.imwrite(str(folder / split / f'{index}.png'), frame.image[..., ::-1])
            cv2.imwrite(str(folder / f'{split}annot' / f'{index}.png'), frame.labels)
    return folder


def run(folder, out, config=CONFIG):
    training.train(config, folder, out, 11, 'camvid11')
    return load_file(out / training.WEIGHTS)


def test_interrupted_and_resumed_equals_uninterrupted(small_camvid, tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order
    whole = run(small_camvid, tmp_path / 'whole')
    save = training.save_checkpoint

    def interrupt_after_saving(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, 'save_checkpoint', interrupt_after_saving)
    with pytest.raises(KeyboardInterrupt):
        run(small_camvid, tmp_path / 'parts')
    half = load_file(tmp_path / 'parts' / training.WEIGHTS)
    assert any(not torch.equal(half[name], whole[name]) for name in whole)
    monkeypatch.undo()
    parts = run(small_camvid, tmp_path / 'parts')
    torch.set_num_threads(threads)
    assert all(torch.equal(parts[name], whole[name]) for name in whole)
    rows = list(csv.DictReader((tmp_path / 'whole' / 'log.csv').open()))
    assert [row['epoch'] for row in rows] == ['1', '2']
    assert 0 < float(rows[1]['loss']) and 0 <= float(rows[1]['val_pixel_accuracy']) <= 1


def test_a_truncated_checkpoint_is_refused_by_name(small_camvid, tmp_path):
    (tmp_path / training.CHECKPOINT).write_bytes(b'half a file')
    with pytest.raises(CheckpointError, match='cannot be resumed from.*another --out'):
        run(small_camvid, tmp_path)


def test_the_rate_rises_and_falls():
    config = TrainConfig(epochs=10, warmup_epochs=1.0, learning_rate=1.0)
    rates = [training.learning_rate(config, progress / 10) for progress in range(100)]
    assert rates.index(max(rates)) == 10
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)

"""Training: resumption to the bit, early refusals, files that stay whole, overfitting."""

from __future__ import annotations

import csv
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from edgesegnet_ros import cli
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.datasets import DatasetError, open_dataset
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines.pytorch import TorchEngine
from edgesegnet_ros.engines.recipe import recipe_of
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.evaluation.accuracy import score
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo, load_weights, save_weights
from edgesegnet_ros.training import run_setup
from edgesegnet_ros.training import train as training
from edgesegnet_ros.training.average import WeightAverage
from edgesegnet_ros.training.checkpoint import CheckpointError
from edgesegnet_ros.training.config import ConfigError, TrainConfig

CONFIG = TrainConfig(
    epochs=2,
    batch=2,
    input_size=(64, 64),
    crop=(64, 64),
    rendered=0,
    validate_every=1,
    precision='fp32',
    optimizer='muon',
    paste=0.5,
    mix=0.5,
    tone=0.5,
    light=0.5,
)
"""In fp32, so that runs can be compared to 1e-5 on CPUs with bf16, too."""


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    """Sums in one order, and no waiting for a busy machine's second core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def small_camvid(tmp_path_factory):
    """A dataset in CamVid's layout, of rendered streets."""
    folder = tmp_path_factory.mktemp('camvid')
    for split, seed, count in (('train', 3, 4), ('val', 4, 1)):
        street = Street(seed, (90, 120))
        for part in (split, split + 'annot'):
            (folder / part).mkdir()
        for index in range(count):
            frame = street.frame(10 * index)
            cv2.imwrite(str(folder / split / f'{index}.png'), frame.image[..., ::-1])
            cv2.imwrite(str(folder / f'{split}annot' / f'{index}.png'), frame.labels)
    return folder


def untrained_teacher(folder):
    """A weights file of random values, the same each time."""
    torch.manual_seed(3)
    path = folder / 'teacher.safetensors'
    network = build_network('fast-scnn-design', 11).eval()
    save_weights(path, network, WeightsInfo('camvid11', 11, (64, 64)))
    return path


def run(folder, out, config=CONFIG, **sources):
    classes = load_classes('camvid11')
    given = training.Sources(open_dataset(folder, classes), classes, **sources)
    return training.train(config, given, out, 'cpu', tensorboard=False)


@pytest.fixture(scope='module')
def whole(small_camvid, tmp_path_factory):
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp('whole')
    assert run(small_camvid, out).signal == 0
    return out


CLOCK = ('seconds', 'views_per_second', 'waiting_for_data')


def same_run(one, other):
    """Whether two runs' states are the same to the bit, and their logs but for the clock."""
    first, second = (load_file(out / training.CHECKPOINT) for out in (one, other))
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    rows = []
    for out in (one, other):
        rows.append(
            [
                {name: value for name, value in row.items() if name not in CLOCK}
                for row in csv.DictReader((out / 'log.csv').open())
            ]
        )
    return not different and rows[0] == rows[1]


def stop_after(monkeypatch, steps, number):
    """Send this process a signal after so many steps."""
    seen = []
    update = WeightAverage.update_parameters

    def count(*arguments):
        update(*arguments)
        seen.append(None)
        if len(seen) == steps:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(WeightAverage, 'update_parameters', count)


@pytest.mark.parametrize(
    ('steps', 'number'), [(1, signal.SIGTERM), (2, signal.SIGINT), (3, signal.SIGINT)]
)
def test_interrupted_and_resumed_equals_uninterrupted(
    small_camvid, whole, tmp_path, monkeypatch, steps, number
):
    with monkeypatch.context() as patched:
        stop_after(patched, steps, number)
        outcome = run(small_camvid, tmp_path)
    assert outcome.signal == number
    assert (outcome.progress.epoch, outcome.progress.step) == divmod(steps, 2)
    assert not same_state(whole, tmp_path)
    assert run(small_camvid, tmp_path).signal == 0
    assert same_run(whole, tmp_path)
    rows = list(csv.DictReader((tmp_path / 'log.csv').open()))
    assert [row['epoch'] for row in rows] == ['1', '2']
    assert 0 < float(rows[1]['loss']) and 0 <= float(rows[1]['val_pixel_accuracy']) <= 1


def same_state(one, other):
    first, second = (load_file(out / training.CHECKPOINT) for out in (one, other))
    return all(torch.equal(first[name], second[name]) for name in first)


def test_files_of_a_run(small_camvid, whole):
    assert {path.name for path in whole.iterdir()} == {
        'best.safetensors',
        'checkpoint.safetensors',
        'curves.png',
        'log.csv',
        'weights.safetensors',
    }
    assert cv2.imread(str(whole / 'curves.png')).shape == (540, 960, 3)
    model, info = load_weights(whole / 'weights.safetensors')
    assert info.classes == 'camvid11' and info.input_size == (64, 64)


def test_a_truncated_checkpoint_is_refused_by_name(small_camvid, tmp_path):
    (tmp_path / training.CHECKPOINT).write_bytes(b'half a file')
    with pytest.raises(CheckpointError, match='cannot be resumed from.*another --out'):
        run(small_camvid, tmp_path)


def test_all_problems_of_a_dataset_are_reported_before_training(
    small_camvid, tmp_path, monkeypatch
):
    folder = tmp_path / 'data'
    for part in ('train', 'trainannot', 'val', 'valannot'):
        (folder / part).mkdir(parents=True)
        for path in sorted((small_camvid / part).iterdir()):
            (folder / part / path.name).write_bytes(path.read_bytes())
    (folder / 'trainannot/1.png').unlink()
    labels = cv2.imread(str(folder / 'trainannot/2.png'), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(folder / 'trainannot/2.png'), labels[:-1])
    cv2.imwrite(str(folder / 'valannot/0.png'), labels * 0 + 99)
    monkeypatch.setattr(run_setup, 'build_network', None)
    with pytest.raises(DatasetError) as refused:
        run(folder, tmp_path / 'out')
    text = str(refused.value)
    assert '3 unusable files' in text and 'trainannot/1.png: missing' in text
    assert 'trainannot/2.png: 120x89' in text and 'valannot/0.png: unknown label values' in text


def test_a_full_disk_leaves_the_checkpoint_before(small_camvid, whole, tmp_path):
    run(small_camvid, tmp_path, replace(CONFIG, epochs=1))
    before = (tmp_path / training.CHECKPOINT).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The weights still fit, the checkpoint does not.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match='File too large.*give the same command again'):
            run(small_camvid, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / training.CHECKPOINT).read_bytes() == before
    assert run(small_camvid, tmp_path).signal == 0


SAVE_FOREVER = """
import sys, torch
from pathlib import Path
from edgesegnet_ros.network.storage import write_tensors
tensors = {'x': torch.zeros(4_000_000)}
for number in range(10**9):
    tensors['x'].fill_(number)
    write_tensors(Path(sys.argv[1]), tensors, {})
"""


def test_a_kill_leaves_a_complete_file(tmp_path):
    path = tmp_path / 'c.safetensors'
    process = subprocess.Popen([sys.executable, '-c', SAVE_FOREVER, str(path)])
    try:
        for wanted in range(1, 4):  # killed while a later one is being written
            while not path.exists() or load_file(path)['x'][0] < wanted:
                assert process.poll() is None
                time.sleep(0.01)
        while not list(tmp_path.glob('.c.*.partial.safetensors')):
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    values = load_file(path)['x']
    assert values[0] >= 3 and (values == values[0]).all()


@pytest.fixture(scope='module')
def close_ups(tmp_path_factory):
    """Two 64x64 parts of streets; void where classes touch, since the head has a stride of 4."""
    folder = tmp_path_factory.mktemp('close_ups')
    street = Street(3, (480, 640))
    part_of = (slice(200, 264), slice(160, 224))
    for split in ('train', 'val'):
        for part in (split, split + 'annot'):
            (folder / part).mkdir()
        for index in range(2):
            frame = street.frame(30 * index)
            image, labels = frame.image[part_of], frame.labels[part_of].copy()
            labels[cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0] = 11
            cv2.imwrite(str(folder / split / f'{index}.png'), image[..., ::-1])
            cv2.imwrite(str(folder / f'{split}annot' / f'{index}.png'), labels)
    return folder


def test_it_overfits_a_few_images(close_ups, tmp_path):
    config = TrainConfig(
        network='unet-slim',
        epochs=12,
        batch=2,
        camvid_views=20,
        input_size=(64, 64),
        crop=(64, 64),
        rendered=0,
        scale_min=1.0,
        scale_max=1.0,
        aspect=0.0,
        flip=False,
        color=0.0,
        class_balance=0.0,
        learning_rate=3e-3,
        warmup_epochs=0.5,
        ema_decay=0.95,
        validate_every=12,
    )
    run(close_ups, tmp_path, config)
    model, info = load_weights(tmp_path / training.WEIGHTS)
    engine = TorchEngine(recipe_of(model, info, None, 'fp32', 'cpu', 1, (64, 64)))
    pairs = open_dataset(close_ups, load_classes('camvid11')).read_splits(('train',))['train']
    for _, labels in pairs:
        ids = np.unique(labels)
        assert len(ids[ids != 255]) >= 4 and (labels != 255).mean() > 0.7
    assert score(Segmenter(engine), pairs).pixel_accuracy > 0.99


def test_settings_that_do_not_fit_the_dataset(small_camvid, tmp_path):
    with pytest.raises(ConfigError, match='batch 8 is more than the 4 views of an epoch'):
        run(small_camvid, tmp_path, replace(CONFIG, batch=8))


def test_the_command_stops_by_signal_and_resumes(small_camvid, tmp_path, monkeypatch, capsys):
    words = [
        'train',
        '--data',
        str(small_camvid),
        '--out',
        str(tmp_path),
        '--epochs',
        '1',
        '--batch',
        '2',
        '--input-size',
        '64x64',
        '--crop',
        '64x64',
        '--rendered',
        '0',
        '--device',
        'cpu',
        '--json',
        str(tmp_path / 'run.json'),
    ]
    with monkeypatch.context() as patched:
        stop_after(patched, 1, signal.SIGTERM)
        assert cli.main(words) == 128 + signal.SIGTERM
    assert (
        'stopped after epoch 0 and 1 more steps; run the same command again to resume'
        in capsys.readouterr().out
    )
    assert cli.main(words) == 0
    assert list((tmp_path / 'tensorboard').iterdir()) and (tmp_path / 'run.json').is_file()

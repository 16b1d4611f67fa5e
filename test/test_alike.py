"""Networks trained alike: one command, the shipped settings for a GPU at a tiny size."""

from __future__ import annotations

import json

from test_training import small_camvid, untrained_teacher  # noqa: F401 - a fixture

from edgesegnet_ros.evaluation.bench import cases
from edgesegnet_ros.training.alike import NETWORKS, main
from edgesegnet_ros.training.config import TrainConfig, read_settings

OPTIONS = (
    '--config edgesegnet-x-gpu --epochs 1 --batch 4 --input-size 64x64 --crop 64x64 --rendered 0 '
    '--workers 0 --device cpu --no-tensorboard'
).split()


def test_a_step_of_the_shipped_settings(small_camvid, tmp_path, capsys):  # noqa: F811
    teacher = untrained_teacher(tmp_path)
    given = ['--data', str(small_camvid), '--teacher', str(teacher), *OPTIONS]
    own = ['--networks', 'unet-slim', '--out', str(tmp_path / 'out'), '--table']
    assert main([*own, str(tmp_path / 'table.json'), *given]) == 0
    (row,) = json.loads((tmp_path / 'table.json').read_text())['networks']
    assert (row['network'], row['steps'], row['params']) == ('unet-slim', 1, 2_079_043)
    assert 0 <= row['val_pixel_accuracy'] <= 1 and row['gmac'] < 0.1
    assert 'unet-slim            2.08M' in capsys.readouterr().out


def test_what_cannot_be_trained_alike(tmp_path, capsys):
    for words, message in (
        (['--networks', 'nobody'], "network 'nobody' is unknown"),
        (['--networks', 'unet-slim,unet-slim'], 'give different names'),
        (['--at-once', '0'], 'at least 1'),
    ):
        assert main(['--out', str(tmp_path / 'out'), *words]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_all_networks_get_the_same_steps_with_every_share_of_the_schedule():
    config = TrainConfig(**read_settings('edgesegnet-x-gpu'))
    assert len(set(NETWORKS)) == 9 and {'edgesegnet', 'unet-slim'} <= set(NETWORKS)
    assert config.warmup_share and config.decay_share and not config.reuse


def test_the_networks_are_those_of_bench():
    assert sorted(NETWORKS) == sorted({*cases.NETWORKS, 'unet-slim'} - {'refinenet101'})

"""The command `edgesegnet explore`: its settings and its refusals."""

import argparse

import pytest

pytest.importorskip('optuna')

from edgesegnet_ros import cli  # noqa: E402
from edgesegnet_ros.exploration import budget, command  # noqa: E402
from edgesegnet_ros.exploration.settings import Settings  # noqa: E402


def test_a_study_is_resumed_with_another_number_of_workers(monkeypatch):
    monkeypatch.delenv('EDGESEGNET_CAMVID', raising=False)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = ['--engine', 'torch', '--budget', '10m', '--workers']
    first = command.settings_of(parser.parse_args([*words, '1']))
    assert (first.views, first.steps, first.population) == (64, 45, 3)
    again = command.settings_of(parser.parse_args([*words, '3', '--budget', '2h']), first)
    assert not again.differences(first.stored())
    given = command.settings_of(
        parser.parse_args([*words, '1', '--steps', '90', '--input-size', '32x48', '--halving'])
    )
    assert (given.steps, given.input_size, given.halving, given.batch) == (90, (32, 48), True, 4)


@pytest.mark.parametrize('minutes', [1, 10, 30, 120, 600])
def test_what_is_not_given_follows_from_the_budget(minutes):
    chosen = budget.defaults(60.0 * minutes)
    settings = Settings(**chosen)
    # Where candidates are halved away, the first rung is no mere chance.
    assert settings.population >= 3 and (not settings.halving or settings.rungs[0] >= 45)
    text = budget.in_words({'input_size': chosen['input_size'], 'halving': False}, 60.0 * minutes)
    assert f'--input-size {settings.input_size[0]}x' in text and '--no-halving; acc' in text
    assert budget.in_words({}, 60.0) == ''


@pytest.mark.parametrize(
    'options, message',
    [
        (['--requirement', 'speed > 1'], "'speed' is unknown"),
        (['--steps', '-3'], '--steps -3: at least 1'),
        (['--engine', 'warp'], '--engine warp: auto, tensorrt'),
        (['--engine', 'torch', '--precision', 'int4'], '--precision int4: torch computes'),
        (['--workers', '0'], '--workers 0: at least 1'),
        (['--teacher', 'nobody'], "no shipped models file is named 'nobody'"),
        (['--classes', 'camvid32', '--teacher', 'edgesegnet-camvid11'], '11 outputs'),
        (['--data', '/nonexistent'], '/nonexistent'),
        (['--storage', 'nonsense'], 'not a URL of a database'),
        (['--batch', '9', '--views', '8'], '--batch 9 is more than the --views 8'),
    ],
)
def test_bad_input(options, message, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv('EDGESEGNET_CAMVID', raising=False)
    assert cli.main(['explore', '--out', str(tmp_path / 'out'), *options]) == 2
    assert message in capsys.readouterr().err

"""The command: help, exit status, sentences for wrong use."""

from __future__ import annotations

import json

import pytest

from edgesegnet_ros import cli


@pytest.mark.parametrize('command', sorted(cli.COMMANDS))
def test_each_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, '--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert '--json' in text or command in ('train', 'data')


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['evaluate', '--data', '/nowhere'], '/nowhere: no such folder'),
        (['bench', '--input-size', '250x256'], 'multiples of 16'),
        (['bench', '--model', 'none'], "is named 'none'"),
        (['train', '--data', '/nowhere'], '/nowhere: no such folder'),
    ],
)
def test_wrong_use_is_2_and_a_sentence(words, sentence, capsys):
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f'edgesegnet {words[0]}: ') and sentence in error


def test_a_size_that_is_none(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(['bench', '--input-size', 'big'])
    assert ended.value.code == 2 and "'big' is not HxW" in capsys.readouterr().err


def test_bench_compares_with_eager(tmp_path):
    path = tmp_path / 'bench.json'
    assert cli.main(['bench', '--input-size', '64x64', '--frames', '3', '--json', str(path)]) == 0
    rows = json.loads(path.read_text())['rows']
    assert rows[0]['engine'] == 'torch eager' and rows[0]['relative'] == 1.0
    assert rows[1]['engine'] == 'torch' and rows[1]['gmac'] < 0.8 * rows[0]['gmac']
    for row in rows:
        assert row['params'] == 4_323_342  # 11 classes; 32 have the paper's 4,327,920
        assert row['fps'] == pytest.approx(1e3 / row['latency_ms']['p50'], rel=0.01)

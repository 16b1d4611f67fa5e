"""The command: help, exit status, sentences for wrong use."""

from __future__ import annotations

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

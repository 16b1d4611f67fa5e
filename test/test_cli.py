"""The command: help, exit status, sentences for wrong use."""

from __future__ import annotations

import drawn_dataset
import pytest

from edgesegnet_ros import __version__, cli


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
def test_a_usage_error_is_a_sentence_and_status_2(words, sentence, capsys):
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f'edgesegnet {words[0]}: ') and sentence in error


def test_an_invalid_size_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(['bench', '--input-size', 'big'])
    assert ended.value.code == 2 and "'big' is not HxW" in capsys.readouterr().err


@pytest.mark.parametrize('command', sorted(cli.COMMANDS))
def test_help_shows_no_meaningless_default(command, capsys):
    for words in [[command]] if command != 'data' else [['data', 'check'], ['data', 'render']]:
        with pytest.raises(SystemExit):
            cli.main([*words, '--help'])
    text = ' '.join(capsys.readouterr().out.split())
    for nothing in ('(default: None)', '(default: )', '(default: [])'):
        assert nothing not in text


def test_version_and_exit_status(capsys):
    for words, told in (
        (['--version'], f'edgesegnet_ros {__version__}'),
        (['--help'], 'Exit status: 0 success, 1 check failed, 2 usage error.'),
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 0 and told in capsys.readouterr().out


@pytest.mark.parametrize(
    'words',
    [
        ['bench', '--json', '{bad}'],
        ['bench', '--out', '{file}'],
        ['data', 'render', '--out', 'x', '--json', '{bad}'],
        ['demo', '--out', '{file}'],
        ['cache', 'list', '--json', '{bad}'],
        ['evaluate', '--json', '{bad}'],
        ['evaluate', '--out', '{file}'],
        ['export', '--engine', 'torch', '--json', '{bad}'],
        ['explore', '--out', '{file}'],
        ['figure2', '--out', '{folder}'],
        ['model', 'inspect', 'x', '--json', '{bad}'],
        ['replay', 'x', '--out', '{file}/deeper'],
        ['table1', '--json', '{bad}'],
        ['train', '--json', '{bad}'],
        ['train', '--out', '{file}'],
    ],
)
def test_outputs_that_cannot_be_written_are_refused_before_any_work(words, tmp_path, capsys):
    (tmp_path / 'file').write_text('of the user')
    paths = {'bad': '/proc/x', 'file': tmp_path / 'file', 'folder': tmp_path}
    with pytest.raises(SystemExit) as ended:
        cli.main([word.format(**paths) for word in words])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert any(
        reason in error
        for reason in ('nothing can be written in /proc', 'is not a folder', 'is a folder; name')
    )
    assert (tmp_path / 'file').read_text() == 'of the user'
    assert [path.name for path in tmp_path.iterdir()] == ['file'], 'nothing is left behind'


def test_initial_weights_are_checked_before_the_data(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('edgesegnet_ros.training.train.read_data', None)
    (tmp_path / 'field3.yaml').write_text(drawn_dataset.CLASS_FILE)
    words = ['train', '--data', str(drawn_dataset.folder(tmp_path / 'field', 3)), '--classes']
    words += [str(tmp_path / 'field3.yaml'), '--out', str(tmp_path / 'out'), '--device', 'cpu']
    assert cli.main([*words, '--init', str(tmp_path / 'none.safetensors')]) == 2
    assert 'none.safetensors: no such weights file' in capsys.readouterr().err

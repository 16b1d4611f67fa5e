"""Folders are written whole or not at all, whenever the process that writes them is killed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgesegnet_ros.data.bag import atomic_folder as module
from edgesegnet_ros.data.bag.errors import BagError

KILLED_AT = {
    'before both are exchanged': ('module._exchange = lambda one, other: os.kill(os.getpid(), 9)'),
    'after both are exchanged': (
        'exchange = module._exchange\n'
        'module._exchange = lambda one, other: exchange(one, other) and os.kill(os.getpid(), 9)'
    ),
    'between two renames': (
        'rename = os.replace\n'
        'module._exchange = lambda one, other: False\n'
        'os.replace = lambda one, other: (rename(one, other), os.kill(os.getpid(), 9))'
    ),
}
WRITE = """
import os, sys
from pathlib import Path
from edgesegnet_ros.data.bag import atomic_folder as module
{at}
with module.atomic_folder(Path(sys.argv[1]), True, 'metadata.yaml', 'bag') as filling:
    filling.mkdir()
    (filling / 'metadata.yaml').write_text('new')
"""


def write(path, text: str, force: bool = True) -> None:
    with module.atomic_folder(path, force, 'metadata.yaml', 'bag') as filling:
        filling.mkdir()
        (filling / 'metadata.yaml').write_text(text)


def content(path) -> str:
    return (path / 'metadata.yaml').read_text()


@pytest.mark.parametrize('moment', KILLED_AT)
def test_a_kill_loses_neither_the_old_folder_nor_the_new_one(tmp_path, moment):
    bag = tmp_path / 'bag'
    write(bag, 'old')
    program = WRITE.format(at=KILLED_AT[moment])
    killed = subprocess.run([sys.executable, '-c', program, bag], capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    # What was there before is found by whoever writes there next, forced or not.
    with pytest.raises(BagError, match='exists already'):
        write(bag, 'newer', force=False)
    assert content(bag) == ('new' if moment.startswith('after') else 'old')
    assert list(tmp_path.iterdir()) == [bag]
    write(bag, 'newer')
    assert content(bag) == 'newer'
    assert list(tmp_path.iterdir()) == [bag]


def test_files_that_another_process_is_writing_are_kept(tmp_path):
    bag = tmp_path / 'bag'
    with module.atomic_folder(bag, True, 'metadata.yaml', 'bag') as filling:
        filling.mkdir()
        (filling / 'metadata.yaml').write_text('slow')
        write(bag, 'quick')
        assert content(bag) == 'quick'
    assert content(bag) == 'slow'


@pytest.mark.parametrize('exchange', [True, False])
def test_where_nothing_was_written_the_old_folder_stays(tmp_path, monkeypatch, exchange):
    bag = tmp_path / 'bag'
    write(bag, 'old')
    if not exchange:  # as on a file system that cannot
        monkeypatch.setattr(module, '_exchange', lambda one, other: False)
    with pytest.raises(BagError, match='cannot be written'):
        with module.atomic_folder(bag, True, 'metadata.yaml', 'bag'):
            pass
    assert content(bag) == 'old'
    assert list(tmp_path.iterdir()) == [bag]
    write(bag, 'new')
    assert content(bag) == 'new'

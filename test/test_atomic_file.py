"""Files that appear whole or not at all."""

import os
import stat

import pytest

from edgesegnet_ros.atomic_file import WriteError, atomic_file, write_json, write_text
from edgesegnet_ros.errors import EdgeSegNetError


def test_a_file_appears_with_the_mode_of_the_umask_in_a_folder_that_is_made(tmp_path):
    path = tmp_path / 'new' / 'a.json'
    before = os.umask(0o027)
    try:
        with atomic_file(path) as partial:
            partial.write_text('{}')
            partial.chmod(0o600)  # as safetensors leaves a file
            assert not path.exists() and partial.suffix == '.json'
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(path.parent) == ['a.json']


def test_a_block_that_fails_leaves_the_file_before(tmp_path):
    path = tmp_path / 'a.txt'
    write_text(path, 'before')
    with pytest.raises(KeyError), atomic_file(path) as partial:
        partial.write_text('half')
        raise KeyError
    with pytest.raises(WriteError, match=r'a\.txt: cannot be written \(No space left'):
        with atomic_file(path) as partial:
            raise OSError(28, 'No space left on device')
    assert path.read_text() == 'before' and os.listdir(tmp_path) == ['a.txt']


def test_a_symbolic_link_stays_one(tmp_path):
    link = tmp_path / 'link.json'
    link.symlink_to(tmp_path / 'real.json')
    write_json(link, {'a': 1})
    assert link.is_symlink() and (tmp_path / 'real.json').read_text() == '{\n  "a": 1\n}\n'


def test_a_device_is_written_to_directly():
    write_text('/dev/null', 'gone')
    with pytest.raises(EdgeSegNetError, match='/dev/full: cannot be written .No space'):
        write_text('/dev/full', 'x')


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(WriteError, match='file/a.json: cannot be written'):
        write_json(tmp_path / 'file' / 'a.json', {})
    with pytest.raises(WriteError, match='/proc/x: cannot be written'):
        write_text('/proc/x', '')

"""What the set-up asks of a machine, and the messages that it builds."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'wheels'))

import prerequisites  # noqa: E402
from extras import SETS, wanted_extras  # noqa: E402
from prerequisites import Interpreter, SetUpError, check_tools, find_python  # noqa: E402
from workspace import Workspace, digest  # noqa: E402

OF_MAKE = ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'MAKEOVERRIDES')
COMPLETE = Interpreter((3, 11), Path('/usr/bin/python3'), True, True)


def test_the_running_python_is_found_with_its_version():
    assert find_python(sys.executable).version == sys.version_info[:2]


def test_a_python_that_is_not_there_is_refused_with_advice():
    with pytest.raises(SetUpError, match=r'3\.10 to 3\.13; PYTHON=/no/python is none.*PYTHON='):
        find_python('/no/python')


def test_a_python_without_wheels_is_refused_unless_ros_is_sourced(monkeypatch):
    old = COMPLETE._replace(version=(3, 8))
    monkeypatch.setattr(prerequisites, 'probe', lambda command: old)
    with pytest.raises(SetUpError, match=r'need CPython 3\.10 to 3\.13; .* Python 3\.8'):
        find_python(None)
    assert find_python(None, any_version=True) == old


def test_a_python_with_headers_goes_before_one_without(monkeypatch):
    there = {
        'python3': COMPLETE._replace(has_headers=False),
        'python3.12': COMPLETE._replace(version=(3, 12)),
    }
    monkeypatch.setattr(prerequisites, 'probe', there.get)
    assert find_python(None).version == (3, 12)


def test_nothing_is_asked_where_all_is_there(monkeypatch):
    monkeypatch.setattr(prerequisites.shutil, 'which', lambda name: f'/usr/bin/{name}')
    check_tools(COMPLETE)


@pytest.mark.parametrize(
    ('manager', 'line'),
    [
        ('apt-get', 'apt-get install -y g++ make python3.11-dev python3.11-venv'),
        ('dnf', 'dnf install -y gcc-c++ make python3.11-devel python3.11'),
    ],
)
def test_a_missing_library_is_named_with_its_installation(monkeypatch, manager, line):
    monkeypatch.setattr(prerequisites.shutil, 'which', lambda name: name == manager)
    with pytest.raises(SetUpError) as refusal:
        check_tools(COMPLETE._replace(has_headers=False, has_ensurepip=False))
    assert line in str(refusal.value)
    assert 'a C and C++ compiler, make, the headers of Python 3.11' in str(refusal.value)


def test_a_digest_follows_the_content_of_files(tmp_path: Path):
    file = tmp_path / 'requirements.txt'
    file.write_text('a')
    first = digest(file)
    assert digest(file) == first
    file.write_text('b')
    assert digest(file) != first


def test_an_extra_that_is_there_is_never_taken_away(tmp_path: Path):
    (tmp_path / '.venv').mkdir()
    workspace = Workspace.of_environment(tmp_path / '.venv')
    assert wanted_extras(workspace, 'commands') == SETS['commands']
    workspace.set_stamp('extras', ','.join(wanted_extras(workspace, 'all')))
    assert wanted_extras(workspace, 'commands') == tuple(sorted(SETS['all']))


def test_the_set_up_asks_for_extras_that_setup_py_has():
    assigned = next(
        node
        for node in ast.parse((ROOT / 'setup.py').read_text()).body
        if isinstance(node, ast.Assign) and node.targets[0].id == 'EXTRAS'
    )
    assert set(SETS['all']) == set(ast.literal_eval(assigned.value))


def test_label_info_has_the_type_hash_of_vision_msgs():
    """The hashes are those that vision_msgs 4.1.1 itself generates."""
    vision_msgs = pytest.importorskip('vision_msgs')
    prefix = Path(vision_msgs.__file__).parents[4]
    description = prefix / 'share/vision_msgs/msg/LabelInfo.json'
    if not description.is_file():
        pytest.skip('this ROS 2 has no type hashes')
    hashes = {
        entry['type_name']: entry['hash_string']
        for entry in json.loads(description.read_text())['type_hashes']
    }
    assert hashes['vision_msgs/msg/LabelInfo'] == (
        'RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783'
    )
    assert hashes['vision_msgs/msg/VisionClass'] == (
        'RIHS01_1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a'
    )


def test_make_demo_takes_an_input_with_quotes_and_spaces(tmp_path: Path):
    (tmp_path / 'bin').mkdir()
    command = tmp_path / 'bin/edgesegnet'
    command.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    command.chmod(0o755)
    words = ['make', '-o', 'setup', 'demo', f'ENVIRONMENT={tmp_path}', 'INPUT=it\'s "a" b']
    # Without what a make around this test hands down: it would print the folders it enters.
    outside = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, env=outside)
    assert run.stdout == '<demo><--input><it\'s "a" b>', run.stderr

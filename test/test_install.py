"""Installed outside the checkout, with pip and with colcon, it finds its shipped files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edgesegnet_ros
from edgesegnet_ros import shipped

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'wheels'))

from colcon_build import colcon_build  # noqa: E402
from workspace import Workspace  # noqa: E402

EXECUTABLES = ('bag_player', 'edgesegnet', 'segmentation_node')
REPORT = """
import importlib.util, json, sys
sys.path.insert(0, sys.argv[1])
import edgesegnet_ros
from edgesegnet_ros import shipped
found = {kind: {name: str(shipped.find(kind, name)) for name in shipped.names(kind)}
         for kind in shipped.FOLDERS}
print(json.dumps({'package': shipped.__file__, 'found': found,
                  'version': edgesegnet_ros.__version__,
                  'messages': importlib.util.find_spec('edgesegnet_ros.msg').origin}))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the sources, without what was built."""
    built = shutil.ignore_patterns(
        '.*', 'build*', 'install*', 'out', 'log', '*.egg-info', '__pycache__'
    )
    return shutil.copytree(ROOT, tmp_path / 'src/edgesegnet_ros', ignore=built)


def report(modules: Path, folder: Path) -> dict:
    """What a Python started elsewhere finds, with one folder ahead on its path."""
    environment = {name: os.environ[name] for name in os.environ if name != 'AMENT_PREFIX_PATH'}
    told = subprocess.run(
        [sys.executable, '-c', REPORT, str(modules)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def assert_all_found_below(folder: Path, found: dict) -> None:
    """Every shipped file of the checkout is found, with its content, below a folder."""
    for kind in shipped.FOLDERS:
        assert sorted(found[kind]) == shipped.names(kind)
        for name, path in found[kind].items():
            assert Path(path).is_relative_to(folder)
            assert Path(path).read_bytes() == shipped.find(kind, name).read_bytes()
    assert {'camvid11', 'camvid32'} <= set(found['classes'])


def test_pip_install(checkout: Path, tmp_path: Path):
    site = tmp_path / 'site'
    # The environment has a setuptools of its own, but for a sourced ROS: there it is the system's.
    sourced = Workspace.of_environment(Path(sys.prefix)).sourced
    options = ['--no-deps', *([] if sourced else ['--no-build-isolation']), '--target', str(site)]
    installed = subprocess.run(
        [sys.executable, '-m', 'pip', 'install', *options, str(checkout)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert installed.returncode == 0, installed.stdout + installed.stderr
    shutil.rmtree(checkout)

    told = report(site, tmp_path)

    assert Path(told['package']).is_relative_to(site)
    assert_all_found_below(site, told['found'])
    assert (site / 'bin/edgesegnet').is_file()


@pytest.mark.timeout(600)
def test_colcon_build(checkout: Path, tmp_path: Path):
    workspace = Workspace.of_environment(Path(sys.prefix))
    install = tmp_path / 'install'
    built = colcon_build(workspace, [checkout], tmp_path / 'build', install)
    assert built.returncode == 0, built.stdout
    shutil.rmtree(checkout)

    prefix = install / 'edgesegnet_ros'
    (modules,) = prefix.glob('l*/**/*-packages')
    told = report(modules, tmp_path)

    assert Path(told['package']).is_relative_to(modules)
    assert Path(told['messages']).is_relative_to(modules)
    assert told['version'] == edgesegnet_ros.__version__, 'not the empty one of the messages'
    assert_all_found_below(prefix, told['found'])
    for name in EXECUTABLES:
        assert os.access(prefix / 'lib/edgesegnet_ros' / name, os.X_OK)
    for folder in ('config', 'launch', 'models', 'rviz'):
        for file in (ROOT / folder).rglob('*'):
            if file.is_file() and '__pycache__' not in file.parts:
                assert (prefix / 'share/edgesegnet_ros' / file.relative_to(ROOT)).is_file()

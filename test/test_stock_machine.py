"""A machine with only what docs/installation.md installs: the commands run or name a package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STEPS = {'torch', 'safetensors', 'openvino', 'rosbags'}
"""What docs/installation.md installs from PyPI."""
OTHERS = {
    *('PIL', 'av', 'hypothesis', 'jinja2', 'matplotlib', 'mcap', 'mcap_protobuf', 'nncf', 'onnx'),
    *('onnxruntime', 'pandas', 'psutil', 'pyarrow', 'pycocotools', 'pytest', 'ray', 'rerun'),
    *('scipy', 'tensorboard', 'torchmetrics', 'transformers'),
}
"""What is installed here, and not on such a machine."""
HIDE = """
import os, sys
from importlib.machinery import PathFinder

class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition('.')[0] in os.environ.get('HIDDEN', '').split(','):
            return None
        return super().find_spec(name, path, target)

sys.meta_path[:] = [Hiding if finder is PathFinder else finder for finder in sys.meta_path]
"""


PROGRAM = 'import sys; from edgesegnet_ros import cli; sys.exit(cli.main(sys.argv[1:]))'


def run(folder: Path, *words: str, hidden=OTHERS) -> tuple[int, str]:
    """Exit status and output of `edgesegnet`, where some packages are not installed."""
    (folder / 'sitecustomize.py').write_text(HIDE)
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, *words],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': str(folder), 'HIDDEN': ','.join(hidden)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_steps_and_package_xml_bring_what_setup_py_requires():
    page = (ROOT / 'docs/installation.md').read_text()
    (command,) = re.findall(r'\.venv/bin/pip install (.+)', page)
    assert STEPS | {"'numpy<2'"} == set(command.split())
    package = (ROOT / 'package.xml').read_text()
    by_rosdep = {
        'numpy': 'python3-numpy',
        'opencv-python-headless': 'python3-opencv',
        'PyYAML': 'python3-yaml',
        'tqdm': 'python3-tqdm',
    }
    required = re.search(r'install_requires=\[(.*?)\]', (ROOT / 'setup.py').read_text(), re.S)[1]
    for name in re.findall(r"'([\w-]+)", required):
        assert name in STEPS or f'<exec_depend>{by_rosdep[name]}</exec_depend>' in package
    for name in ('builtin_interfaces', 'launch_ros', 'rviz2', 'ament_index_python'):
        assert f'<exec_depend>{name}</exec_depend>' in package


@pytest.mark.node
def test_node_and_demo_run(tmp_path):
    pytest.importorskip('rclpy')
    words = ('--frames', '2', '--engine', 'torch', '--precision', 'fp32', '--input-size', '64x64')
    status, said = run(tmp_path, 'demo', *words, '--out', 'out')
    assert status == 0, said


def test_bench_runs(tmp_path):
    words = ('--networks', 'edgesegnet', '--input-size', '64x64')
    status, said = run(tmp_path, 'bench', '--roofline', *words, '--out', 'out')
    assert status == 0, said
    assert 'no plot: matplotlib is not installed (pip install matplotlib' in said


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (('replay', 'x.mcap'), 'requires rosbags: pip install rosbags'),
        (('view', '--input', 'x.mcap'), 'requires rerun: pip install rerun-sdk'),
        (('demo', '--input', 'x.mcap'), 'requires rosbags: pip install rosbags'),
    ],
)
def test_what_is_missing_is_one_sentence(tmp_path, words, sentence):
    (tmp_path / 'x.mcap').write_bytes(b'')
    status, said = run(tmp_path, *words, hidden=OTHERS | {'rosbags'})
    assert status == 2, said
    assert sentence in said
    assert 'Traceback' not in said

"""A machine with only what docs/installation.md installs: the commands run or name a package."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from edgesegnet_ros.demo.domain import free_domain, ros_environment

ROOT = Path(__file__).resolve().parents[1]
STEPS = frozenset({'torch', 'safetensors', 'openvino', 'rosbags'})
"""What docs/installation.md installs from PyPI."""
OTHERS = {
    *('PIL', 'av', 'hypothesis', 'jinja2', 'matplotlib', 'mcap', 'mcap_protobuf', 'nncf', 'onnx'),
    *('onnxruntime', 'pandas', 'psutil', 'pyarrow', 'pycocotools', 'pytest', 'ray', 'rerun'),
    *('scipy', 'simplejpeg', 'tensorboard', 'torchmetrics', 'transformers'),
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


COMMAND = 'import sys; from edgesegnet_ros import cli; sys.exit(cli.main(sys.argv[1:]))'
BENCH = f"""
from edgesegnet_ros.evaluation.bench import peak
peak._SIDE['cpu'] = 64  # products of this size take no time
{COMMAND}
"""
NODE = f"""
import runpy

runpy.run_path({str(ROOT / 'scripts/segmentation_node')!r}, run_name='__main__')
"""
PLAYER = 'import sys; from edgesegnet_ros.node.bag_player import main; sys.exit(main())'
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

file, *arguments = sys.argv[1:]
service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(file),
    launch_arguments=[text.split(':=', 1) for text in arguments],
)]))
sys.exit(service.run())
"""
SMALL = ('--engine', 'torch', '--precision', 'fp32', '--input-size', '64x64')


def without(folder: Path, hidden) -> dict[str, str]:
    """An environment in which some packages are not installed."""
    (folder / 'sitecustomize.py').write_text(HIDE)
    paths = (str(folder), os.environ.get('PYTHONPATH', ''))
    return {
        **ros_environment(free_domain()),
        'PYTHONPATH': os.pathsep.join(filter(None, paths)),
        'HIDDEN': ','.join(hidden),
    }


def run(folder: Path, *words: str, hidden=OTHERS, program=COMMAND) -> tuple[int, str]:
    """Exit status and output of a program, where some packages are not installed."""
    try:
        metadata.version('edgesegnet_ros')
    except metadata.PackageNotFoundError:
        pytest.skip('edgesegnet_ros IS NOT INSTALLED: nothing is started in another folder')
    done = subprocess.run(
        [sys.executable, '-c', program, *words],
        cwd=folder,
        env=without(folder, hidden),
        capture_output=True,
        text=True,
        timeout=280,
    )
    return done.returncode, done.stdout + done.stderr


def bag(folder: Path) -> Path:
    """Two images and their labels."""
    pytest.importorskip('rosbags', reason='SKIPPED FOR WANT OF rosbags')
    from replay_bags import frames, write

    return write(folder / 'bag', frames(2))


def imports(file: Path) -> set[str]:
    """What a module imports, by the first word."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module))
    return {name.partition('.')[0] for name in found}


BY_ROSDEP = {
    'cv2': 'python3-opencv',
    'numpy': 'python3-numpy',
    'tqdm': 'python3-tqdm',
    'yaml': 'python3-yaml',
}
"""Modules that are not named as the key of rosdep that installs them."""
CHOICES = {
    'nncf',
    'onnx',
    'onnxruntime',
    'rerun',
    'simplejpeg',
    'tensorrt',
    'torch2trt',
    'transformers',
}
"""Engines and a viewer that a robot may have; each is asked for before it is used."""
WITH_ROSBAGS = {'backports', 'compression', 'lz4', 'mcap', 'mcap_protobuf', 'typing_extensions'}
"""What bags are read with beside it: rosbags requires it, or it is asked for before it is used."""
NOT_IMPORTED = {'rosidl_default_runtime', 'rviz2'}
"""What package.xml declares because it is started, or because messages require it."""


def test_the_steps_are_those_of_the_pages():
    for page in ('README.md', 'docs/installation.md'):
        found = re.findall(r'pip install (torch [^#`\n]+)', (ROOT / page).read_text())
        limits = {"'numpy<2'", "'packaging>=22'"}  # not on Lyrical
        assert found and {frozenset({*line.split()} - limits) for line in found} == {STEPS}
    required = re.search(r'install_requires=\[(.*?)\]', (ROOT / 'setup.py').read_text(), re.S)[1]
    by_system = {'numpy', 'opencv-python-headless', 'PyYAML', 'tqdm'}
    assert set(re.findall(r"'([\w-]+)", required)) <= STEPS | by_system


def test_package_xml_declares_what_a_robot_imports():
    listed = re.search(r'^ON_ROBOT := ((?:.*\\\n)*.*)', (ROOT / 'Makefile').read_text(), re.M)[1]
    paths = [ROOT / word for word in listed.replace('\\\n', ' ').split()]
    paths += [ROOT / 'launch', ROOT / 'edgesegnet_ros/data/bag']
    files = [file for path in paths for file in (path.rglob('*.py') if path.is_dir() else [path])]
    assert len(files) > 80
    found = set().union(*map(imports, files)) - set(sys.stdlib_module_names)
    found -= {'edgesegnet_ros'} | STEPS | WITH_ROSBAGS | CHOICES
    keys = re.findall(r'<(?:exec_)?depend>(.+)</', (ROOT / 'package.xml').read_text())
    assert {BY_ROSDEP.get(module, module) for module in found} | NOT_IMPORTED == set(keys)


@pytest.mark.node
def test_node_and_demo_run(tmp_path):
    pytest.importorskip('rclpy')
    status, said = run(tmp_path, 'demo', '--frames', '2', *SMALL, '--out', 'out')
    assert status == 0, said


def test_bench_measures(tmp_path):
    pytest.importorskip('openvino', reason='SKIPPED FOR WANT OF openvino')
    words = ('--networks', 'edgesegnet', '--engines', 'openvino', '--input-size', '64x64')
    status, said = run(
        *(tmp_path, 'bench', *words, '--frames', '1', '--out', 'out'), program=BENCH
    )
    assert status == 0, said
    assert re.search(r'EdgeSegNet +openvino +fp32 ', said)
    assert 'no plot: matplotlib is not installed (pip install matplotlib' in said


def test_replay_runs(tmp_path):
    words = ('--no-pictures', '--no-video', '--no-page', '--no-flow', '--out', 'out')
    status, said = run(tmp_path, 'replay', str(bag(tmp_path)), *SMALL, *words)
    assert status == 0, said
    assert '2 frames in, 2 out' in said


@pytest.mark.node
def test_the_replay_is_launched(tmp_path):
    pytest.importorskip('launch_ros', reason='SKIPPED FOR WANT OF ROS 2 LAUNCH')
    arguments = ('engine:=torch', 'precision:=fp32', 'input_size:=[64, 64]', 'rate:=0')
    status, said = run(
        *(tmp_path, str(ROOT / 'launch/replay.launch.py'), f'bag:={bag(tmp_path)}', *arguments),
        program=LAUNCH,
    )
    assert status == 0, said
    assert said.count('process has finished cleanly') == 2, said


@pytest.mark.node
def test_a_player_without_rosbags_names_the_command(tmp_path):
    pytest.importorskip('rclpy')
    (tmp_path / 'x.mcap').write_bytes(b'')
    status, said = run(tmp_path, 'x.mcap', hidden=OTHERS | {'rosbags'}, program=PLAYER)
    assert status == 2, said
    assert 'requires rosbags: pip install rosbags' in said
    assert 'Traceback' not in said


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (('replay', 'x.mcap'), 'requires rosbags: pip install rosbags'),
        (('view', '--input', 'x.mcap'), 'requires rerun: pip install rerun-sdk'),
        (('demo', '--input', 'x.mcap'), 'requires rosbags: pip install rosbags'),
    ],
)
def test_missing_data_is_one_sentence(tmp_path, words, sentence):
    if words[0] == 'demo':
        pytest.importorskip('rclpy', reason='SKIPPED FOR WANT OF ROS 2')
    (tmp_path / 'x.mcap').write_bytes(b'')
    status, said = run(tmp_path, *words, hidden=OTHERS | {'rosbags'})
    assert status == 2, said
    assert sentence in said
    assert 'Traceback' not in said


@pytest.mark.parametrize('words', [('demo',), ('replay', '.'), ('doctor',)])
def test_without_the_virtual_environment_a_command_names_it(tmp_path, words):
    words = (*words, '--no-graph') if words == ('doctor',) else words
    status, said = run(tmp_path, *words, hidden=OTHERS | STEPS)
    assert status == (1 if words[0] == 'doctor' else 2), said
    assert 'Activate the virtual environment that has it (docs/installation.md)' in said
    assert 'pip install torch' in said
    assert 'Traceback' not in said


@pytest.mark.node
def test_without_the_virtual_environment_the_node_names_it(tmp_path):
    pytest.importorskip('rclpy')
    words = ('--ros-args', '-p', 'autostart:=true')
    with subprocess.Popen(
        [sys.executable, '-c', NODE, *words],
        env=without(tmp_path, OTHERS | STEPS),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as node:
        said = next(line for line in node.stdout if 'cannot configure' in line)
        node.send_signal(signal.SIGINT)
        assert 'torch is not installed in' in said and 'Activate the virtual env' in said
        assert node.wait(60) == 0

"""The launch files run to their end as `ros2 launch` runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_inputs import noise_images, untrained_model

from edgesegnet_ros.demo.domain import free_domain, ros_environment

pytest.importorskip(
    'launch_ros', reason='SKIPPED FOR WANT OF ROS 2 LAUNCH: source a ROS 2 installation'
)
pytestmark = pytest.mark.node
LAUNCH_FILES = Path(__file__).resolve().parents[2] / 'launch'
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(sys.argv[1]),
    launch_arguments=[text.split(':=', 1) for text in sys.argv[2:]],
)]))
sys.exit(service.run())
"""
TIMEOUT_S = 150


@pytest.fixture
def launched(tmp_path):
    """Start a launch file in a domain of its own; ends it if the test does not."""
    started = []

    def start(file: str, *arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, '-c', LAUNCH, str(LAUNCH_FILES / f'{file}.launch.py'), *arguments],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**ros_environment(free_domain()), 'ROS_LOG_DIR': str(tmp_path / 'logs')},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Exit status and everything that was said."""
    said = process.communicate(timeout=TIMEOUT_S)[0]
    return process.returncode, said


def test_everything_ends_cleanly_with_the_bag(launched, tmp_path):
    status, said = ended(
        launched(
            'replay',
            f'bag:={noise_images(tmp_path, 5)}',
            f'model:={untrained_model(tmp_path)}',
            'input_size:=[64, 64]',
            'namespace:=replayed',
            'rate:=0',
        )
    )
    assert status == 0, said
    assert 'active: waiting for images on /replayed/image' in said
    assert said.count('process has finished cleanly') == 2, said
    logs = [log.read_text() for log in (tmp_path / 'logs').rglob('*.log')]
    assert any('active: waiting' in log for log in logs)
    assert not any('\x1b[' in log for log in logs), 'colour codes in a log file'


@pytest.mark.parametrize('to_group', [False, True], ids=['once', 'to the whole group'])
def test_ctrl_c_ends_with_status_0(launched, tmp_path, to_group):
    process = launched(
        'replay',
        f'bag:={noise_images(tmp_path, 5)}',
        f'model:={untrained_model(tmp_path)}',
        'input_size:=[64, 64]',
        'loop:=true',
    )
    said = ''
    end = time.monotonic() + TIMEOUT_S
    while 'active: waiting' not in said and time.monotonic() < end:
        said += process.stdout.readline()
    (os.killpg if to_group else os.kill)(process.pid, signal.SIGINT)
    status, rest = ended(process)
    assert status == 0, said + rest
    assert rest.count('process has finished cleanly') == 2, rest


def test_an_unreadable_bag_ends_everything_with_an_error(launched, tmp_path):
    bag = tmp_path / 'truncated.mcap'
    bag.write_bytes(b'\x89MCAP0\r\n')
    status, said = ended(launched('replay', f'bag:={bag}', f'model:={untrained_model(tmp_path)}'))
    assert status == 1
    assert 'bag_player: ' in said and 'truncated.mcap' in said, said
    assert '[bag_player-2]: process has died' in said
    assert '[segmentation_node-1]: process has finished cleanly' in said, said


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (('replay', 'bag:=/no.mcap'), 'bag:=/no.mcap: no such file or folder'),
        (('edgesegnet', 'log_level:=loud'), 'log_level:=loud is refused: expected one of debug'),
        (('edgesegnet', 'params_file:=/no.yaml'), 'params_file:=/no.yaml: no such file'),
        (('edgesegnet_rviz',), 'rviz2 is not installed: sudo apt install ros-'),
        (('cameras', 'cameras:=[a, a]'), 'each name must differ'),
        (('cameras', 'cameras:=3'), 'expected a list of names'),
    ],
)
def test_errors_are_reported_before_anything_starts(launched, words, sentence):
    if words[0] == 'edgesegnet_rviz':
        from ament_index_python.packages import get_packages_with_prefixes

        if 'rviz2' in get_packages_with_prefixes():
            pytest.skip('rviz2 is installed')
    status, said = ended(launched(*words))
    assert status == 1
    assert sentence in said
    assert 'process started' not in said
    assert 'Traceback' not in said

"""replay.launch.py, run to its end as `ros2 launch` does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from small_inputs import noise_images, untrained_model

pytest.importorskip(
    'launch_ros', reason='SKIPPED FOR WANT OF ROS 2 LAUNCH: source a ROS 2 installation'
)
pytestmark = pytest.mark.node
REPLAY = Path(__file__).resolve().parents[2] / 'launch' / 'replay.launch.py'
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


def replayed(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-c', LAUNCH, str(REPLAY), *arguments],
        timeout=150,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_everything_ends_cleanly_with_the_bag(tmp_path):
    replay = replayed(
        f'bag:={noise_images(tmp_path, 5)}',
        f'model:={untrained_model(tmp_path)}',
        'input_size:=[64, 64]',
        'namespace:=replayed',
        'rate:=0',
    )
    assert replay.returncode == 0, replay.stdout
    assert 'active: waiting for images on /replayed/image' in replay.stdout
    assert replay.stdout.count('process has finished cleanly') == 2, replay.stdout


def test_a_missing_bag_is_refused_before_anything_starts(tmp_path):
    replay = replayed(f'bag:={tmp_path}/no.mcap')
    assert replay.returncode == 1
    assert f'bag:={tmp_path}/no.mcap: there is no such file or folder' in replay.stdout
    assert 'process started' not in replay.stdout
    assert 'Traceback' not in replay.stdout


def test_an_unreadable_bag_ends_everything_and_says_why(tmp_path):
    bag = tmp_path / 'truncated.mcap'
    bag.write_bytes(b'\x89MCAP0\r\n')
    replay = replayed(f'bag:={bag}', f'model:={untrained_model(tmp_path)}')
    assert 'bag_player: ' in replay.stdout and 'truncated.mcap' in replay.stdout, replay.stdout
    assert '[bag_player-2]: process has died' in replay.stdout

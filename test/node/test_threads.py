"""Nodes on one machine share its cores."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgesegnet_ros.node import threads
from edgesegnet_ros.node.machine import Machine

MODULE = 'edgesegnet_ros.node.segmentation_node'
PROCESSES = {
    1: ('/sbin/init',),
    20: ('/usr/bin/python3', '/ws/install/lib/edgesegnet_ros/segmentation_node', '--ros-args'),
    21: ('/usr/bin/python3', '/opt/ros/jazzy/bin/ros2', 'run', 'edgesegnet_ros', threads.NODE),
    22: ('python', '-m', MODULE, '--ros-args'),
    23: ('vim', 'notes.txt'),
    24: (),
}


def test_other_nodes_are_found_by_their_command_lines(tmp_path):
    for number, words in PROCESSES.items():
        (tmp_path / str(number)).mkdir()
        text = '\0'.join(words)
        (tmp_path / str(number) / 'cmdline').write_bytes(text.encode())
    (tmp_path / '25').mkdir()  # it ended meanwhile
    assert threads.other_nodes(tmp_path) == 2
    assert threads.other_nodes(tmp_path / 'none') == 0


@pytest.mark.parametrize(
    ('wanted', 'others', 'cores', 'used'),
    [(0, 0, 8, 0), (0, 1, 8, 4), (0, 2, 8, 2), (0, 9, 8, 1), (3, 5, 8, 3)],
)
def test_a_share_of_the_cores(wanted, others, cores, used):
    assert threads.share(wanted, others, cores) == used


def test_the_node_waits_passively_unless_the_environment_is_set(monkeypatch):
    program = (
        'import os, sys; from edgesegnet_ros.node import segmentation_node, threads;'
        'assert "torch" not in sys.modules, "loaded before the policy is set";'
        'threads.wait_passively(); print(os.environ["OMP_WAIT_POLICY"])'
    )
    monkeypatch.delenv('OMP_WAIT_POLICY', raising=False)
    said = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert said.stdout == 'PASSIVE\n', said.stderr
    monkeypatch.setenv('OMP_WAIT_POLICY', 'ACTIVE')
    threads.wait_passively()
    import os

    assert os.environ['OMP_WAIT_POLICY'] == 'ACTIVE'


def test_findings_about_the_machine(tmp_path):
    files = {
        'proc/stat': 'cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 1 1 1\n',
        'proc/pressure/cpu': 'some avg10=12.50 avg60=3.00 avg300=1.00 total=1\n',
        'sys/class/thermal/thermal_zone0/temp': '41500\n',
        'sys/class/thermal/thermal_zone1/temp': 'off\n',
        'var/lib/nvpmodel/status': 'pmode:0002\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    machine = Machine(tmp_path)
    (tmp_path / 'proc/stat').write_text('cpu  160 0 90 900 50 0 0 0 0 0\n')
    values = machine.values()
    assert values.pop('cpu_own_percent').isdigit()
    assert values == {
        'cpu_busy_percent': '50',
        'cpu_pressure_percent': '12',
        'temperature_c_max': '41.5',
        'power_mode': '2',
    }
    assert Machine(tmp_path / 'none').values() == {}

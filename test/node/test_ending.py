"""A process that a signal ends shuts down once, whichever thread comes first."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time

ROUNDS = 4000
"""Where the signal's thread is not waited for, one of them fails in every second run on Jazzy."""
PROGRAM = f"""
import signal, time
import rclpy
from edgesegnet_ros.node.ending import shut_down
from edgesegnet_ros.node.signals import interrupt_once

for number in range({ROUNDS}):
    interrupt_once()
    rclpy.init()
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        # The signal's thread is somewhere in its work.
        end = time.perf_counter() + number % 30 * 1e-6
        while time.perf_counter() < end:
            pass
    finally:
        shut_down()
    assert not rclpy.ok()
print('ended', {ROUNDS})
"""


def test_a_signal_and_the_end_of_the_program_shut_down_once():
    done = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f'ended {ROUNDS}\n'


def test_more_signals_do_not_cut_the_shutdown_short(launch):
    """A double Ctrl-C, or a terminal's to the whole group and the launch file's after it."""
    client = launch({'input_size': '[64, 64]', 'num_threads': '1', 'autostart': 'true'})
    client.wait(lambda: client.state() == 'active', 'the node to be active')
    process = client.target.process
    storm = itertools.cycle((signal.SIGINT, signal.SIGINT, signal.SIGTERM))
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        process.send_signal(next(storm))
        time.sleep(0.001)
    assert process.poll() == 0, client.target.log
    assert 'Traceback' not in client.target.log

"""The threads of an engine run on any core that the process may use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgesegnet_ros.engines.registry import back_end

PROGRAM = """
import os, sys
import numpy as np
from edgesegnet_ros import Segmenter

allowed = os.sched_getaffinity(0)
image = np.zeros((32, 32, 3), np.uint8)
for threads in (1, 2):
    options = dict(precision="fp32", input_size=(32, 32), num_threads=threads)
    with Segmenter.open(engine=sys.argv[1], **options) as segmenter:
        segmenter(image)
        for thread in map(int, os.listdir("/proc/self/task")):
            found = os.sched_getaffinity(thread)
            assert found == allowed, f"{threads} threads, one of them runs on {found} alone"
"""


@pytest.mark.parametrize('name', ['torch', 'openvino', 'onnxruntime'])
def test_no_thread_is_pinned_to_a_core(name):
    """Two nodes that pin their threads to the same core leave the other cores idle."""
    reason = back_end(name).why_not('cpu')
    if reason:
        pytest.skip(f'SKIPPED FOR WANT OF A LIBRARY: {reason}')
    ended = subprocess.run([sys.executable, '-c', PROGRAM, name], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr

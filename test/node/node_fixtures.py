"""What the tests of the node and of its faults share: nodes in this process, and as processes."""

from __future__ import annotations

import os
from pathlib import Path

import harness  # beside this file
import pytest
from in_process import InProcess

from edgesegnet_ros.demo.domain import free_domain, ros_environment

FOLDERS = {Path(__file__).parent, Path(__file__).parents[1] / 'faults'}

# Before the first participant: a domain of our own, and shared memory that images fit into.
os.environ.update(ros_environment(int(os.environ.get('ROS_DOMAIN_ID') or free_domain())))


def pytest_collection_modifyitems(items):
    for item in items:
        if not FOLDERS.isdisjoint(Path(item.path).parents):
            item.add_marker(pytest.mark.node)


@pytest.fixture
def in_process():
    """Nodes in this process, of one test."""
    started: list[InProcess] = []

    def start(**parameters: str) -> InProcess:
        started.append(InProcess(parameters))
        return started[-1]

    yield start
    for node in started:
        node.close()


@pytest.fixture
def launch(tmp_path):
    """Start nodes; ends those that the test has not ended, each of them with status 0."""
    started = []

    def start(parameters=None, remaps=None, trace=None):
        log = tmp_path / f'node{len(started)}.log'
        node = harness.NodeProcess(parameters or {}, remaps or {}, log, trace=trace)
        client = harness.Client(node)
        started.append(client)
        return client

    yield start
    statuses = []
    for client in started:
        client.close()
        if client.target.process.returncode is None:
            statuses.append(client.target.stop())
    assert statuses == [0] * len(statuses), started[0].target.log

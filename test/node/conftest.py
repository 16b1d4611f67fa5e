"""The node's tests: real processes, real DDS."""

from __future__ import annotations

import os
from pathlib import Path

import harness  # beside this file, whose folder pytest puts on the path
import pytest
from in_process import InProcess

from edgesegnet_ros.data.street import Street
from edgesegnet_ros.demo.domain import free_domain, ros_environment

# Before the first participant: a domain of our own, and shared memory that images fit into.
os.environ.update(ros_environment(int(os.environ.get('ROS_DOMAIN_ID') or free_domain())))


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.node)


@pytest.fixture(scope='session')
def street_frame():
    """One labelled picture of a street that was never trained on."""
    return Street(7, (360, 480)).frame(20)


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
    """Start nodes; ends them and checks that each ended with status 0."""
    started = []

    def start(parameters=None, remaps=None):
        number = len(started)
        node = harness.NodeProcess(parameters or {}, remaps or {}, tmp_path / f'node{number}.log')
        client = harness.Client(node)
        started.append(client)
        return client

    yield start
    statuses = []
    for client in started:
        client.close()
        statuses.append(client.target.stop())
    assert statuses == [0] * len(started), started[0].target.log

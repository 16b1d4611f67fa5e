"""Faults in one node in this process; in real ones where the process itself is at fault."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# The harness of the node's tests drives real processes for these tests, too.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'node'))


from in_process import InProcess

from edgesegnet_ros.demo.domain import free_domain, ros_environment

os.environ.update(ros_environment(int(os.environ.get('ROS_DOMAIN_ID') or free_domain())))


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.node)


@pytest.fixture(scope='module')
def shared():
    """One active node for the faults that leave it as it was."""
    node = InProcess({})
    node.active()
    yield node
    node.close()


@pytest.fixture
def fresh():
    """Nodes of a test's own."""
    started: list[InProcess] = []

    def start(**parameters: str) -> InProcess:
        started.append(InProcess(parameters))
        return started[-1]

    yield start
    for node in started:
        node.close()


@pytest.fixture
def launch(tmp_path):
    """Real processes; ends them and checks that each ended with status 0."""
    import harness

    started = []

    def start(parameters=None, remaps=None):
        log = tmp_path / f'node{len(started)}.log'
        client = harness.Client(harness.NodeProcess(parameters or {}, remaps or {}, log))
        started.append(client)
        return client

    yield start
    statuses = []
    for client in started:
        client.close()
        if client.target.process.returncode is None:
            statuses.append(client.target.stop())
    assert statuses == [0] * len(statuses), started[0].target.log

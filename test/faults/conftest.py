"""Faults in one node in this process; in real ones where the process itself is at fault."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

# The harness of the node's tests drives real processes for these tests, too.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'node'))

import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter

from edgesegnet_ros.demo.domain import free_domain, ros_environment
from edgesegnet_ros.interface import diagnostic_keys as keys
from edgesegnet_ros.node.guard import GuardedExecutor

os.environ.update(ros_environment(int(os.environ.get('ROS_DOMAIN_ID') or free_domain())))
WAIT_S = 30.0


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.node)


class InProcess:
    """The real node and its real executor in a thread; what it logs and reports is kept."""

    def __init__(self, parameters: dict[str, str]) -> None:
        from edgesegnet_ros.node.segmentation_node import SegmentationNode

        self.context = Context()
        words = {
            'engine': 'torch',
            'precision': 'fp32',
            'input_size': '[64, 64]',
            'num_threads': '1',
            'lazy': 'false',
        }
        arguments = [f'{name}:={value}' for name, value in {**words, **parameters}.items()]
        rclpy.init(
            context=self.context,
            args=['--ros-args', *(word for text in arguments for word in ('-p', text))],
        )
        self.node = SegmentationNode(
            context=self.context,
            namespace=f'/faults_{os.getpid()}_{id(self)}',
            enable_rosout=False,
        )
        self.said: list[str] = []
        self.reports: list = []
        # rclpy's logger does not let one line of code log at several levels.
        says = lambda message, **kwargs: self.said.append(message)  # noqa: E731
        logger = SimpleNamespace(error=says, warning=says, warn=says, info=says, debug=says)
        self.node.get_logger = lambda: logger
        self.node._diagnostics.publish = self.reports.append
        self.executor = GuardedExecutor(self.node.on_escaped, context=self.context)
        self.executor.add_node(self.node)
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self.executor.spin_until, args=(self._ended.is_set,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10)
        self.node.leave(5.0)
        self.executor.shutdown(timeout_sec=1)
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)

    def do(self, work, *arguments):
        """Call in the executor's thread, as everything of ROS is."""
        task = self.executor.create_task(work, *arguments)
        self.wait(task.done, f'{work} to return')
        return task.result()

    def wait(self, condition, what: str, timeout_s: float = WAIT_S):
        deadline = time.monotonic() + timeout_s
        while True:
            result = condition()
            if result:
                return result
            if time.monotonic() > deadline:
                raise AssertionError(f'waited for {what}; said: {self.said[-5:]}')
            threading.Event().wait(0.005)

    def transition(self, name: str) -> bool:
        number = self.node._state_machine.get_transition_by_label(name)
        return self.do(self.node.change_state, number).to_label() == 'transition_success'

    @property
    def state(self) -> str:
        return self.node._state_machine.current_state[1]

    def active(self) -> InProcess:
        if self.state == 'unconfigured':
            assert self.transition('configure'), self.said
        if self.state == 'inactive':
            assert self.transition('activate'), self.said
        return self

    def set(self, name: str, value) -> str:
        result = self.do(self.node.set_parameters, [Parameter(name, value=value)])[0]
        return result.reason

    @property
    def counts(self):
        return self.node._statistics.counts

    def send(self, message) -> None:
        self.do(self.node._on_image, message)

    def settled(self) -> bool:
        """Whether all that came is accounted for."""
        counts = self.counts
        return counts['in'] == counts['out'] + sum(counts[what] for what in keys.DROPS)

    def report(self) -> dict:
        """A report made now: level, message and values."""
        self.do(self.node._report)
        status = self.reports[-1].status[0]
        values = {pair.key: pair.value for pair in status.values}
        return {**values, 'level': status.level[0], 'message': status.message}


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

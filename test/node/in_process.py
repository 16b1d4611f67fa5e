"""The real node and its executor in a thread of this process, for what needs to look inside."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace

import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter

from edgesegnet_ros.interface import diagnostic_keys as keys
from edgesegnet_ros.node import qos
from edgesegnet_ros.node.guard import GuardedExecutor

WAIT_S = 120.0


class InProcess:
    """The real node and its real executor in a thread; what it logs and reports is kept."""

    def __init__(self, parameters: dict[str, str]) -> None:
        from edgesegnet_ros.node.segmentation_node import SegmentationNode

        qos.send_beside()
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
        self.node._reporter.publisher.publish = self.reports.append
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

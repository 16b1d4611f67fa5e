"""The node as a real process, and a client that talks to it over DDS."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from array import array
from pathlib import Path

import numpy as np
import psutil
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
TIMEOUT_S = 120.0
ANSWER_S = 10.0
CONFIGURE, CLEANUP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE
SHUTDOWN = {
    'unconfigured': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    'inactive': Transition.TRANSITION_INACTIVE_SHUTDOWN,
    'active': Transition.TRANSITION_ACTIVE_SHUTDOWN,
}
_numbers = itertools.count()


class NodeProcess:
    """`segmentation_node` in a process of its own, in a namespace of its own.

    Args:
        parameters: ROS parameters by name, as YAML texts.
        remaps: Topic remaps.
        log: Takes what it prints.
        namespace: Another one.
        trace: Takes a line for each image; see traced_node.py.
    """

    def __init__(
        self,
        parameters: dict[str, str],
        remaps: dict[str, str],
        log: Path,
        namespace: str = '',
        trace: Path | None = None,
    ) -> None:
        self.namespace = namespace or f'/test_{os.getpid()}_{next(_numbers)}'
        words = ['-r', f'__ns:={self.namespace}']
        # What needs neither building nor proof, and is not taken to hang on a busy machine, unless
        # a test is about an engine.
        usual = {'engine': 'torch', 'precision': 'fp32', 'inference_timeout_s': '100.0'}
        for name, value in {**usual, **parameters}.items():
            words += ['-p', f'{name}:={value}']
        for name, target in remaps.items():
            words += ['-r', f'{name}:={target}']
        program = ['-m', 'edgesegnet_ros.node.segmentation_node']
        if trace is not None:
            program = [str(Path(__file__).with_name('traced_node.py')), str(trace)]
        self._log = log
        with log.open('w') as file:
            self.process = subprocess.Popen(
                [sys.executable, *program, '--ros-args', *words],
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def rss_kb(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss // 1024

    def stop(self) -> int:
        """Interrupt it and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


class Client:
    """Calls the node's services, feeds it images and keeps what it publishes."""

    def __init__(self, node: NodeProcess) -> None:
        self.target = node
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = Node('client', namespace=node.namespace, context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self.received: dict[str, list] = {}
        self._changed = threading.Condition()
        self._services = {}
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while self.context.ok():
            try:
                self._executor.spin()
            except rclpy_implementation.InvalidHandle:
                continue  # a test has destroyed an entity that the executor waited for
            except Exception:  # the context was shut down under it
                if self.context.ok():
                    raise
            return

    def close(self) -> None:
        self._executor.shutdown()
        rclpy.try_shutdown(context=self.context)
        self._thread.join(10)

    def wait(self, condition, what: str, timeout_s: float = TIMEOUT_S):
        """Wait until `condition()` is true and return it."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                result = condition()
                if result:
                    return result
                if time.monotonic() > deadline:
                    raise AssertionError(f'waited {timeout_s:g} s for {what}\n{self.target.log}')
                status = self.target.process.poll()
                assert status is None, f'the node ended with {status}\n{self.target.log}'
                # Messages notify; the graph does not, so it is looked at from time to time.
                self._changed.wait(0.05)

    def _notify(self, _: object) -> None:
        with self._changed:
            self._changed.notify_all()

    def repeat(self, action, condition, what: str, every_s: float = 4.0):
        """Do `action` until `condition()` is true: best-effort input may lose a message."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            action()
            try:
                return self.wait(condition, what, every_s)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise

    # Services.

    def call(self, type_, name: str, request, repeatable: bool = False):
        """The answer of a service; a repeatable request is sent again where none comes.

        A service is ready for a client before it has discovered where the answer goes, and an
        answer that is sent in between is lost.
        """
        full = f'{self.target.namespace}/edgesegnet/{name}'
        if full not in self._services:
            self._services[full] = self.node.create_client(type_, full)
        service = self._services[full]
        self.wait(service.service_is_ready, f'service {full}')
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            future = service.call_async(request)
            future.add_done_callback(self._notify)
            last = not repeatable or time.monotonic() > deadline
            try:
                return self.wait(
                    lambda future=future: future.done() and future.result(),
                    f'an answer of {full}',
                    TIMEOUT_S if not repeatable else ANSWER_S,
                )
            except AssertionError:
                if last or self.target.process.poll() is not None:
                    raise

    def change_state(self, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return self.call(ChangeState, 'change_state', request).success

    def state(self) -> str:
        return self.call(GetState, 'get_state', GetState.Request(), True).current_state.label

    def set_parameter(self, name: str, value) -> str:
        """Set one parameter; the reason of a refusal, or ''."""
        message = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[message])
        result = self.call(SetParameters, 'set_parameters', request, True).results[0]
        assert result.successful == (not result.reason)
        return result.reason

    def parameter(self, name: str):
        request = GetParameters.Request(names=[name])
        message = self.call(GetParameters, 'get_parameters', request, True).values[0]
        from rclpy.parameter import parameter_value_to_python

        return parameter_value_to_python(message)

    # Topics, relative to the node's namespace.

    def subscribe(self, type_, topic: str, qos: QoSProfile = RELIABLE, matched: bool = True):
        """Keep all messages of a topic in `received[topic]`."""
        messages = self.received.setdefault(topic, [])

        def keep(message) -> None:
            with self._changed:
                messages.append(message)
                self._changed.notify_all()

        subscription = self.node.create_subscription(type_, topic, keep, qos)
        if matched:
            name = subscription.topic_name
            self.wait(lambda: self.node.count_publishers(name), f'a publisher of {name}')
            self._wait_until_served(topic)
        return subscription

    def _wait_until_served(self, topic: str) -> None:
        """Each side of DDS matches in its own time; what comes in between is lost."""
        room, _, output = topic.partition('/')
        if room == 'segmentation' and output != 'label_info':
            self.diagnostics(
                lambda v: output in v['outputs_subscribed'].split(', '), f'{topic} is served'
            )

    def publisher(self, type_, topic: str, qos: QoSProfile = RELIABLE, matched: bool = True):
        publisher = self.node.create_publisher(type_, topic, qos)
        if matched:
            self.wait(publisher.get_subscription_count, f'the node to subscribe to {topic}')
            if type_ is not CameraInfo:
                self.wait_until_heard(publisher)
        return publisher

    def wait_until_heard(self, camera) -> None:
        """Wait until the node takes images of every camera there is."""
        self.wait(camera.get_subscription_count, f'the node to subscribe to {camera.topic_name}')

        def heard(values: dict[str, str]) -> bool:
            matched = values.get('image_publishers_matched', values['image_publishers'])
            return int(matched) == self.node.count_publishers(camera.topic_name)

        self.diagnostics(heard, 'the camera is heard')

    def messages(self, topic: str, count: int = 1) -> list:
        """At least so many messages of a subscribed topic."""
        self.wait(lambda: len(self.received[topic]) >= count, f'{count} messages on {topic}')
        return self.received[topic]

    def diagnostics(self, condition, what: str) -> dict[str, str]:
        """The node's first status from now on that fulfils `condition`, as a dictionary."""
        if '/diagnostics' not in self.received:
            from diagnostic_msgs.msg import DiagnosticArray

            self.subscribe(DiagnosticArray, '/diagnostics')
        name = f'{self.target.namespace.lstrip("/")}/edgesegnet: segmentation'
        start = len(self.received['/diagnostics'])

        def look():
            for message in self.received['/diagnostics'][start:]:
                for status in message.status:
                    values = {pair.key: pair.value for pair in status.values}
                    values['level'], values['message'] = status.level, status.message
                    values['hardware_id'] = status.hardware_id
                    if status.name == name and condition(values):
                        return values
            return None

        return self.wait(look, f'diagnostics: {what}')


def image_message(
    pixels: np.ndarray,
    encoding: str = 'rgb8',
    stamp: int = 1,
    frame_id: str = 'camera',
    padding: int = 0,
) -> Image:
    """An image message with `padding` bytes at the end of each row.

    Args:
        stamp: In seconds; tests tell frames apart by it.
    """
    rows = pixels.reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    message = Image()
    message.header.stamp.sec = stamp
    message.header.stamp.nanosec = 5
    message.header.frame_id = frame_id
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    message.step = rows.shape[1]
    message.data = array('B', np.ascontiguousarray(rows).tobytes())
    return message


def pixels_of(message: Image) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 of a message without padding."""
    channels = message.step // message.width
    assert len(message.data) == message.height * message.step
    array_ = np.frombuffer(bytes(message.data), np.uint8)
    shape = (message.height, message.width) + ((channels,) if channels > 1 else ())
    return array_.reshape(shape)

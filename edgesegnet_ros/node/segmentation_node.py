"""The lifecycle node: camera images in, label images and class masks out."""

from __future__ import annotations

import logging
import sys
import time
from functools import partial
from typing import Dict, List, Optional

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from edgesegnet_ros.data.encodings import ImageMessageError
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.node import parameters, qos, threads
from edgesegnet_ros.node.camera import Camera, CameraMessage
from edgesegnet_ros.node.diagnostics import NodeHealth
from edgesegnet_ros.node.ending import leave, shut_down
from edgesegnet_ros.node.engine_supervisor import EngineSupervisor
from edgesegnet_ros.node.frame_statistics import FrameStatistics
from edgesegnet_ros.node.groups import declare_groups, resolve_groups
from edgesegnet_ros.node.guard import GuardedExecutor
from edgesegnet_ros.node.health_reporter import HealthReporter
from edgesegnet_ros.node.intake import Intake
from edgesegnet_ros.node.lifecycle import SUCCESS, ManagedNode
from edgesegnet_ros.node.outputs import Outputs
from edgesegnet_ros.node.parameter_files import check_files
from edgesegnet_ros.node.signals import NoteOnly
from edgesegnet_ros.node.stamps import AgeClock
from edgesegnet_ros.node.starting import initialize
from edgesegnet_ros.node.worker import SegmentationWorker

_REPORT_PERIOD_S = 1.0
_SAME_WARNING_AFTER_S = 10.0
_LEAVE_S = 1.5
"""How long the end of the process waits for a frame that is being computed."""


class SegmentationNode(ManagedNode):
    """EdgeSegNet behind a camera (ROS 2 managed node).

    configure loads the model, builds and warms up its engine and latches label_info. activate
    opens the outputs and subscribes to the camera. deactivate undoes that; nothing is published
    after it has answered. cleanup frees the model. shutdown closes and frees everything. During
    configure, all other services are answered.

    Args:
        node_name: Name of the node.
        kwargs: Arguments of `rclpy.lifecycle.LifecycleNode`.

    Raises:
        NodeParameterError: A parameter given at start is refused.
    """

    def __init__(self, node_name: str = 'edgesegnet', **kwargs: object) -> None:
        super().__init__(node_name, allow_undeclared_parameters=True, **kwargs)
        self._outputs: Optional[Outputs] = None
        self._intake: Optional[Intake] = None
        self._failure: Optional[str] = None
        self._statistics = FrameStatistics()
        self._activated_at: Optional[float] = None
        self._configuring_since = 0.0
        self._warned_at: Dict[str, float] = {}
        parameters.declare(self)
        for sentence in parameters.misspelt(self):
            self.get_logger().warning(sentence)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._ages = AgeClock(self.get_clock())
        self._engines = EngineSupervisor(self, self._ages)
        self._camera = Camera(self, self._on_image)
        self._reporter = HealthReporter(self)
        self._report_timer = self.create_timer(_REPORT_PERIOD_S, self._report, clock=self.steady)
        self._autostart_timer = None
        if self.get_parameter('autostart').value:
            self._autostart_timer = self.create_timer(
                0.0, self._autostart, callback_group=self.beside, clock=self.steady
            )

    # Transitions. None of these callbacks waits for the engine; ManagedNode does.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the engine and latch label_info. After a failure the node is unconfigured."""
        if self._engines.worker is None:  # called by trigger_configure, which does not start it
            self.start_configure()
        return self.attempt('configure', self._configure, self._release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the outputs and subscribe to the camera. After a failure the node is inactive."""
        return self.attempt('activate', partial(self._activate, state), self._close)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, stop publishing and close the outputs."""
        self._close()
        return LifecycleNode.on_deactivate(self, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model, its engine and the publishers of results."""
        self._release()
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close and free everything; works in every state."""
        self._release()
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, so that the node can be configured again."""
        self._release()
        return SUCCESS

    def failed(self, reason: str) -> None:
        """Report a failed transition until the next configure."""
        self._failure = reason

    def start_configure(self) -> None:
        """Start the thread that opens the engine."""
        self._failure = None
        self._statistics = FrameStatistics()
        self._reporter.configured_anew()
        self._configuring_since = time.monotonic()
        self._engines.open(self._statistics, self._on_bad_image, self._on_failure)

    def configure_ended(self) -> bool:
        """Whether the engine is open or cannot be opened."""
        return self._engines.has_tried

    def release_ended(self) -> bool:
        """Whether the engines that were closed have released everything."""
        return self._engines.all_closed

    def _configure(self) -> None:
        opened = self._engines.wait()
        classes = opened.model.classes
        declare_groups(self, list(classes.groups))
        groups = resolve_groups(self, classes)
        self._outputs = Outputs(self, classes, groups)
        self._outputs.publish_label_info(self.get_parameter('unlabeled_below').value)
        self.get_logger().info(
            f'configured in {time.monotonic() - self._configuring_since:.1f} s: '
            f'{self.get_parameter("model").value}, {len(classes.classes)} classes of '
            f'{classes.name}, groups {", ".join(groups)}'
        )

    def _activate(self, state: LifecycleState) -> None:
        worker = self._engines.worker
        if self._outputs is None or worker is None:
            raise RuntimeError('there is nothing to activate: configure first')
        self._serve(worker, self._outputs)
        LifecycleNode.on_activate(self, state)
        self._failure = None
        self._activated_at = time.monotonic()
        self._statistics.activated()
        self._reporter.activated()
        self._camera.open()
        self.get_logger().info(f'active: waiting for images on {self._camera.topic}')

    def _serve(self, worker: SegmentationWorker, outputs: Outputs) -> None:
        """Pass images to this worker from now on."""
        self._intake = Intake(
            self, self._camera, self._ages, outputs, worker, self._statistics, self._warn_once
        )
        worker.publish_to(outputs)

    def _close(self) -> None:
        self._camera.close()
        self._activated_at = None
        intake, self._intake = self._intake, None
        if intake is not None:
            intake.close()
        if self._engines.worker is not None:
            self._engines.worker.publish_to(None)

    def _release(self) -> None:
        self._close()
        self._engines.close()
        if self._outputs is not None:
            self._outputs.destroy()
            self._outputs = None

    def leave(self, timeout_s: float) -> bool:
        """Release everything at the end of the process; returns whether all threads have ended."""
        self._release()
        return self._engines.join(timeout_s)

    # Frames and what goes wrong with them.

    def _on_image(self, message: CameraMessage) -> None:
        if self._intake is None:
            return
        self._reporter.image_arrived(self._camera.topic)
        self._intake.on_image(message)

    def _warn_once(self, kind: str, message: str) -> None:
        """Warn, at most once per 10 s and kind."""
        now = time.monotonic()
        if now - self._warned_at.get(kind, -_SAME_WARNING_AFTER_S) >= _SAME_WARNING_AFTER_S:
            self._warned_at[kind] = now
            self.get_logger().warning(message)

    def _on_bad_image(self, error: ImageMessageError) -> None:
        intake = self._intake
        if intake is not None:
            intake.on_bad_image(error)

    def _on_failure(self, worker: SegmentationWorker, reason: str) -> None:
        """Called in the worker's thread; a worker that was closed is ignored."""
        executor = self.executor
        if worker is self._engines.worker and executor is not None:
            executor.create_task(self._give_up, worker, reason)

    def _give_up(self, worker: SegmentationWorker, reason: str) -> None:
        if worker is not self._engines.worker:
            return
        self.get_logger().error(f'the engine failed, deactivating and cleaning up: {reason}')
        if self._state_machine.current_state[1] == 'active':
            self.trigger_deactivate()
        self.trigger_cleanup()
        self._failure = f'the engine failed: {reason}; configure the node again'

    def _check_hung(self) -> None:
        """Replace an engine that does not return from a frame, or clean up."""
        worker, outputs = self._engines.worker, self._outputs
        reason = self._engines.hung()
        if worker is None or reason is None:
            return
        successor = None
        if self._activated_at and outputs:
            successor = self._engines.replace(reason)
        if successor is None or outputs is None:
            self._give_up(worker, reason)
            return
        if self._intake is not None:
            self._intake.close()
        self._serve(successor, outputs)

    # Parameters, start and health.

    def _on_set_parameters(self, changes: List[Parameter]) -> SetParametersResult:
        for parameter in changes:
            objection = parameters.objection(self, parameter, self._engines.worker is not None)
            if objection:
                return SetParametersResult(successful=False, reason=objection)
        new = {parameter.name: parameter.value for parameter in changes}
        opened, outputs = self._engines.opened, self._outputs
        if opened is not None and outputs is not None:
            try:
                if any(name == 'groups' or name.startswith('group.') for name in new):
                    groups = resolve_groups(self, opened.model.classes, new)
                    outputs.set_groups(groups)
            except EdgeSegNetError as error:
                return SetParametersResult(successful=False, reason=str(error))
            if 'unlabeled_below' in new:
                outputs.publish_label_info(new['unlabeled_below'])
        return SetParametersResult(successful=True)

    async def _autostart(self) -> None:
        self.destroy_timer(self._autostart_timer)
        if self._engines.worker is None:
            await self.bring_up()

    def _report(self) -> None:
        self._check_hung()
        now = time.monotonic()
        active_for = None if self._activated_at is None else now - self._activated_at
        engines = self._engines
        health = NodeHealth(
            self._state_machine.current_state[1],
            self.get_parameter('model').value,
            engines.description,
            self._failure,
            self._camera.topic,
            self._camera.publishers(),
            self._camera.matched_publishers(),
            self._camera.mismatch(),
            self._outputs.wanted() if self._outputs else [],
            self._reporter.increase('bad', self._statistics),
            active_for,
            engines.fallback,
            engines.infers_for_s,
            engines.worker is not None and engines.worker.has_ended,
            self._ages.stands_still,
            self.escaped,
            engines.opening_for_s,
        )
        self._reporter.report(health, self._statistics)


def main(arguments: Optional[List[str]] = None) -> int:
    """Spin the node until a signal ends it; returns the exit status."""
    node: Optional[SegmentationNode] = None
    idle = True
    threads.wait_passively()
    qos.send_beside()
    # Engines log what they build through Python's logging.
    logging.basicConfig(format='[%(levelname)s] [%(name)s]: %(message)s')
    logging.getLogger('edgesegnet_ros').setLevel(logging.INFO)
    signals = NoteOnly()
    try:
        check_files(sys.argv if arguments is None else arguments)
        initialize(arguments, SignalHandlerOptions.NO)
        node = SegmentationNode()
        executor = GuardedExecutor(node.on_escaped)
        executor.add_node(node)
        executor.spin_until(lambda: signals.noted)
    except EdgeSegNetError as error:
        print(f'segmentation_node: {error}', file=sys.stderr)
        return 2
    finally:
        if node is not None:
            idle = node.leave(_LEAVE_S)
        shut_down()
    return leave(0, idle)


if __name__ == '__main__':
    sys.exit(main())

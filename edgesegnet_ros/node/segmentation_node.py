"""The lifecycle node: camera images in, label images and class masks out."""

from __future__ import annotations

import logging
import sys
import time
from functools import partial
from typing import Callable, Dict, List, Optional

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ROSInterruptException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.time import Time

from edgesegnet_ros.data.encodings import ImageMessageError, assumption_of
from edgesegnet_ros.engines import LoadedModel
from edgesegnet_ros.engines.base import EngineDescription
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.node import parameters
from edgesegnet_ros.node.admission import Admission, Limits
from edgesegnet_ros.node.camera import Camera, CameraMessage
from edgesegnet_ros.node.diagnostics import SILENT_AFTER_S, NodeHealth, report, silence
from edgesegnet_ros.node.ending import shut_down
from edgesegnet_ros.node.engine_opening import OpenedEngine, fall_back, open_or_fall_back
from edgesegnet_ros.node.frame_statistics import FrameStatistics
from edgesegnet_ros.node.outputs import Outputs
from edgesegnet_ros.node.signals import interrupt_once
from edgesegnet_ros.node.worker import Arrival, SegmentationWorker

_REPORT_PERIOD_S = 1.0
_SAME_WARNING_AFTER_S = 10.0


class SegmentationNode(LifecycleNode):
    """EdgeSegNet behind a camera (ROS 2 managed node).

    configure loads the model, builds and warms up its engine and latches label_info; activate
    opens the outputs and subscribes to the camera; deactivate undoes that, and nothing is
    published once it has answered; cleanup frees the model; shutdown does what is left to do.

    Args:
        node_name: Name of the node.
        kwargs: For `rclpy.lifecycle.LifecycleNode`.

    Raises:
        NodeParameterError: A parameter given at start is refused.
    """

    def __init__(self, node_name: str = 'edgesegnet', **kwargs: object) -> None:
        super().__init__(node_name, allow_undeclared_parameters=True, **kwargs)
        self._model: Optional[LoadedModel] = None
        self._outputs: Optional[Outputs] = None
        self._worker: Optional[SegmentationWorker] = None
        self._description: Optional[EngineDescription] = None
        self._failure: Optional[str] = None
        self._fallback: Optional[str] = None
        self._statistics = FrameStatistics()
        self._activated_at: Optional[float] = None
        self._admission = Admission()
        self._silent = False
        self._reported_bad = 0
        self._warned_at: Dict[str, float] = {}
        parameters.declare(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._camera = Camera(self, self._on_image)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # Steady, since a paused simulation's health still matters.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._report_timer = self.create_timer(_REPORT_PERIOD_S, self._report, clock=steady)
        self._autostart_timer = None
        if self.get_parameter('autostart').value:
            self._autostart_timer = self.create_timer(0.0, self._autostart, clock=steady)

    # Transitions. rclpy swallows their exceptions, so each reports its own.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, build, warm up; latch label_info. On failure: unconfigured, nothing kept."""
        return self._transition('configure', self._configure, self._release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the outputs and subscribe to the camera. On failure: inactive."""
        return self._transition('activate', partial(self._activate, state), self._close)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, let no result out any more, close the outputs."""
        self._close()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model, its engine and all topics of results."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close and free what the state had; works from every one."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, so that the node can be configured again."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def _transition(
        self, name: str, work: Callable[[], None], undo: Callable[[], None]
    ) -> TransitionCallbackReturn:
        try:
            work()
        except EdgeSegNetError as error:
            self.get_logger().error(f'cannot {name}: {error}')
        except Exception as error:  # rclpy would hide it
            self.get_logger().error(f'cannot {name}: {type(error).__name__}: {error}')
        else:
            return TransitionCallbackReturn.SUCCESS
        undo()
        return TransitionCallbackReturn.FAILURE

    def _configure(self) -> None:
        self._failure = self._fallback = None
        self._statistics = FrameStatistics()
        self._reported_bad = 0
        started = time.monotonic()
        request = parameters.engine_request(self)
        opened = open_or_fall_back(request, self._may_fall_back())
        self._use(opened)
        classes = opened.model.classes
        parameters.declare_groups(self, list(classes.groups))
        groups = parameters.resolve_groups(self, classes)
        self._outputs = Outputs(self, classes, groups)
        self._outputs.publish_label_info(self.get_parameter('unlabeled_below').value)
        self.get_logger().info(
            f'configured in {time.monotonic() - started:.1f} s: {request.model}, '
            f'{len(classes.classes)} classes of {classes.name}, groups {", ".join(groups)}'
        )

    def _use(self, opened: OpenedEngine) -> None:
        """Say what runs from now on."""
        self._model, self._fallback = opened
        if self._fallback:
            self.get_logger().error(self._fallback)
        self._description = is_ = self._model.engine.describe()
        height, width = self._model.engine.input_size
        why = f' ({is_.reason})' if is_.reason else ''
        self.get_logger().info(
            f'engine {is_.engine} {is_.version}, {is_.precision}{why}, on {is_.device}, '
            f'input {height}x{width}'
        )

    def _may_fall_back(self) -> bool:
        return bool(self.get_parameter('on_engine_failure').value == 'torch')

    def _activate(self, state: LifecycleState) -> None:
        if self._outputs is None:
            raise RuntimeError('there is nothing to activate: configure first')
        self._worker = SegmentationWorker(
            self._segmenter(),
            self._outputs,
            self._statistics,
            lambda: self.get_parameter('unlabeled_below').value,
            self._on_bad_image,
            self._on_failure,
            self.get_parameter('output_resolution').value == 'network',
        )
        super().on_activate(state)
        self._activated_at = time.monotonic()
        self._statistics.last_arrival = None
        self._silent = False
        self._camera.open()
        self.get_logger().info(f'active: waiting for images on {self._camera.topic}')

    def _segmenter(self) -> Segmenter:
        if self._model is None:
            raise RuntimeError('there is no model: configure first')
        return Segmenter(
            self._model.engine,
            self.get_parameter('resize_mode').value,
            self.get_parameter('output_resolution').value,
        )

    def _close(self) -> None:
        self._camera.close()
        self._activated_at = None
        worker, self._worker = self._worker, None
        if worker is not None and not worker.stop():
            self.get_logger().error('the engine does not return from a frame; it is left alone')

    def _release(self) -> None:
        self._close()
        if self._outputs is not None:
            self._outputs.destroy()
            self._outputs = None
        if self._model is not None:
            self._model.engine.close()
            self._model = None
        self._description = None

    # Frames, in the executor's thread: judged here, segmented by the worker.

    def _on_image(self, message: CameraMessage) -> None:
        entered = time.perf_counter()
        worker, outputs = self._worker, self._outputs
        if worker is None or outputs is None:
            return
        age_ms = self._age_ms(message)
        self._statistics.arrived(age_ms)
        if self._silent:
            self._silent = False
            self.get_logger().info(f'images are back on {self._camera.topic}')
        limits = Limits(*(self.get_parameter(name).value for name in Limits._fields))
        refusal = self._admission.refusal(limits, entered, age_ms, lambda: bool(outputs.wanted()))
        if refusal:
            self._statistics.count(refusal)
            if refusal == 'too_old':
                age = 'no stamp' if age_ms is None else f'an age of {age_ms:.0f} ms'
                self._warn_once(
                    refusal, f'dropping images: {age}, max_age_ms is {limits.max_age_ms:g}'
                )
            return
        changed = self._camera.size_change(message)
        if changed:
            self.get_logger().info(changed)
        assumption = assumption_of(message)
        if assumption:
            self._warn_once('assumption', f'{self._camera.topic}: {assumption}')
        worker.offer(Arrival(message, entered, self._camera.info))

    def _age_ms(self, message: CameraMessage) -> Optional[float]:
        """Age by stamp and ROS clock; None for an image without a stamp."""
        stamp = Time.from_msg(message.header.stamp)
        if stamp.nanoseconds == 0:
            return None
        return (self.get_clock().now().nanoseconds - stamp.nanoseconds) / 1e6

    # What goes wrong.

    def _warn_once(self, kind: str, message: str) -> None:
        """Warn, and for a while not again of the same kind."""
        now = time.monotonic()
        if now - self._warned_at.get(kind, -_SAME_WARNING_AFTER_S) >= _SAME_WARNING_AFTER_S:
            self._warned_at[kind] = now
            self.get_logger().warning(message)

    def _on_bad_image(self, error: ImageMessageError) -> None:
        self._warn_once(error.kind, f'unusable image on {self._camera.topic}: {error}')

    def _on_failure(self, error: Exception) -> Optional[Segmenter]:
        """In the worker's thread: another segmenter to go on with, or None after giving up."""
        reason = str(error) if isinstance(error, EdgeSegNetError) else repr(error)
        runs = self._description.engine if self._description else None
        if self._may_fall_back() and runs not in (None, 'torch'):
            try:
                request = parameters.engine_request(self)
                self._use(fall_back(request, f'{runs} failed: {reason}'))
                return self._segmenter()
            except EdgeSegNetError as another:
                reason = f'{reason}; and torch: {another}'
        executor = self.executor
        if executor is not None:
            executor.create_task(self._give_up, reason)
        return None

    def _give_up(self, reason: str) -> None:
        self.get_logger().error(f'the engine failed, deactivating and cleaning up: {reason}')
        self.trigger_deactivate()
        self.trigger_cleanup()
        self._failure = f'the engine failed: {reason}; configure the node again'

    def _LifecycleNodeMixin__on_change_state(self, request, response):  # noqa: N802
        """Refuse an invalid transition; on Humble one would end the node (rclpy#1209)."""
        try:
            return super()._LifecycleNodeMixin__on_change_state(request, response)
        except Exception as error:
            wanted = request.transition.label or request.transition.id
            self.get_logger().error(f'transition {wanted} is not possible now: {error}')
            response.success = False
            return response

    # Parameters, start and health.

    def _on_set_parameters(self, changes: List[Parameter]) -> SetParametersResult:
        for parameter in changes:
            objection = parameters.objection(self, parameter, self._model is not None)
            if objection:
                return SetParametersResult(successful=False, reason=objection)
        new = {parameter.name: parameter.value for parameter in changes}
        if self._model is not None and self._outputs is not None:
            try:
                if any(name == 'groups' or name.startswith('group.') for name in new):
                    groups = parameters.resolve_groups(self, self._model.classes, new)
                    self._outputs.set_groups(groups)
            except EdgeSegNetError as error:
                return SetParametersResult(successful=False, reason=str(error))
            if 'unlabeled_below' in new:
                self._outputs.publish_label_info(new['unlabeled_below'])
        return SetParametersResult(successful=True)

    def _autostart(self) -> None:
        self.destroy_timer(self._autostart_timer)
        if self._model is None and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _report(self) -> None:
        state = self._state_machine.current_state[1]
        active_for = None if self._activated_at is None else time.monotonic() - self._activated_at
        bad = self._statistics.counts['bad']
        health = NodeHealth(
            state,
            self.get_parameter('model').value,
            self._description,
            self._failure,
            self._camera.topic,
            self._camera.publishers(),
            self._camera.matched_publishers(),
            self._outputs.wanted() if self._outputs else [],
            bad - self._reported_bad,
            active_for,
            self._fallback,
        )
        self._reported_bad = bad
        silent = self._statistics.silent_for_s()
        if active_for is not None:
            silent = min(active_for, silent or active_for)
            if silent > SILENT_AFTER_S and not self._silent:
                self._warn_silence(silent, health)
        message = report(self.get_fully_qualified_name(), health, self._statistics)
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _warn_silence(self, silent_s: float, health: NodeHealth) -> None:
        self._silent = True
        self.get_logger().warning(silence(health, silent_s))


def main(arguments: Optional[List[str]] = None) -> int:
    """Spin the node until it is interrupted; returns the exit status."""
    node = None
    # Engines tell what they build, and why, through Python's logging.
    logging.basicConfig(format='[%(levelname)s] [%(name)s]: %(message)s')
    logging.getLogger('edgesegnet_ros').setLevel(logging.INFO)
    try:
        interrupt_once()
        rclpy.init(args=arguments)
        node = SegmentationNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException, ROSInterruptException):
        pass
    except EdgeSegNetError as error:
        print(f'segmentation_node: {error}', file=sys.stderr)
        return 2
    finally:
        if node is not None:
            node._release()
        shut_down()
    return 0


if __name__ == '__main__':
    sys.exit(main())

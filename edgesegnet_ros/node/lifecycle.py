"""A lifecycle node that answers its other services during a long transition.

rclpy runs the callback of a transition inside the callback of the service, in the only thread of
the executor. Here the callback of the service is a coroutine that waits for work in other threads.
Meanwhile the state is `configuring`, other transitions are refused, and all other callbacks run.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Optional, Tuple

from lifecycle_msgs.msg import State, Transition
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.task import Future

from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.extras import missing_requirement
from edgesegnet_ros.node.guard import guarded_service

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
RELEASE_S = 5.0
"""How long cleanup waits for an engine that is still working on a frame, in s."""
_LOOK_S = 0.02


class ManagedNode(LifecycleNode):
    """The transitions of a lifecycle node as coroutines, and guarded services.

    A subclass overrides `start_configure`, `configure_ended`, `on_configure` and the other
    callbacks of LifecycleNode, which must not block.

    Args:
        node_name: Name of the node.
        kwargs: For `rclpy.lifecycle.LifecycleNode`.

    Attributes:
        escaped: Number of exceptions that came out of callbacks; each is logged.
        steady: A steady clock, which simulated time does not stop.
        beside: Callback group for coroutines that may wait while all other callbacks run.
    """

    def __init__(self, node_name: str, **kwargs: object) -> None:
        self.escaped = 0
        self._running: Optional[str] = None
        super().__init__(node_name, **kwargs)
        # Steady, because diagnostics are also needed while a simulation is paused.
        self.steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.beside = ReentrantCallbackGroup()
        service = getattr(self, '_service_change_state', None)
        if service is not None:
            # In the node's default group it would block all other callbacks.
            service.callback_group = self.beside
            self.beside.add_entity(service)

    # Methods for subclasses.

    def start_configure(self) -> None:
        """Start the long part of configure in another thread; must not raise."""

    def configure_ended(self) -> bool:
        """Whether `on_configure` can be called without blocking."""
        return True

    def release_ended(self) -> bool:
        """Whether everything that cleanup or shutdown closed has been released."""
        return True

    def on_escaped(self, where: str, error: Exception) -> None:
        """Count and report an exception that came out of a callback."""
        self.escaped += 1
        self.get_logger().error(
            f'{where} failed and is ignored: {type(error).__name__}: {str(error)[:300]}',
            throttle_duration_sec=5.0,
        )

    def attempt(
        self, name: str, work: Callable[[], None], undo: Callable[[], None]
    ) -> TransitionCallbackReturn:
        """Do the work of a transition; if it raises, log the reason and undo the work."""
        try:
            work()
        except Exception as error:  # rclpy would discard it
            plain = isinstance(error, EdgeSegNetError)
            reason = str(error) if plain else f'{type(error).__name__}: {error}'
            if isinstance(error, ModuleNotFoundError):
                reason = missing_requirement(error) or reason
            self.get_logger().error(f'cannot {name}: {reason}')
            self.failed(f'cannot {name}: {reason}')
        else:
            return SUCCESS
        undo()
        return FAILURE

    def failed(self, reason: str) -> None:
        """Called when a transition has failed."""

    # Transitions.

    async def change_state(self, transition: int) -> TransitionCallbackReturn:
        """Make a transition, and wait for it without blocking the executor."""
        machine = self._state_machine
        if self._running is not None:
            self.get_logger().error(
                f'the node is {self._running}; request other transitions when it has finished'
            )
            return FAILURE
        label, state = _label_and_id(machine.current_state)
        before = LifecycleState(label=label, state_id=state)
        try:
            machine.trigger_transition_by_id(transition, True)
        except Exception:  # an RCLError: there is no such transition from here
            self.get_logger().error(f'transition {transition} is not possible in state {label}')
            return FAILURE
        self._running, state = _label_and_id(machine.current_state)
        try:
            result = await self._do(state, before)
            machine.trigger_transition_by_label(result.to_label(), True)
            if result == TransitionCallbackReturn.ERROR:
                result_of_error = self.on_error(before)
                machine.trigger_transition_by_label(result_of_error.to_label(), True)
            return result
        finally:
            self._running = None

    async def _do(self, state: int, before: LifecycleState) -> TransitionCallbackReturn:
        try:
            if state == State.TRANSITION_STATE_CONFIGURING:
                self.start_configure()
                await self._until(self.configure_ended)
                return self.on_configure(before)
            if state == State.TRANSITION_STATE_ACTIVATING:
                return self.on_activate(before)
            if state == State.TRANSITION_STATE_DEACTIVATING:
                return self.on_deactivate(before)
            cleaning = state == State.TRANSITION_STATE_CLEANINGUP
            result = self.on_cleanup(before) if cleaning else self.on_shutdown(before)
            await self._until(self.release_ended, RELEASE_S)
            return result
        except Exception as error:
            self.on_escaped('a transition', error)
            return TransitionCallbackReturn.ERROR

    async def _until(self, condition: Callable[[], bool], timeout_s: float = 0.0) -> None:
        """Wait for a condition until the timeout; 0 waits without a timeout."""
        if condition():
            return
        ended: Future = Future()
        deadline = time.monotonic() + timeout_s if timeout_s else None

        def look() -> None:
            late = deadline is not None and time.monotonic() > deadline
            if (late or condition()) and not ended.done():
                ended.set_result(None)

        # A new group, because a group keeps references to all entities that it ever held.
        group = ReentrantCallbackGroup()
        timer = self.create_timer(_LOOK_S, look, callback_group=group, clock=self.steady)
        try:
            await ended
        finally:
            self.destroy_timer(timer)

    async def _LifecycleNodeMixin__on_change_state(  # noqa: N802
        self, request: Any, response: Any
    ) -> Any:
        """Answer a request of ChangeState; the name is that of rclpy's private method."""
        transition = request.transition.id
        if request.transition.label:
            try:
                transition = self._state_machine.get_transition_by_label(request.transition.label)
            except Exception:
                self.get_logger().error(
                    f'there is no transition {request.transition.label[:40]!r} in this state'
                )
                response.success = False
                return response
        response.success = await self.change_state(transition) == SUCCESS
        return response

    async def bring_up(self) -> None:
        """Configure and activate, as the parameter autostart asks."""
        if await self.change_state(Transition.TRANSITION_CONFIGURE) == SUCCESS:
            await self.change_state(Transition.TRANSITION_ACTIVATE)

    # rclpy creates its services of parameters and of the lifecycle with this method, too.

    def create_service(self, srv_type: type, srv_name: str, callback: Callable, **kwargs: object):  # noqa: ANN201
        """Create a service that also answers if its callback raises."""
        answer = guarded_service(srv_type, callback, self.on_escaped)
        return super().create_service(srv_type, srv_name, answer, **kwargs)


def _label_and_id(state: Tuple[int, str]) -> Tuple[str, int]:
    """The label and id of a state, which rclpy stores as (id, label)."""
    number, label = state
    return label, number

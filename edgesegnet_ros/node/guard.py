"""A guard around every callback: exceptions are reported and do not end the process.

No malformed message may end the node. rclpy raises an exception for a negative clock or a
parameter of an unknown type before it calls any code of this package.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor

OnError = Callable[[str, Exception], None]
"""Called with the origin of an exception, and the exception."""
_POLL_S = 0.2
"""Period in s at which an idle executor checks for a signal."""
_TOO_MANY = 1000
"""Number of consecutive exceptions, without a callback that succeeds, after which the executor
counts as broken."""
_NOTHING = object()


class GuardedExecutor(SingleThreadedExecutor):
    """A SingleThreadedExecutor that continues after an exception in a callback.

    Args:
        on_error: Called with every exception, in the executor's thread.
        context: Context of the nodes; None for the default context.
    """

    def __init__(self, on_error: OnError, context: Optional[Context] = None) -> None:
        super().__init__(context=context)
        self._on_error = on_error

    def spin_until(self, ended: Callable[[], bool]) -> None:
        """Call callbacks until `ended()` is true or the context is shut down."""
        failures = 0
        while not ended() and self._context.ok():
            try:
                self.spin_once(timeout_sec=_POLL_S)
                failures = 0
            except (ExternalShutdownException, ShutdownException):
                return
            except Exception as error:
                failures += 1
                if failures > _TOO_MANY:
                    raise
                if self._context.ok():
                    self._on_error('the executor', error)

    def _make_handler(self, entity: Any, node: Any, take: Callable, *execute: Callable) -> Any:
        """See `rclpy.executors.Executor`; Humble has the coroutine in a fourth argument."""

        def guarded_take(entity: Any) -> Any:
            try:
                taken = take(entity)
            except Exception as error:
                self._on_error(f'taking from {_describe(entity)}', error)
                return _NOTHING if execute else None
            return taken if execute or taken is None else guarded(taken)

        def guarded(call: Callable) -> Callable:
            async def run(*arguments: Any) -> None:
                if _NOTHING in arguments[1:]:
                    return
                try:
                    await call(*arguments)
                except Exception as error:
                    self._on_error(f'a callback of {_describe(entity)}', error)

            return run

        return super()._make_handler(entity, node, guarded_take, *map(guarded, execute))


def guarded_service(service_type: type, callback: Callable, on_error: OnError) -> Callable:
    """Wrap the callback of a service so that the service also answers if the callback raises.

    Parameters are set one by one, so that the answer is exact for each of them.
    """

    def answer(request: Any, response: Any) -> Any:
        try:
            return callback(request, response)
        except Exception as error:
            on_error(f'a request of {service_type.__name__}', error)
            reason = f'refused: {type(error).__name__}: {error}'[:300]
            refusal = SetParametersResult(successful=False, reason=reason)
            response = type(response)()
            if service_type is SetParameters:
                response.results = [refusal] * len(request.parameters)
            elif service_type is SetParametersAtomically:
                response.result = refusal
            return response

    def set_one_by_one(request: Any, response: Any) -> Any:
        for parameter in request.parameters:
            one = SetParameters.Request(parameters=[parameter])
            response.results.append(answer(one, SetParameters.Response()).results[0])
        return response

    return set_one_by_one if service_type is SetParameters else answer


def _describe(entity: Any) -> str:
    name = getattr(entity, 'topic_name', None) or getattr(entity, 'srv_name', None)
    return str(name or type(entity).__name__)

"""Opening the node's engine: the one that was asked for, or torch in its place."""

from __future__ import annotations

from typing import NamedTuple, Optional

from edgesegnet_ros.engines import LoadedModel, open_engine
from edgesegnet_ros.engines.request import EngineError, EngineRequest


class OpenedEngine(NamedTuple):
    """A model on the engine that the node runs.

    Attributes:
        model: Built, proved and warmed up.
        fallback: Why it is not the engine that was asked for; None where it is.
    """

    model: LoadedModel
    fallback: Optional[str] = None


def open_or_fall_back(request: EngineRequest, may_fall_back: bool) -> OpenedEngine:
    """The engine that was asked for, or torch where `on_engine_failure` allows it.

    Raises:
        EdgeSegNetError: Neither is available.
    """
    try:
        return OpenedEngine(open_engine(request))
    except EngineError as error:
        plain = request.engine == 'torch' and request.precision in ('auto', 'fp32')
        if plain or not may_fall_back:
            raise
        return fall_back(request, f'{request.engine} is not available: {error}')


def fall_back(request: EngineRequest, reason: str) -> OpenedEngine:
    """The engine that needs no proof, in place of one that failed.

    Args:
        request: What was asked for.
        reason: What became of that.

    Raises:
        EdgeSegNetError: It is not available, either.
    """
    device = 'auto' if request.device.startswith('dla') else request.device
    plain = request._replace(engine='torch', precision='fp32', device=device)
    return OpenedEngine(open_engine(plain), f'on torch, since {reason}')

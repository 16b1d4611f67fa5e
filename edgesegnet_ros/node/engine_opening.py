"""Opening the engine of the node: the requested one, or torch instead."""

from __future__ import annotations

from typing import NamedTuple, Optional

from edgesegnet_ros.engines import LoadedModel, open_engine
from edgesegnet_ros.engines.request import EngineError, EngineRequest


class OpenedEngine(NamedTuple):
    """A model on the engine that the node runs.

    Attributes:
        model: The model, whose engine is built, proved and warmed up.
        fallback: Why this is not the requested engine; None if it is.
    """

    model: LoadedModel
    fallback: Optional[str] = None


def open_or_fall_back(request: EngineRequest, may_fall_back: bool) -> OpenedEngine:
    """Open the requested engine, or torch if `on_engine_failure` allows it.

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
    """Open torch in fp32, which needs no proof, instead of an engine that failed.

    Args:
        request: The request that failed.
        reason: Why it failed.

    Raises:
        EdgeSegNetError: torch is not available, either.
    """
    device = 'auto' if request.device.startswith('dla') else request.device
    plain = request._replace(engine='torch', precision='fp32', device=device)
    return OpenedEngine(open_engine(plain), f'on torch, since {reason}')

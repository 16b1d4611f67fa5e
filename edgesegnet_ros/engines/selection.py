"""Which engine runs: the user's choice, or the fastest that is present and proved.

`engine: auto` tries the back ends in the order of their speed where it was measured: on a CUDA
device TensorRT, then PyTorch; on a CPU OpenVINO, ONNX Runtime, then PyTorch. What is missing,
fails or is refused is passed over, and the reason names it.

`precision: auto` takes the fastest that the hardware computes natively, but for int8: its ranges
depend on the pictures that they were measured on, so it is taken only where `edgesegnet export`
has built it and it has passed the gate.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple

from edgesegnet_ros.engines.base import BackEnd, EngineError
from edgesegnet_ros.engines.pictures import PictureSet
from edgesegnet_ros.engines.proving import ProvedEngine, is_proved, proved_engine
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.engines.registry import back_end

_ON_CUDA = ('tensorrt', 'torch', 'openvino', 'onnxruntime')
_ON_CPU = ('openvino', 'onnxruntime', 'torch')
_log = logging.getLogger(__name__)


class Candidate(NamedTuple):
    """A back end and a precision that may run here."""

    back_end: BackEnd
    precision: str


def _order(device: str) -> Tuple[str, ...]:
    import torch

    on_cuda = device != 'cpu' and torch.cuda.is_available()
    return _ON_CUDA if on_cuda or device not in ('auto', 'cpu') else _ON_CPU


def _precisions(found: BackEnd, recipe: Recipe, proved: Path, frames: PictureSet,
                passed_over: List[str]) -> Iterator[str]:  # fmt: skip
    """The precision that was asked for, or for auto the one to take."""
    if recipe.precision != 'auto':
        yield recipe.precision
        return
    for precision in found.precisions(recipe.device):
        if precision != 'int8':
            yield precision
            return
        if is_proved(found, recipe._replace(precision='int8'), proved, frames):
            yield precision
        else:
            passed_over.append(
                f'{found.name} int8: build it with `edgesegnet export --engine {found.name} '
                '--precision int8 --calibration DIR`'
            )


def choose(engine: str, recipe: Recipe, folder: Path, frames: PictureSet) -> ProvedEngine:
    """An engine that is proved and ready.

    Args:
        engine: One of ENGINES.
        recipe: What is wanted; its precision may be auto.
        folder: Of the cache.
        frames: To prove it on.

    Raises:
        EngineError: The one that was asked for cannot be had, or none can; says why.
    """
    names = _order(recipe.device) if engine == 'auto' else (engine,)
    passed_over: List[str] = []
    for name in names:
        found = back_end(name)
        why_not = found.why_not(recipe.device)
        if why_not:
            if engine != 'auto':
                raise EngineError(why_not)
            passed_over.append(why_not)
            continue
        for precision in _precisions(found, recipe, folder, frames, passed_over):
            try:
                proved = proved_engine(
                    found, recipe._replace(precision=precision), folder, frames
                )
            except EngineError as error:
                if engine != 'auto':
                    raise
                _log.warning('not taking %s %s: %s', name, precision, error)
                passed_over.append(str(error))
                continue
            proved.engine.reason = _reason(engine, recipe, proved, passed_over)
            return proved
    raise EngineError('no engine can be had: ' + '; '.join(passed_over))


def _reason(
    engine: str, recipe: Recipe, proved: ProvedEngine, passed_over: List[str]
) -> str:
    parts = []
    if engine == 'auto' or recipe.precision == 'auto':
        parts.append('the fastest here')
    if passed_over:
        parts.append(f'passed over: {"; ".join(passed_over)}')
    if proved.verdict:
        parts.append(proved.verdict.figures)
    return '; '.join(parts)

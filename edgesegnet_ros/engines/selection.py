"""The choice of the engine: the user's, or the fastest that is installed and proved.

On a CPU a smaller number format wins more than a back end does, so `auto` tries int8, then bf16 or
fp16, then fp32, and in each the back ends in the order of their measured speed: OpenVINO, PyTorch,
ONNX Runtime. On a CUDA device it tries TensorRT in each of its formats, then PyTorch, then what
runs on the CPU. Formats that the hardware would only emulate are none of a back end's. What is
missing, fails or is refused is passed over, and the reason names it.

int8's ranges depend on the images that they were measured on, so `auto` takes it only where
`edgesegnet export` has built it and it has passed the gate.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Tuple

from edgesegnet_ros.engines.base import BackEnd
from edgesegnet_ros.engines.image_sets import ImageSet
from edgesegnet_ros.engines.proving import ProvedEngine, is_proved, proved_engine
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.engines.registry import back_end
from edgesegnet_ros.engines.request import BACK_ENDS, EngineError

_RANK = {'int8': 0, 'bf16': 1, 'fp16': 1, 'fp32': 2}
_log = logging.getLogger(__name__)


class Candidate(NamedTuple):
    """A back end with a precision."""

    back_end: BackEnd
    precision: str


def _groups(engine: str, device: str) -> Tuple[Tuple[BackEnd, ...], ...]:
    """Back ends to try, in groups; within a group, precisions are ranked first."""
    import torch

    if engine != 'auto':
        return ((back_end(engine),),)
    known = [back_end(name) for name in BACK_ENDS]
    if device not in ('auto', 'cpu') or (device == 'auto' and torch.cuda.is_available()):
        rest = tuple(one for one in known if 'cuda' not in one.runs_on)
        return (*((one,) for one in known if 'cuda' in one.runs_on), rest)
    return (tuple(one for one in known if 'cpu' in one.runs_on),)


def candidates(engine: str, recipe: Recipe, passed_over: List[str]) -> Iterator[Candidate]:
    """Candidates for this machine, the fastest first.

    Raises:
        EngineError: The one that was asked for cannot run here.
    """
    for group in _groups(engine, recipe.device):
        found: List[Candidate] = []
        for one in group:
            why_not = one.refusal(recipe)
            if why_not and engine != 'auto':
                raise EngineError(why_not)
            if why_not:
                passed_over.append(why_not)
            elif recipe.precision != 'auto':
                found.append(Candidate(one, recipe.precision))
            else:
                found += [Candidate(one, name) for name in one.precisions(recipe.device)]
        yield from sorted(found, key=lambda candidate: _RANK[candidate.precision])


def choose(engine: str, recipe: Recipe, folder: Optional[Path], frames: ImageSet) -> ProvedEngine:
    """A proved engine that is ready.

    Args:
        engine: One of ENGINES.
        recipe: What is wanted; its precision may be auto.
        folder: Folder of the cache; None uses the user's, if a cache is needed.
        frames: To prove it on.

    Raises:
        EngineError: The requested engine is not available, or none is; the message says why.
    """
    automatic = 'auto' in (engine, recipe.precision)
    passed_over: List[str] = []
    last: Optional[EngineError] = None
    for found, precision in candidates(engine, recipe, passed_over):
        wanted = recipe._replace(precision=precision)
        if recipe.precision == 'auto' and precision == 'int8':
            if not is_proved(found, wanted, folder, frames):
                passed_over.append(
                    f'{found.name} int8: build it with `edgesegnet export --engine {found.name} '
                    '--precision int8 --calibration DIR`'
                )
                continue
        try:
            proved = proved_engine(found, wanted, folder, frames)
        except EngineError as error:
            if not automatic:
                raise
            _log.warning('skipping %s %s: %s', found.name, precision, error)
            passed_over.append(str(error))
            last = error
            continue
        proved.engine.reason = _reason(automatic, proved, passed_over)
        return proved
    if last is not None and engine != 'auto':
        raise last
    raise EngineError('no engine is available: ' + '; '.join(passed_over))


def _reason(automatic: bool, proved: ProvedEngine, passed_over: List[str]) -> str:
    parts = ['the fastest here'] if automatic else []
    if passed_over:
        parts.append(f'skipped: {"; ".join(passed_over)}')
    if proved.verdict:
        parts.append(proved.verdict.figures)
    return '; '.join(parts)

"""From a back end and a recipe to an engine that may publish: loaded or built, and verified."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Tuple

import numpy as np

from edgesegnet_ros.atomic_file import WriteError
from edgesegnet_ros.engines import cache
from edgesegnet_ros.engines.base import BackEnd, Engine
from edgesegnet_ros.engines.image_sets import ImageSet
from edgesegnet_ros.engines.parity import EngineRefused, Verdict, judge
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.engines.request import EngineError

_log = logging.getLogger(__name__)


class ProvedEngine(NamedTuple):
    """An engine that passed the parity gate.

    Attributes:
        engine: Ready, its `reason` set to what the gate found.
        verdict: None for the fp32 torch engine, which needs no gate.
        file: File of the engine in the cache, where it has one.
    """

    engine: Engine
    verdict: Optional[Verdict]
    file: Optional[Path]


def needs_no_gate(back_end: BackEnd, recipe: Recipe) -> bool:
    """Whether the engine is the torch engine in fp32, which is the reference up to rounding."""
    return back_end.name == 'torch' and recipe.precision == 'fp32'


def proved_engine(
    back_end: BackEnd,
    recipe: Recipe,
    folder: Optional[Path],
    frames: ImageSet,
    rebuild: bool = False,
) -> ProvedEngine:
    """The engine from the cache, or a new one; with a stored verdict, or one measured here.

    Args:
        back_end: Can run here (`why_not` gave None).
        recipe: What is wanted.
        folder: Folder of the cache; None uses the user's.
        frames: To prove it on.
        rebuild: Whether to build and verify again, whatever is in the cache.

    Raises:
        EngineRefused: The labels differ too much from the reference's.
        EngineError: It cannot be built, kept or run.
    """
    if needs_no_gate(back_end, recipe):
        return ProvedEngine(_sane(back_end.load(recipe, Path())), None, None)
    entry = cache.Entry(folder, back_end, recipe)
    with entry.locked():
        record, engine = _kept(entry, back_end, recipe, rebuild)
        if record is None or engine is None:
            if entry.read_only:
                raise entry.not_kept()
            record = _build(entry, back_end, recipe)
            engine = back_end.load(recipe, entry.file)
        try:
            stored = record.verdicts.get(frames.identity)
            if stored is not None:
                verdict = Verdict.from_record(stored)
            else:
                verdict = judge(engine, recipe, frames)
                record.verdicts[frames.identity] = verdict._asdict()
                _keep(entry, record)
        except BaseException:
            engine.close()
            raise
    if verdict.objection:
        engine.close()
        raise EngineRefused(
            f'the engine {back_end.name} {recipe.precision} is refused: {verdict.figures}; '
            f'{verdict.objection}'
        )
    engine.reason = verdict.figures
    return ProvedEngine(engine, verdict, entry.file if back_end.suffix else None)


def _keep(entry: cache.Entry, record: cache.Record) -> None:
    """Store a verdict if possible; otherwise it is measured again next time."""
    try:
        if not entry.read_only:
            entry.write_record(record)
    except WriteError as error:
        _log.warning('the verdict on the engine %s is not kept: %s', entry.name, error)


def is_proved(back_end: BackEnd, recipe: Recipe, folder: Optional[Path], frames: ImageSet) -> bool:
    """Whether the cache has this engine with a verdict on these frames that passed.

    It takes no lock, so as not to wait for a build: an entry in the middle of one does not fit its
    record.
    """
    try:
        stored = cache.Entry(folder, back_end, recipe).read().verdicts.get(frames.identity)
        return stored is not None and not Verdict.from_record(stored).objection
    except (EngineError, FileNotFoundError, TypeError, ValueError):
        return False


def _sane(engine: Engine) -> Engine:
    """The engine, if its logits of one image are finite; the gate does not run for this engine.

    Raises:
        NonFiniteLogitsError: They are not.
        EngineError: It failed.
    """
    image = np.random.default_rng(0).integers(0, 255, engine.input_size + (3,), np.uint8)
    try:
        engine.infer(image, np.empty(engine.input_size, np.uint8))
    except EngineError:
        engine.close()
        raise
    return engine


def _kept(
    entry: cache.Entry, back_end: BackEnd, recipe: Recipe, rebuild: bool
) -> Tuple[Optional[cache.Record], Optional[Engine]]:
    """Record and engine from the cache; None for both if it has to be built."""
    if rebuild:
        return None, None
    try:
        record = entry.read()
        for stored in record.verdicts.values():
            Verdict.from_record(stored)
        return record, back_end.load(recipe, entry.file)
    except FileNotFoundError:
        return None, None
    except (TypeError, ValueError):
        why = 'its verdict is corrupt'
    except EngineError as error:
        why = str(error)
    _log.warning('building the engine %s again: %s', entry.name, why)
    return None, None


def _ranges(recipe: Recipe) -> Dict[str, str]:
    return {'calibrated_on': recipe.calibrated_on.title} if recipe.precision == 'int8' else {}


def _build(entry: cache.Entry, back_end: BackEnd, recipe: Recipe) -> cache.Record:
    started = time.monotonic()
    try:
        partial = entry.partial_file()
    except OSError as error:
        entry.read_only = error.strerror or str(error)
        raise entry.not_kept() from None
    try:
        if not back_end.suffix:
            return entry.write(None, {})
        _log.info('building the engine %s', entry.name)
        back_end.build(recipe, partial)
        seconds = round(time.monotonic() - started, 1)
        _log.info('built the engine %s in %.1f s', entry.name, seconds)
        return entry.write(partial, {'seconds': seconds, **_ranges(recipe)})
    except OSError as error:
        raise EngineError(
            f'{entry.file}: cannot be written ({error.strerror or error}); free some space, or '
            'set engine_cache to another folder'
        ) from None
    finally:
        if partial.exists():
            partial.unlink()

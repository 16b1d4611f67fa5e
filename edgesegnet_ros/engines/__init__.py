"""How the network is computed: one room a back end behind one small interface."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgesegnet_ros import shipped
from edgesegnet_ros.data.classes import ClassSet, load_classes
from edgesegnet_ros.engines.base import Engine, EngineError, EngineRequest
from edgesegnet_ros.engines.registry import back_end
from edgesegnet_ros.network import STRIDE

if TYPE_CHECKING:
    from edgesegnet_ros.network.weights import WeightsInfo

_log = logging.getLogger(__name__)


class LoadedModel(NamedTuple):
    """An engine that is ready, and what its outputs mean."""

    engine: Engine
    classes: ClassSet
    weights: WeightsInfo


def open_engine(request: EngineRequest) -> LoadedModel:
    """Load weights and classes, check that they fit, build the engine and warm it up.

    Raises:
        EdgeSegNetError: Of the room where it failed; the message says what to do.
    """
    # Launch files import this package's constants; they need no torch.
    from edgesegnet_ros.engines.pytorch import TorchEngine
    from edgesegnet_ros.engines.recipe import Recipe, file_sha256, threads_of
    from edgesegnet_ros.network.weights import load_weights

    if any(size < STRIDE or size % STRIDE for size in request.input_size):
        height, width = request.input_size
        raise EngineError(
            f'input size {height}x{width}: height and width are multiples of {STRIDE}, the '
            f'nearest is {_nearest(height)}x{_nearest(width)}'
        )
    classes = load_classes(request.classes)
    path = shipped.find('models', request.model)
    model, weights = load_weights(path)
    if len(classes.classes) != weights.num_classes:
        raise EngineError(
            f'class file {classes.name} has {len(classes.classes)} classes, but {path} gives '
            f'{weights.num_classes}; it was trained for {weights.classes}'
        )
    if classes.name != weights.classes:
        _log.warning('%s was trained for the classes %s; the names of %s are shown instead',
                     path, weights.classes, classes.name)  # fmt: skip
    recipe = Recipe(
        model, weights, classes, file_sha256(path),
        'fp32' if request.precision == 'auto' else request.precision,
        request.input_size, request.device, threads_of(request.num_threads), list,
    )  # fmt: skip
    if request.engine in ('auto', 'torch'):
        engine: Engine = TorchEngine(model, weights, request, classes.ignored)
    else:
        chosen = back_end(request.engine)
        why_not = chosen.why_not(request.device)
        if why_not:
            raise EngineError(why_not)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, 'engine' + chosen.suffix)
            chosen.build(recipe, file)
            engine = chosen.load(recipe, file)
    _warm_up(engine)
    return LoadedModel(engine, classes, weights)


def _nearest(size: int) -> int:
    return max(STRIDE, STRIDE * int(round(size / STRIDE)))


def _warm_up(engine: Engine, frames: int = 2) -> None:
    """Infer blank pictures, so that the first camera image is not the slow one."""
    image = np.zeros(engine.input_size + (3,), np.uint8)
    labels = np.empty(engine.input_size, np.uint8)
    for _ in range(frames):
        engine.infer(image, labels, np.empty_like(labels))

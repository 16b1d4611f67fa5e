"""Inference engines: one module per back end behind one small interface.

`open_engine` is the door: it loads weights and classes, chooses a back end (`selection`), takes
its engine from the cache or builds it (`cache`, `proving`), and lets none out that the parity gate
(`parity`) has not passed. How a new back end plugs in is said in `base`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgesegnet_ros.engines.base import Engine
from edgesegnet_ros.engines.request import EngineRequest

if TYPE_CHECKING:
    from edgesegnet_ros.data.classes import ClassSet
    from edgesegnet_ros.network.weights import WeightsInfo

# OpenVINO and NNCF report each import, conversion and quantisation to Google Analytics, from a
# fork of the process, unless the user has opted out. Without this module they report nothing.
sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]


class LoadedModel(NamedTuple):
    """An engine that is ready, with its classes, its weights and its resize mode.

    Attributes:
        engine: Warmed up.
        classes: Classes of its ids.
        weights: Header of the weights.
        resize_mode: stretch or letterbox: as requested, else as the weights say.
    """

    engine: Engine
    classes: ClassSet
    weights: WeightsInfo
    resize_mode: str = 'stretch'


def open_engine(request: EngineRequest) -> LoadedModel:
    """Load weights and classes, check that they fit, get a proved engine, and warm it up.

    Raises:
        EdgeSegNetError: A subclass of the failing package; the message says what to do.
    """
    # Launch files import this package's constants; they need no torch.
    from edgesegnet_ros.engines.cache import named_folder
    from edgesegnet_ros.engines.image_sets import parity_set
    from edgesegnet_ros.engines.recipe import recipe_for
    from edgesegnet_ros.engines.selection import choose

    recipe = recipe_for(request)
    frames = parity_set(request.parity_frames)
    engine = choose(request.engine, recipe, named_folder(request.engine_cache), frames).engine
    try:
        _warm_up(engine)
    except BaseException:
        engine.close()
        raise
    return LoadedModel(engine, recipe.classes, recipe.info, recipe.resize_mode)


def _warm_up(engine: Engine, frames: int = 2) -> None:
    """Infer blank images, so that the first camera image is not slow."""
    image = np.zeros(engine.input_size + (3,), np.uint8)
    labels = np.empty(engine.input_size, np.uint8)
    for _ in range(frames):
        engine.infer(image, labels, np.empty_like(labels))

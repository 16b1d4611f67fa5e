"""The cost of a design, counted and measured before it is trained."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import torch

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.engines.base import Engine
from edgesegnet_ros.engines.recipe import recipe_of
from edgesegnet_ros.engines.registry import back_end
from edgesegnet_ros.evaluation.bench.timing import time_frames
from edgesegnet_ros.exploration.settings import ExplorationError, Settings
from edgesegnet_ros.network.cost import gmac, parameters
from edgesegnet_ros.network.design import IMAGE, Design
from edgesegnet_ros.network.registry import build_network, inference_form
from edgesegnet_ros.network.weights import WeightsInfo

_MIB = 1 << 20
_FRAMES = 12
"""Number of timed frames of the candidate, and of the reference in turns with it."""


def counted(design: Design, num_classes: int, size: tuple[int, int]) -> dict[str, float]:
    """params, size_mb, gmac and peak_mb of a design.

    Args:
        design: Design of the network.
        num_classes: Number of classes.
        size: Height and width of the input.
    """
    with torch.device('meta'):
        network = build_network(design, num_classes).eval()
        arithmetic = gmac(inference_form(network), size)
    params = parameters(network)
    return {
        'params': float(params),
        'size_mb': 4.0 * params / _MIB,
        'gmac': arithmetic,
        'peak_mb': 4.0 * (params + _peak_values(design, size)) / _MIB,
    }


def _peak_values(design: Design, size: tuple[int, int]) -> int:
    """Number of values in the largest set of features that must be in memory at once."""

    def values(name: str) -> int:
        if name == IMAGE:
            return 3 * size[0] * size[1]
        width, stride = design.extents[name]
        return width * -(-size[0] // stride) * -(-size[1] // stride)

    last_reader = {source: layer.name for layer in design.layers for source in layer.sources}
    alive, peak = {IMAGE}, 0
    for layer in design.layers:
        alive.add(layer.name)
        peak = max(peak, sum(values(name) for name in alive))
        alive -= {name for name in layer.sources if last_reader[name] == layer.name}
    return peak


class RelativeLatency:
    """Latency of designs on one engine, in turns with a reference.

    Other load on the machine affects both equally: the latency of a design is its ratio to the
    reference in the same turns, times the latency of the reference, which is measured once for
    the whole study.

    Args:
        settings: Engine, precision, threads and input size.
        classes: Classes of the outputs.
        reference: Design to compare with; its weights are random.

    Raises:
        EdgeSegNetError: The engine is not available.
    """

    def __init__(self, settings: Settings, classes: ClassSet, reference: Design) -> None:
        self._settings, self._classes = settings, classes
        self._back_end = back_end(settings.engine)
        self._folder = tempfile.TemporaryDirectory(prefix='edgesegnet-')
        reason = self._back_end.why_not('cpu')
        if reason:
            raise ExplorationError(f'--engine {settings.engine}: {reason}')
        self._reference = self._engine(reference)

    def _engine(self, design: Design) -> Engine:
        torch.manual_seed(0)
        classes = self._classes
        model = build_network(design, len(classes.classes)).eval()
        size = self._settings.input_size
        recipe = recipe_of(
            model,
            WeightsInfo(classes.name, len(classes.classes), size),
            classes,
            self._settings.precision,
            'cpu',
            self._settings.threads,
            size,
        )
        path = Path(self._folder.name) / f'{design.name}{self._back_end.suffix}'
        if self._back_end.suffix:
            self._back_end.build(recipe, path)
        return self._back_end.load(recipe, path)

    def reference_ms(self) -> float:
        """The latency of the reference in ms: the smallest median of three rounds."""
        size = self._settings.input_size
        rounds = [time_frames([self._reference.infer], size, _FRAMES)[0][0] for _ in range(3)]
        return min(statistics.median(times) for times in rounds)

    def share(self, design: Design) -> float:
        """The ratio of the latency of a design to that of the reference, in the same turns.

        Raises:
            ExplorationError: The engine cannot run the design.
        """
        engine = self._engine(design)
        try:
            size = self._settings.input_size
            runs = [self._reference.infer, engine.infer]
            times, failed = time_frames(runs, size, _FRAMES)
        finally:
            engine.close()
        if failed:
            raise ExplorationError(f'{design.name} on {self._settings.engine}: {failed}')
        # Each pair of turns was next to each other.
        return statistics.median(ours / theirs for theirs, ours in times.T)

    def close(self) -> None:
        """Free the reference and the engine files."""
        self._reference.close()
        self._folder.cleanup()

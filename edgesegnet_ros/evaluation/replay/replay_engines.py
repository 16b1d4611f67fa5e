"""The engines of a replay, which are opened once for many bags."""

from __future__ import annotations

from edgesegnet_ros.data.bag import BagError
from edgesegnet_ros.engines import LoadedModel, open_engine
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.evaluation.replay.options import ReplayOptions


class ReplayEngines:
    """The engine of a replay, and the engine of --against.

    Args:
        options: Options of the replay.

    Attributes:
        model: The model on its engine.
        segmenter: Segments with that engine.
        other_model: The model of --against, or None.
        other: Segments with the engine of --against, or None.

    Raises:
        EdgeSegNetError: An engine is not available, or the two models have different classes.
    """

    def __init__(self, options: ReplayOptions) -> None:
        self.model: LoadedModel = open_engine(options.request)
        self.segmenter = Segmenter(self.model.engine, self.model.resize_mode)
        self.other: Segmenter | None = None
        self.other_model: LoadedModel | None = None
        if options.against is not None:
            self.other_model = open_engine(options.against)
            if len(self.other_model.classes.classes) != len(self.model.classes.classes):
                raise BagError(
                    f'--against: {self.other_model.classes.name} has other classes than '
                    f'{self.model.classes.name}; only label maps of the same classes can be '
                    'compared'
                )
            self.other = Segmenter(self.other_model.engine, self.other_model.resize_mode)

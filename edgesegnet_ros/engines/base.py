"""The small interface that every back end stands behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, Optional, Tuple

import numpy as np

from edgesegnet_ros.errors import EdgeSegNetError

ENGINES = ('auto', 'torch', 'tensorrt', 'openvino', 'onnxruntime')
PRECISIONS = ('auto', 'fp32', 'bf16', 'fp16', 'int8')


class EngineError(EdgeSegNetError):
    """An engine that cannot be had, built or run; the message says what to do."""


class EngineRequest(NamedTuple):
    """What a user asks of an engine.

    Attributes:
        model: Name of a shipped model, or path of a weights file.
        classes: Name of a shipped class file, or path of one.
        engine: One of ENGINES.
        precision: One of PRECISIONS.
        device: auto, cpu, cuda or cuda:N.
        num_threads: CPU threads, 0 for all cores.
        input_size: Height and width of the network's input, multiples of 16.
    """

    model: str = 'edgesegnet-camvid11'
    classes: str = 'camvid11'
    engine: str = 'auto'
    precision: str = 'auto'
    device: str = 'auto'
    num_threads: int = 0
    input_size: Tuple[int, int] = (256, 256)


class EngineDescription(NamedTuple):
    """What really runs.

    Attributes:
        engine: The back end's name.
        precision: Number format of its convolutions.
        device: Where it runs, for people.
        version: Of the back end.
        threads: CPU threads; 0 where they do not count.
        reason: Why `auto` took it; empty where the user chose.
    """

    engine: str
    precision: str
    device: str
    version: str
    threads: int
    reason: str = ''


class Engine(ABC):
    """Turns pictures of one size into class ids.

    An engine is used by one thread at a time.

    Attributes:
        input_size: Height and width of the pictures it takes.
        num_classes: Ids it gives are below this.
    """

    input_size: Tuple[int, int]
    num_classes: int

    @abstractmethod
    def infer(
        self, image: np.ndarray, labels: np.ndarray, confidence: Optional[np.ndarray] = None
    ) -> None:
        """Segment one picture.

        Args:
            image: (H, W, 3) uint8 RGB of `input_size`.
            labels: (H, W) uint8, takes the class ids.
            confidence: (H, W) uint8, takes the winning class's probability, 255 for 1; what is
                not asked for is not computed.

        Raises:
            EngineError: It failed; the engine may not be used again.
        """

    @abstractmethod
    def describe(self) -> EngineDescription:
        """What really runs, where, and why it was chosen."""

    def close(self) -> None:
        """Free memory and device; the engine may not be used again."""

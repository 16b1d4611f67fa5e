"""The small interface that every back end stands behind.

A back end is a module of this room that defines `BACK_END`, an instance of a `BackEnd`, and is
named in `engines.registry`. It builds an engine file from a `Recipe` and loads one; whatever all
of them need is done around it: choosing (`selection`), the cache with its locks and fingerprints
(`cache`), the parity gate (`parity`). A module can be imported where its library is missing: it
imports that inside its methods, and `BackEnd.why_not` says what to install.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional, Tuple

import numpy as np

from edgesegnet_ros import shipped
from edgesegnet_ros.errors import EdgeSegNetError

if TYPE_CHECKING:
    from edgesegnet_ros.engines.recipe import Recipe

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
        device: auto, cpu, cuda, cuda:N or (TensorRT alone) dla:N.
        num_threads: CPU threads, 0 for all cores.
        input_size: Height and width of the network's input, multiples of 16.
        parity_frames: Folder of pictures that an engine is proved on; '' takes rendered streets.
        engine_cache: Folder of built engines; '' takes the user's cache folder.
    """

    model: str = shipped.DEFAULT_MODEL
    classes: str = shipped.DEFAULT_CLASSES
    engine: str = 'auto'
    precision: str = 'auto'
    device: str = 'auto'
    num_threads: int = 0
    input_size: Tuple[int, int] = (256, 256)
    parity_frames: str = ''
    engine_cache: str = ''


class EngineDescription(NamedTuple):
    """What really runs.

    Attributes:
        engine: The back end's name.
        precision: Number format of its convolutions.
        device: Where it runs, for people.
        version: Of the back end.
        threads: CPU threads; 0 where they do not count.
        reason: Why `auto` took it, and what the parity gate found; empty where neither was asked.
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
        reason: For its description; whoever opens the engine sets it.
    """

    input_size: Tuple[int, int]
    num_classes: int
    reason: str = ''

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

    def last_logits(self) -> Optional[np.ndarray]:
        """Logits of the last picture, for the parity gate to look for NaN; None if not kept."""
        return None

    def close(self) -> None:
        """Free memory and device; the engine may not be used again."""


class BackEnd(ABC):
    """One way to compute the network: how its engine files are built and loaded.

    Attributes:
        name: One of ENGINES.
        suffix: Of its engine files; '' for a back end that needs none: `build` is not called, and
            the path that `load` gets does not exist. Its verdict is kept all the same.
    """

    name: str
    suffix: str = ''

    @abstractmethod
    def why_not(self, device: str) -> Optional[str]:
        """Why it cannot run here on `device`, and what to install; None where it can.

        Must be cheap (find_spec, not import, where that is enough) and never raise.
        """

    @abstractmethod
    def precisions(self, device: str) -> Tuple[str, ...]:
        """What it computes natively on `device`, the fastest first; only asked if it can run."""

    @abstractmethod
    def version(self) -> str:
        """Of its library: an engine file of another version is built again."""

    @abstractmethod
    def target(self, device: str) -> str:
        """What its engine files are tied to: the device's name and compute capability.

        For a CPU its name and the instruction sets that matter; see `engines.cpu.target`.

        Raises:
            EngineError: The device is not there.
        """

    def build(self, recipe: Recipe, path: Path) -> None:
        """Build an engine and write it to `path`, a temporary name beside the final one.

        Called under the cache entry's lock; what is written is loaded, proved by the parity gate
        and only then renamed. A kill at any time is harmless.

        Raises:
            EngineError: It cannot be built; the message says why and what to do.
        """
        raise NotImplementedError

    @abstractmethod
    def load(self, recipe: Recipe, path: Path) -> Engine:
        """An engine that is ready, from a file that `build` wrote.

        The cache has checked the file's hash and fingerprint; a file that cannot be used all the
        same is refused here, after which it is built again.

        Raises:
            EngineError: The file or the device cannot be used.
        """

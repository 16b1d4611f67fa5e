"""The small interface that every back end implements.

A back end is a module of this package that defines `BACK_END`, an instance of a `BackEnd`, and has
a line in `request.BACK_ENDS`. It builds an engine file from a `Recipe` and loads one; what all
back ends need is done around it: choosing (`selection`), the cache with its locks and fingerprints
(`cache`), the parity gate (`parity`). A module must be importable where its library is missing: it
imports that library inside its methods, and `BackEnd.why_not` says what to install.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional, Tuple

import numpy as np

from edgesegnet_ros.engines.request import EngineError, NonFiniteLogitsError

if TYPE_CHECKING:
    from edgesegnet_ros.engines.recipe import Recipe


class EngineDescription(NamedTuple):
    """The engine in use.

    Attributes:
        engine: The back end's name.
        precision: Number format of its convolutions.
        device: Device, for display.
        version: Version of the back end's library.
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
    """Turns images of one size into class ids.

    One thread at a time calls `infer`. Any thread may call `close` at any time, any number of
    times: an engine that is idle is freed at once, and one that is inside `infer` (or hangs there)
    is freed by its own thread when `infer` returns. So whoever replaces an engine always closes
    the old one, and never waits for it.

    A subclass implements `_infer`, `_free` and `describe`, and `_logits_are_finite` or
    `last_logits`.

    Attributes:
        input_size: Height and width of the images that it takes.
        num_classes: The ids that it gives are below this number.
        reason: Reason for the choice; set by the function that opens the engine.
    """

    input_size: Tuple[int, int]
    num_classes: int
    reason: str = ''

    def __new__(cls, *args: object, **kwargs: object) -> Engine:
        """Create the lock of an engine; subclasses need not call `Engine.__init__`."""
        engine = super().__new__(cls)
        engine._in_use = threading.Lock()
        engine._closing = engine._freed = False
        return engine

    _in_use: threading.Lock
    _closing: bool
    _freed: bool

    def infer(
        self, image: np.ndarray, labels: np.ndarray, confidence: Optional[np.ndarray] = None
    ) -> None:
        """Segment one image.

        Args:
            image: (H, W, 3) uint8 RGB of `input_size`.
            labels: (H, W) uint8, receives the class ids.
            confidence: (H, W) uint8, receives the winning class's probability, 255 for 1; without
                it, the probability is not computed.

        Raises:
            NonFiniteLogitsError: The network gave NaN or infinity; `labels` means nothing.
            EngineError: It failed, or is closed; the engine may not be used again.
        """
        try:
            with self._in_use:
                if self._closing:
                    raise EngineError('the engine is closed')
                self._infer(image, labels, confidence)
                if not self._logits_are_finite():
                    raise NonFiniteLogitsError(
                        f'the {self.describe().engine} engine gave NaN or infinite logits; check '
                        'the weights file, or set precision to fp32'
                    )
        finally:
            # `close` came while this thread held the lock, and left the rest to it.
            if self._closing:
                self.close()

    @abstractmethod
    def _infer(
        self, image: np.ndarray, labels: np.ndarray, confidence: Optional[np.ndarray]
    ) -> None:
        """The implementation of `infer`, without its checks.

        Raises:
            EngineError: It failed.
        """

    @abstractmethod
    def describe(self) -> EngineDescription:
        """Engine, precision and device in use, and the reason for the choice."""

    def last_logits(self) -> Optional[np.ndarray]:
        """Logits of the last image, float32 of any shape; None if they are not kept."""
        return None

    def _logits_are_finite(self) -> bool:
        """Whether the last image's logits are finite; takes 10 µs for EdgeSegNet at 256x256.

        A sum is finite only if all summands are, and needs no array of a frame's size.
        """
        logits = self.last_logits()
        return logits is None or math.isfinite(float(logits.sum()))

    def close(self) -> None:
        """Free memory and device, now or when the running `infer` returns; see the class."""
        self._closing = True
        if self._in_use.acquire(blocking=False):
            try:
                if not self._freed:
                    self._freed = True
                    self._free()
            finally:
                self._in_use.release()

    def _free(self) -> None:
        """Free memory and device; called once, never while `_infer` runs."""


class BackEnd(ABC):
    """A back end: how its engine files are built and loaded.

    Attributes:
        name: Key of `request.BACK_ENDS`.
        suffix: Of its engine files; '' for a back end that needs none: `build` is not called, and
            the path that `load` gets does not exist. Its verdict is kept all the same.
        runs_on: Kinds of devices that `auto` tries it on: cpu, cuda.
        takes_onnx: Whether it runs networks of ONNX files, too.
    """

    name: str
    suffix: str = ''
    runs_on: Tuple[str, ...] = ('cpu',)
    takes_onnx: bool = False

    def refusal(self, recipe: Recipe) -> Optional[str]:
        """Why it cannot run this recipe here; None if it can. See `why_not`."""
        if recipe.onnx is not None and not self.takes_onnx:
            return (
                f'the {self.name} engine does not run ONNX files such as {recipe.onnx.path}: set '
                'engine to auto, openvino or onnxruntime'
            )
        return self.why_not(recipe.device)

    @abstractmethod
    def why_not(self, device: str) -> Optional[str]:
        """Why it cannot run here on `device`, and what to install; None if it can.

        Must be cheap (find_spec, not import, where that is enough) and never raise.
        """

    @abstractmethod
    def precisions(self, device: str) -> Tuple[str, ...]:
        """Precisions that are native to `device`, the fastest first; only called if it can run."""

    @abstractmethod
    def version(self) -> str:
        """Version of its library: an engine file of another version is built again."""

    @abstractmethod
    def target(self, device: str) -> str:
        """The target of its engine files: the device's name and compute capability.

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
        """A ready engine, from a file that `build` wrote.

        The cache has checked the file's hash and fingerprint; a file that cannot be used all the
        same is refused here, after which it is built again.

        Raises:
            EngineError: The file or the device cannot be used.
        """

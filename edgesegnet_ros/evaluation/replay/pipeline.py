"""Decoding, inference and scoring in parallel threads, with a few frames between them.

Memory is bounded by WAITING frames on each side, whatever the bag's length.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from edgesegnet_ros.data.bag import BagFrame, BagFrames
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.evaluation.replay.bounded_queue import BoundedQueue, Stopped
from edgesegnet_ros.evaluation.replay.label_folder import LabelFolder
from edgesegnet_ros.evaluation.replay.problems import ProblemLog
from edgesegnet_ros.evaluation.replay.scoring import Labelled, Scoring
from edgesegnet_ros.evaluation.replay.tallies import Times

WAITING = 4
"""Frames between two threads: enough to absorb a slow one, 5 MB at 640x480."""


class Decoded(NamedTuple):
    """A decoded frame."""

    frame: BagFrame
    truth: np.ndarray | None


Label = Callable[[Decoded], 'Labelled | None']
"""Returns the labels of a frame; None if the node dropped it."""


class Pipeline:
    """Runs the frames of one camera through the three steps.

    Args:
        frames: Frames of the bag.
        folder: Folder of ground truth, where that is not a topic.
        scoring: Takes what was labelled.
        log: Takes what is wrong.

    Attributes:
        read_times: Reading and decoding.
        wall_s: From the first frame to the last.
    """

    def __init__(
        self, frames: BagFrames, folder: LabelFolder | None, scoring: Scoring, log: ProblemLog
    ) -> None:
        self._frames, self._folder, self._scoring, self._log = frames, folder, scoring, log
        self._decoded: BoundedQueue[Decoded] = BoundedQueue(WAITING)
        self._labelled: BoundedQueue[Labelled | None] = BoundedQueue(WAITING)
        self.read_times = Times()
        self.wall_s = 0.0
        self._failure: BaseException | None = None

    def run(
        self,
        label: Label,
        progress: Callable[[], None] = lambda: None,
        before: Callable[[np.ndarray], None] = lambda image: None,
    ) -> None:
        """Process every frame; inference runs in this thread.

        Args:
            label: Gives labels.
            progress: Called after each frame.
            before: Called with the first image, while this process does nothing else.

        Raises:
            EdgeSegNetError: The engine failed.
        """
        reader = threading.Thread(target=self._read, name='reader', daemon=True)
        scorer = threading.Thread(target=self._score, name='scorer', daemon=True)
        reader.start()
        began: float | None = None
        try:
            for decoded in self._decoded:
                if began is None:
                    before(decoded.frame.image)
                    began = time.perf_counter()
                    scorer.start()
                self._labelled.put(label(decoded))
                progress()
            self._labelled.close()
            if began is not None:
                scorer.join()
        except Stopped:
            pass
        except BaseException:
            self._labelled.stop()
            raise
        finally:
            self._decoded.stop()
            self._labelled.close()
            reader.join()
            if began is not None:
                scorer.join()
                self.wall_s = time.perf_counter() - began
        if self._failure is not None:
            raise self._failure

    def _read(self) -> None:
        try:
            for decoded in self._timed(iter(self._frames)):
                self._decoded.put(decoded)
            self._decoded.close()
        except Stopped:
            pass
        except BaseException as error:
            self._decoded.close(error)

    def _timed(self, frames: Iterator[BagFrame]) -> Iterator[Decoded]:
        while True:
            began = time.perf_counter()
            frame = next(frames, None)
            if frame is None:
                return
            truth = frame.labels
            if self._folder is not None:
                try:
                    truth = self._folder.of(frame.number, frame.stamp_ns)
                except EdgeSegNetError as error:
                    self._log.add('bad_labels', str(self._folder.folder), f'skipped: {error}', 1)
            self.read_times.add((time.perf_counter() - began) * 1e3)
            yield Decoded(frame, truth)

    def _score(self) -> None:
        try:
            for labelled in self._labelled:
                if labelled is None:
                    self._scoring.skip()
                else:
                    self._scoring.add(labelled)
        except BaseException as error:  # raised where the labelling is
            self._failure = error
            self._labelled.stop()

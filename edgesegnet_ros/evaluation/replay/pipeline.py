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
from edgesegnet_ros.evaluation.replay.tallies.times import StageTimes

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
        times: Takes that of reading and decoding, and of the whole.
        log: Takes what is wrong.
    """

    def __init__(
        self,
        frames: BagFrames,
        folder: LabelFolder | None,
        scoring: Scoring,
        times: StageTimes,
        log: ProblemLog,
    ) -> None:
        self._frames, self._folder, self._scoring = frames, folder, scoring
        self._times, self._log = times, log
        self._decoded: BoundedQueue[Decoded] = BoundedQueue(WAITING)
        self._labelled: BoundedQueue[Labelled | None] = BoundedQueue(WAITING)
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
                self._times.wall_s = time.perf_counter() - began
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
            self._times.add('read', (time.perf_counter() - began) * 1e3)
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

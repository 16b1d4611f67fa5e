"""A bag."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Iterator, Optional

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.sources.source import (
    MOST_REASONS,
    CameraModel,
    Source,
    SourceError,
    SourceFrame,
)
from edgesegnet_ros.extras import need

BAG_SUFFIXES = ('.db3', '.mcap')

_log = logging.getLogger(__name__)


class BagSource(Source):
    """A bag (MCAP, SQLite or ROS 1): one image topic, and ground truth if there is any."""

    def __init__(
        self,
        path: Path,
        topic: Optional[str],
        labels_topic: Optional[str],
        tolerant: bool = False,
        classes: Optional[ClassSet] = None,
    ) -> None:
        need('bags', ['rosbags'], f'{path}: a bag')
        from edgesegnet_ros.data.bag import BagFrames, BagProblem

        def tell(problem: BagProblem) -> None:
            _log.warning('%s: %s', problem.where, problem.what)

        def skip(problem: BagProblem) -> None:
            tell(problem)
            if problem.kind == 'bad_image':
                self.skipped += 1
            if len(self.reasons) < MOST_REASONS:
                self.reasons.append(f'{problem.where}: {problem.what}')

        self._frames = BagFrames(
            path, topic, labels_topic, tell if tolerant else None, skip, classes
        )
        if not self._frames.total:
            raise SourceError(f'{path}: {self._frames.image_topic} holds no image')
        info = self._frames.camera_info
        self._camera = (
            None
            if info is None
            else CameraModel(
                info.width,
                info.height,
                info.distortion_model,
                # ROS 1 has the names of the matrices in capitals.
                *(
                    tuple(map(float, getattr(info, name, getattr(info, name.upper(), ()))))
                    for name in 'dkrp'
                ),
            )
        )
        has_labels = self._frames.label_topic is not None
        super().__init__(str(path), self._frames.total, has_labels=has_labels)
        self.label_topic = self._frames.label_topic or ''

    def __iter__(self) -> Iterator[SourceFrame]:
        """See Source; a stamp that does not rise is replaced by one after the frame before."""
        last_ns = -1
        for number, frame in enumerate(self._frames):
            last_ns = max(frame.stamp_ns, last_ns + 1)
            yield SourceFrame(frame.image, frame.labels, last_ns, str(number), self._camera)

"""A replay as a Rerun recording: frames, label maps, ground truth and disagreement."""

from __future__ import annotations

import os
from pathlib import Path

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.geometry import compute_placement, to_source
from edgesegnet_ros.data.masks import Group, group_mask
from edgesegnet_ros.evaluation.replay.frames import ReplayFrame
from edgesegnet_ros.view.camera_log import CameraLog, close, layout, open_recording


class RerunSink:
    """Writes one camera of a bag to a recording; the panels are those of `edgesegnet view`.

    Args:
        path: The recording, which takes the place of an older one when it is whole.
        camera: Name of the camera in it.
        classes: Gives names and colours.
        groups: Groups and their rules, by name.
        truth: Whether there are true labels.
        other: Whether there is a second network.
    """

    name = 'rerun'

    def __init__(
        self,
        path: Path,
        camera: str,
        classes: ClassSet,
        groups: dict[str, Group],
        truth: bool,
        other: bool,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._partial = path.with_name(path.name + '.partial')
        self._groups = groups
        self._recording = open_recording(self._partial)
        self._log = CameraLog(self._recording, camera, classes)
        self._recording.send_blueprint(layout([camera], {camera: list(groups)}, truth, other))

    def on_frame(self, frame: ReplayFrame) -> None:
        """See FrameSink."""
        truth = frame.truth
        if truth is not None and truth.shape != frame.labels.shape:
            truth = to_source(truth, compute_placement(frame.labels.shape, truth.shape, 'stretch'))
        self._log.frame(
            frame.stamp_ns,
            frame.image,
            frame.labels,
            frame.confidence,
            truth,
            {
                name: group_mask(frame.labels, group, frame.confidence)
                for name, group in self._groups.items()
            },
            frame.other,
        )

    def close(self, complete: bool) -> None:
        """See FrameSink."""
        close(self._recording)
        if complete:
            os.replace(self._partial, self._path)
        else:
            self._partial.unlink(missing_ok=True)

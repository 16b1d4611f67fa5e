"""Segments a source without ROS, and logs every frame."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Iterator, Optional

from edgesegnet_ros.data.geometry import compute_placement, to_source
from edgesegnet_ros.data.masks import Group, group_mask
from edgesegnet_ros.data.sources import Source
from edgesegnet_ros.engines import LoadedModel
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.view.camera_log import CameraLog, layout

if TYPE_CHECKING:
    import rerun as rr

CAMERA = 'camera'


def log_source(
    recording: rr.RecordingStream,
    source: Source,
    model: LoadedModel,
    frames: Optional[int],
    jpeg: bool,
) -> Iterator[None]:
    """Segment a source and log it, one frame per iteration.

    Args:
        recording: The Rerun recording.
        source: Source of images, and of ground truth if it has any.
        model: The engine, and the classes of its labels.
        frames: Largest number of frames; None for all.
        jpeg: Whether images are stored as JPEG.

    Raises:
        EdgeSegNetError: A frame cannot be read, or the engine failed.
    """
    engine, classes = model.engine, model.classes
    segmenter = Segmenter(engine, model.resize_mode)
    log = CameraLog(recording, CAMERA, classes, jpeg)
    about = engine.describe()
    log.engine(
        f'{about.engine} {about.version}, {about.precision}, on {about.device}\n\n{about.reason}'
    )
    recording.send_blueprint(layout([CAMERA], {CAMERA: list(classes.groups)}, source.has_labels))
    for count, frame in enumerate(itertools.islice(source, frames), start=1):
        started = time.perf_counter()
        result = segmenter.segment(frame.image, confidence=True)
        stages = {**result.stages_ms, 'whole': (time.perf_counter() - started) * 1e3}
        truth = frame.labels
        if truth is not None and truth.shape != result.labels.shape:
            truth = to_source(
                truth, compute_placement(result.labels.shape, truth.shape, 'stretch')
            )
        log.frame(
            frame.stamp_ns,
            frame.image,
            result.labels,
            result.confidence,
            truth,
            {name: group_mask(result.labels, Group(ids)) for name, ids in classes.groups.items()},
        )
        log.figures(frame.stamp_ns, stages, {'segmented': count})
        yield

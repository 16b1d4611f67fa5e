"""The log of one camera in a Rerun recording, and its layout in the viewer.

Entities of a camera `front` (timeline `camera_time`, from the images' stamps):

    front/image                 the camera image
    front/labels                class ids, with the names and colours of the class file
    front/masks/<group>         1 for pixels of the group, else 0
    front/confidence            0 to 255
    front/truth, front/wrong    true labels, and 1 where the labels differ from them
    front/other, front/disagree labels of a second network, and 1 where the two networks differ
    front/latency/<what>        ms
    front/frames/<what>         numbers of segmented frames, and of dropped frames by reason
    front/engine                text
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edgesegnet_ros.data.classes import VOID, ClassSet
from edgesegnet_ros.extras import need

if TYPE_CHECKING:
    import rerun as rr
    import rerun.blueprint as rrb

TIMELINE = 'camera_time'
APPLICATION = 'edgesegnet'
OVERLAY_OPACITY = 0.5
JPEG_QUALITY = 90
WRONG = (230, 0, 90)


def open_recording(file: Optional[Path] = None, url: Optional[str] = None) -> rr.RecordingStream:
    """Open a new recording of any number of cameras, to a file or a viewer.

    Raises:
        MissingExtra: rerun-sdk is not installed.
    """
    need('view', ['rerun'], 'A Rerun recording')
    import rerun as rr

    recording = rr.RecordingStream(APPLICATION)
    if file is not None:
        recording.save(str(file))
    elif url is not None:
        recording.connect_grpc(url)
    return recording


def close(recording: rr.RecordingStream) -> None:
    """Write or send all remaining data, and close the recording."""
    recording.flush()
    recording.disconnect()


class CameraLog:
    """Logs the frames of one camera.

    Args:
        recording: The Rerun recording.
        camera: Name of the camera, without leading and trailing slashes.
        classes: Class set with names and colours.
        jpeg: Whether to store images as JPEG, at about a tenth of the size. Labels, masks and
            confidence are always lossless.
    """

    def __init__(
        self, recording: rr.RecordingStream, camera: str, classes: ClassSet, jpeg: bool = True
    ) -> None:
        import rerun as rr

        self.camera = camera
        self._recording = recording
        self._jpeg = jpeg
        self.name_classes(
            {entry.id: entry.name for entry in classes.classes},
            {entry.id: entry.color for entry in classes.classes},
        )
        context = rr.AnnotationContext(
            [
                rr.AnnotationInfo(0, 'agrees', (0, 0, 0, 0)),
                rr.AnnotationInfo(1, 'differs', WRONG),
            ]
        )
        for entity in ('wrong', 'disagree'):
            recording.log(f'{camera}/{entity}', context, static=True)

    def name_classes(
        self, names: Mapping[int, str], colors: Mapping[int, Tuple[int, int, int]]
    ) -> None:
        """Set the names of the class ids, and the RGB colours of ids that have one."""
        import rerun as rr

        known = [
            rr.AnnotationInfo(number, name, colors.get(number)) for number, name in names.items()
        ]
        context = rr.AnnotationContext([*known, rr.AnnotationInfo(VOID, 'unlabelled', (0, 0, 0))])
        for entity in ('labels', 'truth', 'other'):
            self._recording.log(f'{self.camera}/{entity}', context, static=True)

    def frame(
        self,
        stamp_ns: int,
        image: Optional[np.ndarray] = None,
        labels: Optional[np.ndarray] = None,
        confidence: Optional[np.ndarray] = None,
        truth: Optional[np.ndarray] = None,
        masks: Optional[Mapping[str, np.ndarray]] = None,
        other: Optional[np.ndarray] = None,
    ) -> None:
        """Log the available data of one frame.

        Args:
            stamp_ns: Stamp of the image, in nanoseconds since the epoch.
            image: (H, W, 3) uint8 RGB.
            labels: (h, w) uint8 class ids, 255 for unlabelled.
            confidence: (h, w) uint8, 255 for certainty.
            truth: (h, w) uint8 class ids, 255 for void, of the size of `labels`.
            masks: Group name -> (h, w) uint8, 0 for pixels outside the group.
            other: (h, w) uint8 class ids of a second network, of the size of `labels`.
        """
        import rerun as rr

        self._at(stamp_ns)
        if image is not None:
            logged = rr.Image(image)
            self._log('image', logged.compress(JPEG_QUALITY) if self._jpeg else logged)
        if labels is not None:
            self._log(
                'labels', rr.SegmentationImage(labels, opacity=OVERLAY_OPACITY, draw_order=1)
            )
        if confidence is not None:
            self._log('confidence', rr.Image(confidence, color_model='L'))
        for name, mask in (masks or {}).items():
            self._log(f'masks/{name}', rr.SegmentationImage((mask != 0).astype(np.uint8)))
        if truth is not None:
            self._log('truth', rr.SegmentationImage(truth))
            if labels is not None:
                wrong = (labels != truth) & (truth != VOID)
                self._log('wrong', rr.SegmentationImage(wrong.astype(np.uint8)))
        if other is not None:
            self._log('other', rr.SegmentationImage(other))
            if labels is not None:
                self._log('disagree', rr.SegmentationImage((labels != other).astype(np.uint8)))

    def figures(
        self,
        stamp_ns: int,
        latency_ms: Optional[Mapping[str, float]] = None,
        frames: Optional[Mapping[str, int]] = None,
    ) -> None:
        """Log times in ms and numbers of frames by name."""
        import rerun as rr

        self._at(stamp_ns)
        for group, values in (('latency', latency_ms), ('frames', frames)):
            for name, value in (values or {}).items():
                self._log(f'{group}/{name}', rr.Scalars(float(value)))

    def engine(self, text: str) -> None:
        """Log the engine, once for the whole recording."""
        import rerun as rr

        self._recording.log(f'{self.camera}/engine', rr.TextDocument(text), static=True)

    def _at(self, stamp_ns: int) -> None:
        self._recording.set_time(TIMELINE, timestamp=np.datetime64(stamp_ns, 'ns'))

    def _log(self, entity: str, archetype: rr.AsComponents) -> None:
        self._recording.log(f'{self.camera}/{entity}', archetype)


def layout(
    cameras: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    truth: bool = False,
    other: bool = False,
) -> rrb.Blueprint:
    """The layout of the viewer: one column per camera, all with the same rows.

    Args:
        cameras: Names, left to right.
        groups: Camera -> names of its groups with a mask.
        truth: Whether there is ground truth.
        other: Whether there are labels of a second network.
    """
    import rerun.blueprint as rrb

    columns = [_column(camera, groups.get(camera, ()), truth, other) for camera in cameras]
    return rrb.Blueprint(
        rrb.Horizontal(*columns),
        rrb.TimePanel(state='collapsed'),
        rrb.SelectionPanel(state='collapsed'),
        rrb.BlueprintPanel(state='collapsed'),
    )


def _column(camera: str, groups: Sequence[str], truth: bool, other: bool) -> rrb.Vertical:
    import rerun.blueprint as rrb

    def view(name: str, *entities: str) -> rrb.Spatial2DView:
        return rrb.Spatial2DView(
            name=f'{name} ({camera})',
            origin=f'/{camera}',
            contents=[f'/{camera}/{entity}' for entity in entities],
        )

    images: List[rrb.Spatial2DView] = [view('image', 'image')]
    details: List[rrb.Spatial2DView] = [view('labels', 'labels'), view('confidence', 'confidence')]
    details += [view(group, f'masks/{group}') for group in groups]
    if truth:
        images.append(view('truth', 'truth'))
        details.insert(0, view('where the labels differ from the truth', 'image', 'wrong'))
    if other:
        images.append(view('labels of the second network', 'other'))
        details.insert(0, view('where the networks differ', 'image', 'disagree'))
    plots: Dict[str, str] = {'latency in ms': 'latency', 'frames': 'frames'}
    return rrb.Vertical(
        view('overlay', 'image', 'labels'),
        rrb.Horizontal(*images, rrb.Tabs(*details)),
        rrb.Tabs(
            *(
                rrb.TimeSeriesView(name=f'{name} ({camera})', origin=f'/{camera}/{entity}')
                for name, entity in plots.items()
            ),
            rrb.TextDocumentView(name=f'engine ({camera})', origin=f'/{camera}/engine'),
        ),
        row_shares=[4, 3, 2],
        name=camera,
    )

"""The frames on a replay's page: the worst, a sample, a video; in bounded memory.

The images lie beside `frames.json`, which says what they are.
"""

from __future__ import annotations

import heapq
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgesegnet_ros.atomic_file import write_bytes, write_text
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.evaluation.replay.film import VIDEO_NAME, FilmSink
from edgesegnet_ros.evaluation.replay.frames import FrameSink, ReplayFrame
from edgesegnet_ros.evaluation.report.page import scaled, scaled_labels
from edgesegnet_ros.evaluation.report.panels import views

INDEX_NAME = 'frames.json'
WORST = 6
SAMPLE = 6


@dataclass
class KeptFrame:
    """A frame's entry in `frames.json`.

    Attributes:
        kind: `worst` or `sample`.
        index: Index of the image in its bag and topic.
        stamp_ns: Stamp in ns of the image.
        pixel_accuracy: 0-1; None without labels.
        consistency: With the frame before, 0-1; None where unknown.
        views: Each {"label", "file", "width", "height"}.
    """

    kind: str
    index: int
    stamp_ns: int
    pixel_accuracy: float | None
    consistency: float | None
    views: list[dict[str, Any]] = field(default_factory=list)


class _Shown:
    """A frame at the size of the page, under 1 MB; it is encoded only if it is kept."""

    def __init__(self, frame: ReplayFrame, classes: ClassSet) -> None:
        self._known = (frame.index, frame.stamp_ns, frame.pixel_accuracy, frame.consistency)
        self._image, self._labels = scaled(frame.image), scaled_labels(frame.labels)
        self._truth = None if frame.truth is None else scaled_labels(frame.truth)
        self._classes = classes

    def write(self, kind: str, folder: Path, written: list[Path]) -> KeptFrame:
        """Encode and write the images, and record each before it is written."""
        kept = KeptFrame(kind, *self._known)
        for view in views(self._image, self._labels, self._truth, self._classes):
            name = f'{kept.index:08d}-{view.name}'
            written.append(folder / name)
            write_bytes(written[-1], view.content)
            kept.views.append(
                {'label': view.label, 'file': name, 'width': view.width, 'height': view.height}
            )
        return kept


class ImageSink:
    """Keeps the worst frames, by accuracy or else by consistency, and an even sample.

    Args:
        frames_dir: Takes the images.
        classes: Class set with names and colours.
        total: Frames to come, as far as that is known.
    """

    name = 'pictures'

    def __init__(self, frames_dir: Path, classes: ClassSet, total: int | None) -> None:
        self._folder = frames_dir
        self._classes = classes
        self._worst: list[tuple[float, int, _Shown]] = []
        self._sample: dict[int, _Shown] = {}
        self._step = max(1, (total or 1) // SAMPLE)
        self._seen = 0

    def on_frame(self, frame: ReplayFrame) -> None:
        """See FrameSink."""
        shown = None
        goodness = frame.pixel_accuracy if frame.pixel_accuracy is not None else frame.consistency
        if goodness is not None and (len(self._worst) < WORST or -goodness > self._worst[0][0]):
            shown = _Shown(frame, self._classes)
            heapq.heappush(self._worst, (-goodness, -self._seen, shown))
            if len(self._worst) > WORST:
                heapq.heappop(self._worst)
        if (self._seen - self._step // 2) % self._step == 0:
            self._sample[self._seen] = shown or _Shown(frame, self._classes)
            if len(self._sample) >= 2 * SAMPLE:
                # Longer than was known: every second one of them, and half as many from here on.
                self._sample = dict(list(self._sample.items())[::2])
                self._step *= 2
        self._seen += 1

    def close(self, complete: bool) -> None:
        """See FrameSink."""
        if not complete:
            self._worst, self._sample = [], {}
            return
        written: list[Path] = []
        try:
            self._write(written)
        except BaseException:
            for path in written:
                path.unlink(missing_ok=True)
            raise

    def _write(self, written: list[Path]) -> None:
        worst = [shown for _, _, shown in sorted(self._worst, key=lambda entry: -entry[0])]
        kept = [shown.write('worst', self._folder, written) for shown in worst]
        sample = list(self._sample.values())
        indices = sorted(
            {round(i * (len(sample) - 1) / (SAMPLE - 1)) for i in range(SAMPLE)}
            if len(sample) > SAMPLE
            else range(len(sample))
        )
        kept += [sample[index].write('sample', self._folder, written) for index in indices]
        write_text(
            self._folder / INDEX_NAME,
            json.dumps([asdict(frame) for frame in kept], indent=1) + '\n',
        )


def open_sinks(
    frames_dir: Path, classes: ClassSet, pictures: bool, video: bool, total: int | None
) -> list[FrameSink]:
    """Open the sinks for the images and the video of the page.

    Args:
        frames_dir: Folder for images and video; it exists and is empty.
        classes: Class set with names and colours.
        pictures: Whether the worst and a sample of the frames are kept.
        video: Whether the overlay video is made.
        total: Frames to come, as far as that is known.
    """
    sinks: list[FrameSink] = []
    if pictures:
        sinks.append(ImageSink(frames_dir, classes, total))
    if video:
        sinks.append(FilmSink(frames_dir, classes, total))
    return sinks


def read_frames(frames_dir: Path | None) -> list[KeptFrame]:
    """The entries of `frames.json`; empty without the file."""
    if frames_dir is None or not (frames_dir / INDEX_NAME).is_file():
        return []
    text = (frames_dir / INDEX_NAME).read_text(encoding='utf-8')
    return [KeptFrame(**each) for each in json.loads(text)]


def video_of(frames_dir: Path | None) -> Path | None:
    """The video, if there is one."""
    path = frames_dir / VIDEO_NAME if frames_dir else None
    return path if path and path.is_file() else None

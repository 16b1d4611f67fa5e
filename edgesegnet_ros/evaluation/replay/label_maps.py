"""All label maps of a replay in one file: a ZIP of 8-bit PNG images, lossless and streamed.

Its entries are named `<index>-<stamp in ns>.png`, in the order of the bag, so that any tool can
look at them; a dropped frame has none.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgesegnet_ros.atomic_file import PartialFile
from edgesegnet_ros.evaluation.replay.frames import ReplayFrame
from edgesegnet_ros.evaluation.replay.result import ReplayError

LABEL_MAPS_NAME = 'labels.zip'
# Runs are what label maps are made of: without a filter (OpenCV 4.12 on can leave it) they take
# a quarter of the time, half a millisecond for 480x360.
_PNG = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE, cv2.IMWRITE_PNG_COMPRESSION, 1]
if hasattr(cv2, 'IMWRITE_PNG_FILTER'):
    _PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]


class LabelMapWriter:
    """A FrameSink that writes the label maps; the file is written atomically."""

    name = 'label_maps'

    def __init__(self, path: Path) -> None:
        self._target = PartialFile(path)
        # Bigger than 4 GiB, or 65,535 frames: ZIP64 is zipfile's default.
        self._zip = zipfile.ZipFile(self._target.partial, 'w', zipfile.ZIP_STORED)

    def on_frame(self, frame: ReplayFrame) -> None:
        """See FrameSink."""
        self.add(frame.index, frame.stamp_ns, frame.labels)

    def add(self, index: int, stamp_ns: int, labels: np.ndarray) -> None:
        """Write one label map, (H, W) uint8."""
        encoded = cv2.imencode('.png', labels, _PNG)[1]
        self._zip.writestr(f'{index:08d}-{stamp_ns}.png', encoded.tobytes())

    def close(self, complete: bool) -> None:
        """See FrameSink."""
        try:
            self._zip.close()
            if complete:
                self._target.keep()
        finally:
            self._target.discard()


@dataclass(frozen=True)
class LabelMap:
    """One label map.

    Attributes:
        index: Index of the image in its bag and topic.
        stamp_ns: Stamp in ns of the image.
        labels: (H, W) uint8 class ids, 255 for unlabelled.
    """

    index: int
    stamp_ns: int
    labels: np.ndarray


class LabelMaps:
    """The label maps in a file, one by one or by their index.

    Args:
        path: A labels.zip.

    Raises:
        ReplayError: It is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
            names = self._zip.namelist()
            self._names = {int(name.partition('-')[0]): name for name in names}
        except (OSError, zipfile.BadZipFile, ValueError) as error:
            raise ReplayError(f'{path}: not the label maps of a replay ({error})') from error

    def __len__(self) -> int:
        """Number of label maps."""
        return len(self._names)

    def __contains__(self, index: int) -> bool:
        """Whether there is a label map for this image."""
        return index in self._names

    def __getitem__(self, index: int) -> LabelMap:
        """The label map of an image.

        Raises:
            KeyError: It has none.
            ReplayError: It is damaged.
        """
        name = self._names[index]
        try:
            data = np.frombuffer(self._zip.read(name), np.uint8)
            labels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        except (OSError, zipfile.BadZipFile, ValueError, cv2.error) as error:
            raise ReplayError(f'{self.path}: {name} is damaged ({error})') from error
        if labels is None or labels.ndim != 2:
            raise ReplayError(f'{self.path}: {name} is not a label map')
        return LabelMap(index, self.stamp_of(index), labels)

    @property
    def indices(self) -> list[int]:
        """Indices of the images with label maps, in the order of the bag."""
        return sorted(self._names)

    def stamp_of(self, index: int) -> int:
        """Stamp in ns of an image with a label map, which is not decoded."""
        return int(self._names[index].partition('-')[2].partition('.')[0])

    def __iter__(self) -> Iterator[LabelMap]:
        """All label maps, in the order of the bag."""
        return (self[index] for index in self.indices)

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

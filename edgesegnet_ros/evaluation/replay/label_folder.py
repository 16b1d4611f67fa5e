"""Ground truth in a folder of label images, matched to frames by stamp or by file name."""

from __future__ import annotations

import bisect
import re
from pathlib import Path

import numpy as np

from edgesegnet_ros.data.camvid import read_labels
from edgesegnet_ros.data.sources import images_in
from edgesegnet_ros.evaluation.replay.result import ReplayError

_NANOSECONDS = re.compile(r'(?:.*[^0-9])?(\d{16,19})')
_SECONDS = re.compile(r'(?:.*[^0-9])?(\d{9,10})[._-](\d{1,9})')
_NUMBER = re.compile(r'(?:.*[^0-9])?(\d{1,9})')


class LabelFolder:
    """Label images (8-bit ids, void is the number of classes or 255) by what their names say.

    Names end in a stamp, `<nanoseconds>` or `<seconds>.<fraction>` (the point may be `_` or `-`),
    and belong to the image whose stamp rounds to theirs; or, where none is a stamp, in the image's
    number in its topic, from 0.

    Args:
        folder: Of the images.
        num_classes: Of the class file.

    Attributes:
        total: Number of label images.
        used: Of those, matched so far.

    Raises:
        ReplayError: No such folder, no images, or names without a number.
    """

    def __init__(self, folder: Path, num_classes: int) -> None:
        self.folder = folder
        self._num_classes = num_classes
        files = images_in(folder)
        if not files:
            raise ReplayError(f'{folder}: no folder with label images in it')
        stamps = [(stamp, file) for file in files if (stamp := _stamp_of(file)) is not None]
        numbers = {int(m[1]): file for file in files if (m := _NUMBER.fullmatch(file.stem))}
        if not stamps and not numbers:
            raise ReplayError(
                f'{folder}: no name of a label image there ends in a stamp (nanoseconds, or '
                f'seconds and a fraction) or a frame number; the first is {files[0].name}'
            )
        self._stamps = sorted(stamps)
        self._numbers = {} if stamps else numbers
        self.total, self.used = len(files), 0

    def of(self, number: int, stamp_ns: int) -> np.ndarray | None:
        """The labels of a frame, (h, w) uint8; None where there are none.

        Raises:
            CamVidError: The image is no label image.
        """
        file = self._numbers.get(number) if self._numbers else self._by_stamp(stamp_ns)
        if file is None:
            return None
        self.used += 1
        return read_labels(file, self._num_classes)

    def _by_stamp(self, stamp_ns: int) -> Path | None:
        place = bisect.bisect_left(self._stamps, ((stamp_ns, 0), Path()))
        for (stamp, tolerance), file in self._stamps[max(0, place - 1) : place + 1]:
            if abs(stamp - stamp_ns) <= tolerance:
                return file
        return None


def _stamp_of(file: Path) -> tuple[int, int] | None:
    """Nanoseconds in a name, and how far a frame's may be away for the digits left out."""
    whole = _NANOSECONDS.fullmatch(file.stem)
    if whole:
        return int(whole[1]), 0
    split = _SECONDS.fullmatch(file.stem)
    if split:
        unit = 10 ** (9 - len(split[2]))
        return int(split[1]) * 10**9 + int(split[2]) * unit, unit - 1
    return None

"""Ground truth in a folder of label images, matched to frames by stamp or by frame number."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgesegnet_ros.data.camvid import read_labels
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.image_files import images_in
from edgesegnet_ros.evaluation.replay.result import ReplayError

_SECONDS = re.compile(r'(?:.*[^0-9])?(\d{9,10})[._-](\d{1,9})')
_NUMBER = re.compile(r'(?:.*[^0-9])?(\d{1,19})')
_UNITS_NS = {'nanoseconds': 1, 'microseconds': 10**3, 'milliseconds': 10**6, 'seconds': 10**9}


class LabelFolder:
    """Label images by the stamps or numbers in their names.

    A name ends in a stamp (a whole number of nanoseconds, microseconds, milliseconds or seconds,
    or `<seconds>.<fraction>`, whose point may be `_` or `-`) or in the number of the frame in its
    topic. Which of these it is, is decided by how the names fit the stamps of the bag.

    Args:
        folder: Folder of the images.
        classes: Classes of the labels; see `read_labels`.
        stamps: Stamps of the frames in ns, in the order of the bag.
        first_number: Number of the first frame in the names, 0 or 1, where the names are frame
            numbers; None where they tell by themselves.

    Attributes:
        total: Number of label images.
        used: Number of those that were matched so far.
        reading: How the names were understood, in words.

    Raises:
        ReplayError: No such folder, no images, names without a number, or names that can be
            understood in two ways.
    """

    def __init__(
        self,
        folder: Path,
        classes: ClassSet,
        stamps: Sequence[int],
        first_number: int | None = None,
    ) -> None:
        self.folder = folder
        self._classes = classes
        files = images_in(folder)
        if not files:
            raise ReplayError(f'{folder}: no folder with label images in it')
        self.total, self.used = len(files), 0
        by_stamp = _by_seconds(files, stamps)
        numbers = {int(m[1]): file for file in files if (m := _NUMBER.fullmatch(file.stem))}
        if not numbers and not by_stamp:
            raise ReplayError(
                f'{folder}: no name of a label image there ends in a stamp (nanoseconds, or '
                f'seconds and a fraction) or a frame number; the first is {files[0].name}'
            )
        self._of_stamp: dict[int, Path] = by_stamp
        self._of_number: dict[int, Path] = {}
        self.reading = 'seconds and a fraction'
        if by_stamp:
            return
        unit, self._of_stamp = _by_unit(numbers, stamps)
        first = _first_number(numbers, len(stamps), first_number)
        if unit and first is not None and len(self._of_stamp) < len(numbers):
            unit, self._of_stamp = '', {}  # a few small numbers are stamps by chance
        if unit:
            self.reading = f'stamps in {unit}'
            return
        if first is None:
            raise ReplayError(
                f'{folder}: the names {min(numbers)} to {max(numbers)} of label images can be '
                f'frame numbers from 0 (the first label belongs to frame {min(numbers)}) or from '
                f'1 (to frame {min(numbers) - 1}) of the {len(stamps)} frames of the bag: '
                'say which with --label-start 0 or --label-start 1'
            )
        self.reading = f'frame numbers from {first}'
        self._of_number = {number - first: file for number, file in numbers.items()}

    def of(self, number: int, stamp_ns: int) -> np.ndarray | None:
        """The labels of a frame, (h, w) uint8; None without any.

        Raises:
            CamVidError: The image is no label image.
        """
        file = self._of_number.get(number) or self._of_stamp.get(stamp_ns)
        if file is None:
            return None
        self.used += 1
        return read_labels(file, self._classes)


def _by_seconds(files: list[Path], stamps: Sequence[int]) -> dict[int, Path]:
    """Files named `<seconds>.<fraction>` by the stamp of their frame."""
    found: dict[int, Path] = {}
    for file in files:
        split = _SECONDS.fullmatch(file.stem)
        if split:
            unit = 10 ** (9 - len(split[2]))
            named = int(split[1]) * 10**9 + int(split[2]) * unit
            stamp = _nearest(named, unit, sorted(stamps))
            if stamp is not None:
                found[stamp] = file
    return found


def _by_unit(numbers: dict[int, Path], stamps: Sequence[int]) -> tuple[str, dict[int, Path]]:
    """The unit in which most numbers are stamps of frames, and files by stamp."""
    known = sorted({stamp for stamp in stamps if stamp >= 0})
    gaps = [after - before for before, after in zip(known, known[1:], strict=False)]
    best: tuple[str, dict[int, Path]] = ('', {})
    for name, unit in _UNITS_NS.items():
        if unit > 1 and gaps and min(gaps) < 2 * unit:
            continue  # in this unit two frames would have one name
        found = {}
        for number, file in numbers.items():
            stamp = _nearest(number * unit, unit, known)
            if stamp is not None:
                found[stamp] = file
        if len(found) > len(best[1]):
            best = (name, found)
    return best


def _nearest(named: int, unit: int, known: list[int]) -> int | None:
    """The stamp that a name stands for, whether its digits were cut off or rounded."""
    index = bisect.bisect_left(known, named)
    around = known[max(0, index - 1) : index + 1]
    nearest = min(around, key=lambda stamp: abs(stamp - named), default=None)
    return nearest if nearest is not None and abs(nearest - named) < unit else None


def _first_number(numbers: dict[int, Path], frames: int, wanted: int | None) -> int | None:
    """The number of the first frame; None where both 0 and 1 are possible."""
    if wanted is not None:
        return wanted
    if 0 in numbers or min(numbers) > frames:  # else no label belongs to any frame
        return 0
    return 1 if sorted(numbers) == list(range(1, frames + 1)) else None

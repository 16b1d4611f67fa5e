"""Images of a folder, a video, a bag or a camera, frame by frame.

`open_source` recognises the kind of input. One frame at a time is in memory.
"""

from __future__ import annotations

import logging
import os
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

import cv2
import numpy as np

from edgesegnet_ros.data.camvid import labels_folder, read_labels
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.file_kind import is_hidden, why_unreadable
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.extras import need

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp')
BAG_SUFFIXES = ('.db3', '.mcap')
START_NS = 1_700_000_000_000_000_000
"""Stamp of the first frame where the input has no stamps of its own."""
PERIOD_NS = 100_000_000
"""Interval between the frames of a folder, and of a video without a frame rate."""

_MOST_REASONS = 5

_log = logging.getLogger(__name__)


class SourceError(EdgeSegNetError):
    """An input without images; the message names it and lists the accepted inputs."""


class CameraModel(NamedTuple):
    """Camera calibration as in sensor_msgs/CameraInfo; k is all zeros without calibration.

    Attributes:
        width: Width of the calibrated image in pixels.
        height: Height of the calibrated image in pixels.
        distortion_model: plumb_bob, rational_polynomial, …
        d: Distortion parameters.
        k: (9) intrinsic matrix, row by row, in pixels.
        r: (9) rectification matrix.
        p: (12) projection matrix, in pixels.
    """

    width: int
    height: int
    distortion_model: str
    d: Tuple[float, ...]
    k: Tuple[float, ...]
    r: Tuple[float, ...]
    p: Tuple[float, ...]


class SourceFrame(NamedTuple):
    """One image of a source.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (h, w) uint8 class ids, 255 for void; None without ground truth.
        stamp_ns: Nanoseconds since the epoch, greater than the frame before it.
        name: Name of the file, or the frame's number.
        camera: The camera's calibration, where the input has one.
    """

    image: np.ndarray
    labels: Optional[np.ndarray]
    stamp_ns: int
    name: str
    camera: Optional[CameraModel] = None


class Source(ABC):
    """A source of frames; each iteration starts from the beginning.

    Attributes:
        name: Name that the user gave.
        total: Number of frames; None if it is unknown before the end.
        has_labels: Whether frames can have ground truth.
        live: Whether frames arrive in real time and cannot wait.
        label_topic: Label topic of the ground truth, of a bag; else empty.
        skipped: Number of images so far that could not be used.
        reasons: Reasons for the first few of them.
    """

    def __init__(
        self, name: str, total: Optional[int], has_labels: bool = False, live: bool = False
    ) -> None:
        self.name = name
        self.total = total
        self.has_labels = has_labels
        self.live = live
        self.label_topic = ''
        self.skipped = 0
        self.reasons: List[str] = []

    def _skip(self, problem: str) -> None:
        """Count an image that cannot be used, and log the reason."""
        self.skipped += 1
        if len(self.reasons) < _MOST_REASONS:
            self.reasons.append(problem)
        _log.warning('%s', problem)

    @abstractmethod
    def __iter__(self) -> Iterator[SourceFrame]:
        """Frames in the order of their stamps.

        Raises:
            SourceError: A frame cannot be read.
        """


class FolderSource(Source):
    """The image files of a folder, in the order of their names, at ten per second.

    Labels are those of the same name in the sibling folder `<name>annot`, by CamVid's protocol:
    8-bit ids, void is the number of classes or 255.
    """

    def __init__(
        self,
        folder: Path,
        num_classes: int,
        files: Optional[List[Path]] = None,
        tolerant: bool = False,
        labels: bool = True,
    ) -> None:
        self._tolerant = tolerant
        self._files = images_in(folder) if files is None else files
        if not self._files:
            raise SourceError(
                f'{folder}: holds no image ({", ".join(IMAGE_SUFFIXES)}) and is no ROS 2 bag'
            )
        annotated = labels_folder(folder.resolve())
        self._labels = {path.stem: path for path in images_in(annotated)} if labels else {}
        self._num_classes = num_classes
        matched = any(path.stem in self._labels for path in self._files)
        if self._labels and not matched:
            raise SourceError(
                f'{annotated}: no label image there has the name of an image in {folder} '
                f'(as {self._files[0].stem}); rename them, or move that folder away'
            )
        super().__init__(str(folder), len(self._files), has_labels=matched)

    def __iter__(self) -> Iterator[SourceFrame]:
        """See Source."""
        for number, path in enumerate(self._files):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                problem = f'{path}: {why_unreadable(path) or "not an image that OpenCV can read"}'
                if not self._tolerant:
                    raise SourceError(problem)
                self._skip(problem)
                continue
            label_file = self._labels.get(path.stem)
            labels = None if label_file is None else read_labels(label_file, self._num_classes)
            yield SourceFrame(
                cv2.cvtColor(image, cv2.COLOR_BGR2RGB),
                labels,
                START_NS + number * PERIOD_NS,
                path.name,
            )


class VideoSource(Source):
    """A video file that OpenCV decodes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        capture = self._open()
        frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        rate_hz = capture.get(cv2.CAP_PROP_FPS)
        # Containers without an index report nonsense, such as a negative count or 1e6 Hz.
        self._period_ns = 1e9 / rate_hz if 0.1 <= rate_hz <= 1000 else PERIOD_NS
        readable, _ = capture.read()
        capture.release()
        if not readable:
            raise SourceError(f'{path}: a video without a frame that OpenCV can decode')
        super().__init__(str(path), frames if frames > 0 else None)

    def _open(self) -> cv2.VideoCapture:
        # Suppress FFmpeg's messages, which would come before ours.
        os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
        capture = _captured(str(self._path))
        if not capture.isOpened():
            reason = why_unreadable(self._path)
            if reason:
                raise SourceError(f'{self._path}: {reason}')
            raise SourceError(
                f'{self._path}: not a video that OpenCV can read. An input is a folder of '
                'images, a video, a ROS 2 bag (.mcap, .db3 or its folder) or camera:0'
            )
        return capture

    def __iter__(self) -> Iterator[SourceFrame]:
        """See Source."""
        capture = self._open()
        stamp_ns = 0
        try:
            for number in range(10**12):
                readable, image = capture.read()
                if not readable:
                    return
                # The file's own times, which need not be evenly apart; some containers have none.
                reported_ns = int(round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6))
                if number and reported_ns <= stamp_ns:
                    reported_ns = stamp_ns + int(round(self._period_ns))
                stamp_ns = reported_ns
                yield SourceFrame(
                    cv2.cvtColor(image, cv2.COLOR_BGR2RGB), None, START_NS + stamp_ns, str(number)
                )
        finally:
            capture.release()


class CameraSource(Source):
    """A live camera of this machine; the stamp of a frame is its time of arrival."""

    def __init__(self, name: str) -> None:
        device = name[len('camera:') :]
        there = cameras()
        number = int(device) if device.isdigit() else _number(device)
        if number not in there:
            known = ', '.join(f'camera:{i} ({text})' for i, text in sorted(there.items()))
            raise SourceError(
                f'{name}: no such camera; this machine has {known or "none (no /dev/video*)"}'
            )
        capture = _captured(number)
        gives_pictures = capture.isOpened() and capture.read()[0]
        # The player process opens the camera again.
        capture.release()
        if not gives_pictures:
            raise SourceError(
                f'{name}: /dev/video{number} ({there[number]}) gives no images; another '
                'program may hold it, it may not be a capture device, or this user may lack the '
                'group `video`'
            )
        self._number = number
        super().__init__(name, None, live=True)

    def __iter__(self) -> Iterator[SourceFrame]:
        """See Source."""
        capture = _captured(self._number)
        try:
            for number in range(10**12):
                readable, image = capture.read()
                if not readable:
                    raise SourceError(f'{self.name}: gave no more images after {number}')
                yield SourceFrame(
                    cv2.cvtColor(image, cv2.COLOR_BGR2RGB), None, time.time_ns(), str(number)
                )
        finally:
            capture.release()


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
            if len(self.reasons) < _MOST_REASONS:
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


def open_source(
    text: str,
    num_classes: int = 11,
    topic: Optional[str] = None,
    labels_topic: Optional[str] = None,
    tolerant: bool = False,
    labels: bool = True,
    classes: Optional[ClassSet] = None,
) -> Source:
    """Open an input.

    Args:
        text: A folder of images, one image, a video, a ROS 2 bag (folder or file),
            `camera:NUMBER` or `camera:/dev/videoN`.
        num_classes: Number of classes of the labels in a sibling `…annot` folder; this number
            topic: Image topic of a bag; by default the first one.
        labels_topic: Ground truth topic of a bag; by default found by its name.
        labels_topic: A bag's topic of ground truth; found by its name where not given.
        tolerant: Whether images that cannot be read, and what is missing of a damaged bag, are
            skipped with a warning and counted, in place of an error.
        labels: Whether the label images of a folder are looked for.
        classes: Classes of the model, which must fit the labels of a bag; None if unknown.

    SourceError: The input does not exist or cannot be read.
        SourceError: There is nothing there, or nothing that can be read.
        BagError: A bag is damaged, or has no such topic.
    """
    if text.startswith('camera:'):
        return CameraSource(text)
    path = Path(text).expanduser()
    if not path.exists():
        raise SourceError(
            f'{text}: no such file or folder. An input is a folder of images, a video, a ROS 2 '
            'bag (.mcap, .db3 or its folder) or camera:0'
        )
    suffix = path.suffix.lower()
    is_bag = suffix in (*BAG_SUFFIXES, '.bag') or path.name.endswith('.bag.active')
    if is_bag or (path / 'metadata.yaml').is_file():
        return BagSource(path, topic, labels_topic, tolerant, classes)
    if path.is_dir():
        bags = [
            file
            for file in sorted(path.iterdir())
            if file.suffix in BAG_SUFFIXES and not is_hidden(file)
        ]
        if tolerant and bags and not images_in(path):
            return BagSource(path, topic, labels_topic, tolerant, classes)
        if len(bags) == 1 and not images_in(path):
            return BagSource(bags[0], topic, labels_topic, classes=classes)
        if bags and not images_in(path):
            raise SourceError(
                f'{path}: holds {len(bags)} bags ({", ".join(bag.name for bag in bags)}): name one'
            )
        return FolderSource(path, num_classes, None, tolerant, labels)
    if suffix in IMAGE_SUFFIXES:
        return FolderSource(path.parent, num_classes, [path], tolerant, labels)
    return VideoSource(path)


def images_in(folder: Path) -> List[Path]:
    """Image files right in a folder, in name order; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path)
    )


def cameras() -> Dict[int, str]:
    """Video devices of this machine: number -> what the driver calls it (Linux)."""
    found = {}
    for device in Path('/dev').glob('video*'):
        number = _number(str(device))
        if number is not None:
            name = Path('/sys/class/video4linux', device.name, 'name')
            found[number] = name.read_text().strip() if name.is_file() else str(device)
    return found


def _number(device: str) -> Optional[int]:
    digits = Path(device).name[len('video') :]
    return int(digits) if Path(device).name.startswith('video') and digits.isdigit() else None


def _captured(what: Union[int, str]) -> cv2.VideoCapture:
    # OpenCV warns on its own of what cannot be opened; the sentence is ours.
    log = cv2.utils.logging
    level = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(what)
    finally:
        log.setLogLevel(level)

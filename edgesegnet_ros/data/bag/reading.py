"""Frames from a bag, streaming: images, their calibration, and labels of the same stamp."""

from __future__ import annotations

import logging
from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import cv2
import numpy as np

from .errors import BagError

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
LABEL_WORDS = ('label', 'ground_truth', 'annot', 'mask')
OUTPUTS = 'segmentation/'
"""In the names of the node's own outputs: a recording of them is neither input nor truth."""
PATIENCE = 16
"""Images that wait for labels recorded after them before they go without."""

_log = logging.getLogger(__name__)


class BagFrame(NamedTuple):
    """One image of a bag.

    Attributes:
        stamp_ns: The header's stamp; the time of recording where the header has none.
        frame_id: Of the header.
        encoding: Of the message; for a compressed image its format.
        image: (H, W, 3) uint8 RGB.
        labels: (h, w) uint8 class ids of the same stamp, or None.
        message: The message itself, as rosbags gives it.
    """

    stamp_ns: int
    frame_id: str
    encoding: str
    image: np.ndarray
    labels: np.ndarray | None
    message: Any


class BagFrames:
    """The image frames of one ROS 2 bag; each iteration starts from the beginning.

    Labels are matched by stamp and may lie up to `PATIENCE` images away. Nothing more is held
    in memory.

    Args:
        path: Folder of a bag, or a single .mcap or .db3 file.
        image_topic: A topic of sensor_msgs/Image or CompressedImage; where not given, the first
            one that does not look like labels.
        label_topic: A topic of sensor_msgs/Image, mono8; where not given, the first whose name
            says label, ground_truth, annot or mask. An empty string for none.

    Attributes:
        image_topic: The topic that is read.
        label_topic: The topic of labels, or None.
        total: Number of images.
        camera_info: First CameraInfo message beside the image topic, or None.

    Raises:
        BagError: No such bag, not a bag, damaged, or without such a topic.
    """

    def __init__(
        self,
        path: str | Path,
        image_topic: str | None = None,
        label_topic: str | None = None,
    ) -> None:
        self.path = Path(path).expanduser()
        _refuse_what_is_no_bag(self.path)
        with self._opened() as reader:
            topics = {c.topic: c for c in reader.connections}
            self.image_topic = self._choose_image(topics, image_topic)
            self.label_topic = self._choose_labels(topics, label_topic)
            self.total = topics[self.image_topic].msgcount
            base = self.image_topic
            if topics[base].msgtype == COMPRESSED and base.endswith('/compressed'):
                base = base[: -len('/compressed')]
            info = topics.get(base.rsplit('/', 1)[0] + '/camera_info')
            self.camera_info = None
            if info is not None and info.msgtype == CAMERA_INFO:
                for connection, _, data in reader.messages(connections=[info]):
                    self.camera_info = reader.deserialize(data, connection.msgtype)
                    break

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """The bag as rosbags reads it, with its many errors turned into one sentence."""
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore

        try:
            # Humble's types stand in where a bag, such as an old SQLite one, has none of its own.
            types = get_typestore(Stores.ROS2_HUMBLE)
            with AnyReader([self.path], default_typestore=types) as reader:
                yield reader
        except (BagError, GeneratorExit):
            raise
        except PermissionError as error:
            raise BagError(f'{self.path}: no permission to read it') from error
        except Exception as error:  # rosbags lets struct, sqlite3, zstd and lz4 errors through
            reason = str(error).rstrip('.') or type(error).__name__
            raise BagError(
                f'{self.path}: truncated, damaged or not a ROS 2 bag ({reason}). If its recording '
                'was cut off, `ros2 bag reindex` (SQLite) or `mcap recover` may mend it'
            ) from error

    def _choose_image(self, topics: dict, wanted: str | None) -> str:
        listing = ', '.join(f'{name} ({c.msgtype})' for name, c in sorted(topics.items()))
        images = [name for name, c in topics.items() if c.msgtype in (IMAGE, COMPRESSED)]
        if wanted is not None:
            if wanted not in images:
                raise BagError(
                    f'{self.path}: has no image topic {wanted}; it has {listing or "no topics"}'
                )
            return wanted
        candidates = [name for name in images if not _names_labels(name) and OUTPUTS not in name]
        if not candidates:
            raise BagError(
                f'{self.path}: has no topic of {IMAGE} or {COMPRESSED}; it has '
                f'{listing or "no topics"}' + ('; name one with --topic' if images else '')
            )
        if len(candidates) > 1:
            _log.warning(
                '%s: several image topics (%s); reading %s, name another with --topic',
                self.path, ', '.join(candidates), candidates[0],
            )  # fmt: skip
        return candidates[0]

    def _choose_labels(self, topics: dict, wanted: str | None) -> str | None:
        if wanted == '':
            return None
        images = [name for name, c in topics.items() if c.msgtype == IMAGE]
        if wanted is not None:
            if wanted not in images:
                raise BagError(
                    f'{self.path}: has no topic of labels {wanted}; its topics of {IMAGE} are '
                    f'{", ".join(sorted(images)) or "none"}'
                )
            return wanted
        return next(
            (name for name in images
             if _names_labels(name) and OUTPUTS not in name and name != self.image_topic), None
        )  # fmt: skip

    def __len__(self) -> int:
        """Number of images, as the bag says."""
        return self.total

    def __iter__(self) -> Iterator[BagFrame]:
        """Frames in the order of the recording.

        Raises:
            BagError: The bag is damaged, or an image or a label in it.
        """
        wanted = {self.image_topic, self.label_topic}
        waiting: OrderedDict[int, BagFrame] = OrderedDict()
        labels: OrderedDict[int, np.ndarray] = OrderedDict()
        with self._opened() as reader:
            connections = [c for c in reader.connections if c.topic in wanted]
            if not connections:
                return
            for connection, recorded_ns, data in reader.messages(connections=connections):
                message = reader.deserialize(data, connection.msgtype)
                stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
                stamp_ns = stamp_ns or recorded_ns
                if connection.topic == self.label_topic:
                    labels[stamp_ns] = self._labels(message, stamp_ns)
                    if len(labels) > PATIENCE:
                        labels.popitem(last=False)
                else:
                    if stamp_ns in waiting:  # two images of one stamp: the first goes as it is
                        yield waiting.pop(stamp_ns)
                    waiting[stamp_ns] = self._frame(message, stamp_ns)
                while waiting:
                    first = next(iter(waiting))
                    late = self.label_topic is None or len(waiting) > PATIENCE
                    if first not in labels and not late:
                        break
                    yield waiting.pop(first)._replace(labels=labels.pop(first, None))
            for stamp_ns, frame in waiting.items():
                yield frame._replace(labels=labels.pop(stamp_ns, None))

    def _frame(self, message: Any, stamp_ns: int) -> BagFrame:
        compressed = hasattr(message, 'format')
        if compressed:
            image = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
            if image is None:
                raise BagError(
                    f'{self.path}: {self.image_topic} at {stamp_ns} ns: {message.data.size} bytes '
                    f'of format {message.format!r} that OpenCV cannot decode'
                )
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        else:
            image = self._pixels(message, self.image_topic, stamp_ns, 'rgb8')
        return BagFrame(
            stamp_ns, message.header.frame_id,
            message.format if compressed else message.encoding, image, None, message,
        )  # fmt: skip

    def _labels(self, message: Any, stamp_ns: int) -> np.ndarray:
        if message.encoding not in ('mono8', '8UC1'):
            raise BagError(
                f'{self.path}: {self.label_topic} has images of {message.encoding}; labels are '
                'mono8, a class id a pixel. Name another topic with --labels'
            )
        return self._pixels(message, str(self.label_topic), stamp_ns, None)

    def _pixels(
        self, message: Any, topic: str, stamp_ns: int, color_space: str | None
    ) -> np.ndarray:
        from rosbags.image import ImageError, image_to_cvimage
        from rosbags.image.image import to_cvtype

        where = f'{self.path}: {topic} at {stamp_ns} ns'
        try:
            bits, _, _, channels = to_cvtype(message.encoding)
            row = message.width * channels * bits // 8
            if message.height == 0 or message.width == 0 or message.step < row or (
                message.data.size < message.step * message.height
            ):
                raise BagError(
                    f'{where}: {message.width}x{message.height} {message.encoding} with a step of '
                    f'{message.step} does not fit {message.data.size} bytes'
                )
            if message.step > row:  # the library takes rows without padding
                rows = message.data[: message.step * message.height].reshape(message.height, -1)
                message.data = np.ascontiguousarray(rows[:, :row]).ravel()
                message.step = row
            pixels = image_to_cvimage(message, color_space)
        except ImageError as error:
            raise BagError(f'{where}: {error}') from error
        return np.array(pixels)  # its own memory: the message's is the bag's


def read_frames(
    path: str | Path,
    image_topic: str | None = None,
    label_topic: str | None = None,
) -> Iterator[BagFrame]:
    """Frames of a bag one by one; see BagFrames, which also knows their number and camera."""
    return iter(BagFrames(path, image_topic, label_topic))


def _names_labels(topic: str) -> bool:
    return any(word in topic.lower() for word in LABEL_WORDS)


def _refuse_what_is_no_bag(path: Path) -> None:
    if not path.exists():
        raise BagError(f'{path}: no such file or folder')
    if path.suffix == '.bag':
        raise BagError(
            f'{path}: a bag of ROS 1; convert it first: rosbags-convert --src {path} --dst FOLDER'
        )
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        files = sorted(file.name for file in path.iterdir() if file.suffix in ('.mcap', '.db3'))
        hint = (
            f'; name the file itself: {", ".join(files)}' if files
            else '; a ROS 2 bag is a folder with metadata.yaml, or an .mcap or .db3 file'
        )  # fmt: skip
        raise BagError(f'{path}: not a ROS 2 bag, it has no metadata.yaml{hint}')
    if path.is_file() and path.suffix not in ('.mcap', '.db3'):
        raise BagError(
            f'{path}: not a ROS 2 bag, which is a folder with metadata.yaml, or an .mcap or .db3 '
            'file'
        )

"""Streams frames from a bag: images, their calibration, and labels with the same stamp."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.encodings import (
    ImageMessageError,
    assumption_of,
    compressed_to_rgb,
    to_labels,
    to_rgb,
)

from .errors import BagError
from .ground_truth import candidates, find_labels, is_output, names_labels, objection
from .opening import BagFile, BagProblem, OnProblem, payload, reason_of
from .topic_reader import CAMERA_INFO, COMPRESSED, IMAGE, type_of

PATIENCE = 16
"""Number of images that wait for labels recorded after them."""

_log = logging.getLogger(__name__)


class BagFrame(NamedTuple):
    """One image of a bag.

    Attributes:
        stamp_ns: Stamp of the header, or the time of recording if the header has none.
        frame_id: frame_id of the header.
        encoding: Encoding of the message; for a compressed image its format.
        image: (H, W, 3) uint8 RGB.
        labels: (h, w) uint8 class ids of the same stamp, or None.
        message: The message, as rosbags decodes it.
        number: Number in its topic, from 0; unusable images are counted, too.
    """

    stamp_ns: int
    frame_id: str
    encoding: str
    image: np.ndarray
    labels: np.ndarray | None
    message: Any
    number: int = 0


class BagFrames:
    """The image frames of one bag; each iteration starts from the beginning.

    Labels are matched by stamp and may be recorded up to `PATIENCE` images later. Only these
    images are in memory.

    Args:
        path: Folder of a bag, or a single .mcap, .db3 or (ROS 1) .bag file.
        image_topic: A topic of sensor_msgs/Image or CompressedImage; by default the first one
            that does not look like labels.
        label_topic: A topic of sensor_msgs/Image with one channel; by default the first whose
            name and content look like labels (see `ground_truth`). An empty string uses none.
        on_problem: Called with each problem of the bag or of a message, which is then skipped. If
            None, a problem raises an error.
        on_bad: Called with each unusable image or label image, which is then skipped; by default
            `on_problem`.
        classes: Classes of the model, which labels must fit; None if unknown.

    Attributes:
        seen: Number of images read so far, including unusable ones.
        image_topic: The topic that is read.
        label_topic: The topic of labels, or None.
        total: Number of images.
        camera_info: First CameraInfo message beside the image topic, or None.

    Raises:
        BagError: The bag does not exist, is not a bag, is damaged, or has no such topic.
    """

    def __init__(
        self,
        path: str | Path,
        image_topic: str | None = None,
        label_topic: str | None = None,
        on_problem: OnProblem | None = None,
        on_bad: OnProblem | None = None,
        classes: ClassSet | None = None,
    ) -> None:
        self._on_problem = on_problem
        self._on_bad = on_bad or on_problem
        self.seen = 0
        self._noted: set[str] = set()
        self._file = BagFile(path, on_problem)
        self.path = self._file.path
        with self._file.opened() as reader:
            topics = {c.topic: c for c in reader.connections}
            self.image_topic = self._choose_image(topics, image_topic)
            self.label_topic = self._choose_labels(reader, topics, label_topic, classes)
            self.total = sum(c.msgcount for c in reader.connections if c.topic == self.image_topic)
            # For a damaged bag, the metadata has the number of images that were recorded.
            self.total = max(self.total, self._file.announced(self.image_topic))
            base = self.image_topic
            if type_of(topics[base]) == COMPRESSED and base.endswith('/compressed'):
                base = base[: -len('/compressed')]
            info = topics.get(base.rsplit('/', 1)[0] + '/camera_info')
            self.camera_info = None
            if info is not None and type_of(info) == CAMERA_INFO:
                for connection, _, data in reader.messages(connections=[info]):
                    self.camera_info = reader.deserialize(payload(data), connection)
                    break

    def _choose_image(self, topics: dict, wanted: str | None) -> str:
        listing = ', '.join(f'{name} ({type_of(c)})' for name, c in sorted(topics.items()))
        images = [name for name, c in topics.items() if type_of(c) in (IMAGE, COMPRESSED)]
        if wanted is not None:
            if wanted not in images:
                raise BagError(
                    f'{self.path}: has no image topic {wanted}; it has {listing or "no topics"}'
                )
            return wanted
        likely = [n for n in images if not (names_labels(n) or is_output(n))]
        if not likely:
            raise BagError(
                f'{self.path}: has no topic of {IMAGE} or {COMPRESSED}; it has '
                f'{listing or "no topics"}' + ('; name one with --topic' if images else '')
            )
        if len(likely) > 1:
            _log.warning(
                '%s: several image topics (%s); reading %s, name another with --topic',
                self.path,
                ', '.join(likely),
                likely[0],
            )
        return likely[0]

    def _choose_labels(
        self, reader: Any, topics: dict, wanted: str | None, classes: ClassSet | None
    ) -> str | None:
        if wanted == '':
            return None
        types = {name: type_of(c) for name, c in topics.items()}
        if wanted is None:
            named = candidates(types, self.image_topic)
            found = find_labels(reader, self.image_topic, named, classes)
            for note in found.notes:
                _log.warning('%s: %s', self.path, note)
            return found.topic or None
        images = [name for name, kind in types.items() if kind == IMAGE]
        if wanted not in images:
            raise BagError(
                f'{self.path}: has no topic of labels {wanted}; its topics of {IMAGE} are '
                f'{", ".join(sorted(images)) or "none"}'
            )
        reason = objection(reader, wanted, classes)
        if reason:
            raise BagError(f'{self.path}: {wanted} cannot be ground truth: {reason}')
        return wanted

    def __len__(self) -> int:
        """Number of images according to the bag."""
        return self.total

    def __iter__(self) -> Iterator[BagFrame]:
        """Frames in the order of the recording.

        Raises:
            BagError: The bag is damaged, or an image or a label in it.
        """
        waiting: OrderedDict[int, BagFrame] = OrderedDict()
        labels: OrderedDict[int, np.ndarray] = OrderedDict()
        for item in self._decoded():
            if isinstance(item, BagFrame):
                if item.stamp_ns in waiting:  # two images with one stamp: the first gets no labels
                    yield waiting.pop(item.stamp_ns)
                waiting[item.stamp_ns] = item
            else:
                labels[item[0]] = item[1]
                if len(labels) > PATIENCE:
                    labels.popitem(last=False)
            while waiting:
                first = next(iter(waiting))
                late = self.label_topic is None or len(waiting) > PATIENCE
                if first not in labels and not late:
                    break
                yield waiting.pop(first)._replace(labels=labels.pop(first, None))
        for stamp_ns, frame in waiting.items():
            yield frame._replace(labels=labels.pop(stamp_ns, None))

    def stamps(self) -> list[int]:
        """The stamp of each image in ns, in the order of the recording; -1 for a damaged one."""
        found = []
        for topic, read in self._messages():
            if topic == self.image_topic:
                try:
                    found.append(read()[1])
                except BagError:
                    found.append(-1)
        return found

    def close(self) -> None:
        """Remove the temporary copy of a damaged bag."""
        self._file.close()

    def _decoded(self) -> Iterator[BagFrame | tuple[int, np.ndarray]]:
        """Images, and stamps with labels, in the order of the recording."""
        number = -1
        for topic, read in self._messages():
            is_label = topic == self.label_topic
            number += not is_label
            self.seen = max(self.seen, number + 1)
            try:
                message, stamp_ns = read()
                if is_label:
                    yield stamp_ns, self._labels(message, stamp_ns)
                else:
                    yield self._frame(message, stamp_ns)._replace(number=number)
            except BagError as error:
                if self._on_bad is None:
                    raise
                kind = 'bad_labels' if is_label else 'bad_image'
                where = f'{self.path}: {topic}, message {number}'
                self._on_bad(BagProblem(kind, where, f'skipped: {error}', int(not is_label)))

    def _messages(self) -> Iterator[tuple[str, Callable[[], tuple[Any, int]]]]:
        """The topic of each message, and a function that reads the message and its stamp in ns."""
        wanted = {self.image_topic, self.label_topic}
        with self._file.opened() as reader:
            connections = [c for c in reader.connections if c.topic in wanted]
            if not connections:
                return
            messages = reader.messages(connections=connections)
            while True:
                try:
                    found = next(messages, None)
                except Exception as error:  # any error of rosbags
                    if self._on_problem is None:
                        raise
                    self._on_problem(
                        BagProblem(
                            'truncated',
                            str(self.path),
                            f'damaged: reading stops before its end ({reason_of(error)})',
                        )
                    )
                    return
                if found is None:
                    return
                yield found[0].topic, self._reading(reader, *found)

    def _reading(
        self, reader: Any, connection: Any, recorded_ns: int, data: bytes
    ) -> Callable[[], tuple[Any, int]]:
        def read() -> tuple[Any, int]:
            try:
                message = reader.deserialize(payload(data), connection)
            except Exception as error:  # any error of a damaged message
                raise BagError(
                    f'{self.path}: {connection.topic}, recorded at {recorded_ns} ns: damaged '
                    f'({reason_of(error)})'
                ) from error
            stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            return message, stamp_ns or recorded_ns

        return read

    def _frame(self, message: Any, stamp_ns: int) -> BagFrame:
        compressed = hasattr(message, 'format')
        try:
            image = compressed_to_rgb(message) if compressed else to_rgb(message)
        except ImageMessageError as error:
            raise BagError(f'{self.path}: {self.image_topic} at {stamp_ns} ns: {error}') from error
        self._note(assumption_of(message))
        return BagFrame(
            stamp_ns,
            message.header.frame_id,
            message.format if compressed else message.encoding,
            image if image.flags.owndata else image.copy(),  # its memory belongs to the bag
            None,
            message,
        )

    def _note(self, assumption: str) -> None:
        """Report an assumption about the images once."""
        if not assumption or assumption in self._noted:
            return
        self._noted.add(assumption)
        if self._on_problem is None:
            _log.warning('%s: %s: %s', self.path, self.image_topic, assumption)
        else:
            where = f'{self.path}: {self.image_topic}'
            self._on_problem(BagProblem('assumed_encoding', where, assumption, None))

    def _labels(self, message: Any, stamp_ns: int) -> np.ndarray:
        try:
            labels = to_labels(message)
        except ImageMessageError as error:
            raise BagError(f'{self.path}: {self.label_topic} at {stamp_ns} ns: {error}') from error
        if labels.max() > 255:
            raise BagError(
                f'{self.path}: {self.label_topic} at {stamp_ns} ns: holds the value '
                f'{labels.max()}; class ids are 0 to 255'
            )
        return labels.astype(np.uint8)


def read_frames(
    path: str | Path,
    image_topic: str | None = None,
    label_topic: str | None = None,
) -> Iterator[BagFrame]:
    """Iterate over the frames of a bag; see BagFrames."""
    return iter(BagFrames(path, image_topic, label_topic))

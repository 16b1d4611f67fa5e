"""Writes bags of images, camera calibration and labels in the format of rosbag2."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, NamedTuple

import numpy as np

from .atomic_folder import atomic_folder
from .errors import BagError

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgesegnet_ros.data.street import Street
    from edgesegnet_ros.data.street.camera import PinholeCamera

IMAGE_TOPIC, INFO_TOPIC, LABEL_TOPIC = '/camera/image', '/camera/camera_info', '/camera/labels'
FRAME_ID = 'camera'
STORAGES = ('mcap', 'sqlite3')
# Version 8 stores the QoS of a topic as text, which every rosbag2 since Foxy reads; 9 does not.
BAG_VERSION = 8


class ImageFrame(NamedTuple):
    """One image to be written.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class ids, 255 for unlabelled; None for none.
        stamp_ns: Nanoseconds since the epoch.
    """

    image: np.ndarray
    labels: np.ndarray | None
    stamp_ns: int


class MessageBag:
    """Writes messages of any type to a bag; use it in a with block.

    A topic is created with its first message, so a bag without labels has no label topic. The bag
    holds the definitions of the types, and each message is recorded at its stamp.

    Args:
        path: Folder of the bag.
        storage: `mcap` or `sqlite3`.
        force: Whether to replace an existing bag when this one is complete.
        about: Notes for the metadata of the bag.
        definitions: Types that rosbags does not include: name -> .msg text.

    Attributes:
        types: Name -> message class.

    Raises:
        BagError: On entering, if the path exists or cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        storage: str = 'mcap',
        force: bool = False,
        about: dict[str, str] | None = None,
        definitions: dict[str, str] | None = None,
    ) -> None:
        if storage not in STORAGES:
            raise BagError(f'{storage}: unknown storage of bags; there are {", ".join(STORAGES)}')
        self._path, self._storage, self._force = Path(path), storage, force
        self._about, self._definitions = about or {}, definitions or {}

    def __enter__(self) -> Self:
        """Open the bag under a temporary name."""
        from rosbags.rosbag2 import StoragePlugin, Writer
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore

        self._store = get_typestore(Stores.ROS2_HUMBLE)
        for name, text in self._definitions.items():
            self._store.register(get_types_from_msg(text, name))
        self.types = self._store.types
        self._connections: dict = {}
        with ExitStack() as stack:
            folder = stack.enter_context(
                atomic_folder(self._path, self._force, 'metadata.yaml', 'bag')
            )
            plugin = StoragePlugin[self._storage.upper()]
            writer = Writer(folder, version=BAG_VERSION, storage_plugin=plugin)
            writer.set_custom_data('generator', 'edgesegnet_ros')
            for key, value in self._about.items():
                writer.set_custom_data(key, value)
            self._writer = stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        """Finish the bag and move it to its path, or remove it after an error."""
        self._stack.__exit__(*error)

    def send(
        self, topic: str, kind: str, stamp_ns: int, message: object, latched: bool = False
    ) -> None:
        """Write a message.

        Args:
            topic: Topic of the message.
            kind: Type, such as sensor_msgs/msg/Image.
            stamp_ns: Time of recording in ns.
            message: Message of one of `types`.
            latched: Whether players offer it to late subscribers (transient local).

        Raises:
            BagError: It cannot be written, for example because the disk is full.
        """
        try:
            self._write(topic, kind, stamp_ns, message, latched)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, 'strerror', None) or error
            raise BagError(f'{self._path}: cannot be written: {reason}') from error

    def _write(self, topic: str, kind: str, stamp_ns: int, message: object, latched: bool) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic,
                kind,
                typestore=self._store,
                offered_qos_profiles=[_latched_qos()] if latched else [],
            )
        self._writer.write(
            self._connections[topic], stamp_ns, self._store.serialize_cdr(message, kind)
        )

    def header(self, stamp_ns: int, frame_id: str) -> object:
        """Make a std_msgs/Header."""
        time = self.types['builtin_interfaces/msg/Time']
        return self.types['std_msgs/msg/Header'](
            stamp=time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id=frame_id
        )

    def image(self, pixels: np.ndarray, encoding: str, header: object) -> object:
        """Make a sensor_msgs/Image.

        Args:
            pixels: (H, W) or (H, W, 3) uint8.
            encoding: mono8, rgb8, …
            header: Header of the message.
        """
        pixels = np.ascontiguousarray(pixels)
        return self.types['sensor_msgs/msg/Image'](
            header=header,
            height=pixels.shape[0],
            width=pixels.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=pixels.strides[0],
            data=pixels.ravel(),
        )


class BagWriter(MessageBag):
    """Writes frames to a bag; use it in a with block.

    Args:
        path: Folder of the bag.
        storage: `mcap` or `sqlite3`.
        force: Whether to replace an existing bag when this one is complete.
        camera: Calibration that is written with each image; None for none.
        about: Notes for the metadata of the bag.

    Raises:
        BagError: On entering, if the path exists or cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        storage: str = 'mcap',
        force: bool = False,
        camera: PinholeCamera | None = None,
        about: dict[str, str] | None = None,
    ) -> None:
        super().__init__(path, storage=storage, force=force, about=about)
        self._camera = camera

    def write(self, frame: ImageFrame) -> None:
        """Write an image, its calibration and its labels with one stamp.

        Args:
            frame: The frame.

        Raises:
            BagError: Image and labels differ in size, or have another shape or dtype.
        """
        image, labels, stamp_ns = frame.image, frame.labels, frame.stamp_ns
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise BagError(f'an image must be (H, W, 3) uint8, not {image.shape} {image.dtype}')
        if labels is not None and (labels.dtype != np.uint8 or labels.shape != image.shape[:2]):
            raise BagError(
                f'labels of an image of {image.shape[:2]} must have that size and be uint8, '
                f'not {labels.shape} {labels.dtype}'
            )
        header = self.header(stamp_ns, FRAME_ID)
        kind = 'sensor_msgs/msg/Image'
        self.send(IMAGE_TOPIC, kind, stamp_ns, self.image(image, 'rgb8', header))
        if self._camera is not None:
            info_kind = 'sensor_msgs/msg/CameraInfo'
            info = self.types[info_kind](header=header, **self._calibration())
            self.send(INFO_TOPIC, info_kind, stamp_ns, info)
        if labels is not None:
            self.send(LABEL_TOPIC, kind, stamp_ns, self.image(labels, 'mono8', header))

    def _calibration(self) -> dict:
        camera = self._camera
        assert camera is not None
        f, cx, cy = camera.focal, camera.cx, camera.cy
        region = self.types['sensor_msgs/msg/RegionOfInterest'](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        return {
            'height': camera.height,
            'width': camera.width,
            'distortion_model': 'plumb_bob',
            'd': np.zeros(5),
            'k': np.array([f, 0, cx, 0, f, cy, 0, 0, 1.0]),
            'r': np.eye(3).ravel(),
            'p': np.array([f, 0, cx, 0, 0, f, cy, 0, 0, 0, 1.0, 0]),
            'binning_x': 0,
            'binning_y': 0,
            'roi': region,
        }


def _latched_qos() -> object:
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    forever = QosTime(9223372036, 854775807)
    return Qos(
        QosHistory.KEEP_LAST,
        1,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL,
        forever,
        forever,
        QosLiveliness.AUTOMATIC,
        forever,
        False,
    )


def write_street_bag(
    path: str | Path,
    street: Street,
    frames: int,
    rate_hz: float = 10.0,
    *,
    storage: str = 'mcap',
    force: bool = False,
    progress=iter,
) -> None:
    """Render a street into a bag with images, camera_info and ground-truth labels.

    Args:
        path: Folder of the bag.
        street: The street.
        frames: Number of frames.
        rate_hz: Frames per second.
        storage: `mcap` or `sqlite3`.
        force: Whether to replace an existing bag.
        progress: Wraps the iteration over frame numbers, as tqdm does.

    Raises:
        BagError: The path exists or cannot be written.
    """
    about = {'street_seed': str(street.seed), 'weather': street.weather.kind}
    with BagWriter(path, storage=storage, force=force, camera=street.camera, about=about) as bag:
        for index in progress(range(frames)):
            bag.write(ImageFrame(*street.frame(index, rate_hz)))


def write_image_bag(
    path: str | Path,
    frames: Iterable[ImageFrame],
    *,
    storage: str = 'mcap',
    force: bool = False,
) -> int:
    """Write images to a bag without camera_info, because the camera is unknown.

    Args:
        path: Folder of the bag.
        frames: The images in the order of their stamps.
        storage: `mcap` or `sqlite3`.
        force: Whether to replace an existing bag.

    Returns:
        The number of frames written.

    Raises:
        BagError: There are no frames, or the path exists or cannot be written.
    """
    count = 0
    with BagWriter(path, storage=storage, force=force) as bag:
        for frame in frames:
            bag.write(frame)
            count += 1
        if not count:
            raise BagError(f'{path}: there is no frame to write, so no bag was written')
    return count

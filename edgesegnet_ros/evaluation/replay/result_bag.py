"""The results as a bag, with the topics that the node would have published."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from edgesegnet_ros.atomic_file import atomic_replace
from edgesegnet_ros.data.bag import BagError, MessageBag
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.masks import Group, group_mask
from edgesegnet_ros.evaluation.replay.frames import ReplayFrame
from edgesegnet_ros.interface import messages
from edgesegnet_ros.interface.messages import CLASS_MASK, CLASS_MASKS, LABEL_INFO, VISION_CLASS

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
# As the .msg files of this package and of vision_msgs have them, comments left out.
DEFINITIONS = {
    VISION_CLASS: 'uint16 class_id\nstring class_name\n',
    LABEL_INFO: 'std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n',
    CLASS_MASK: 'string name\nuint8[] class_ids\nfloat32 coverage\n'
    'sensor_msgs/RegionOfInterest bounding_box\nsensor_msgs/Image mask\n',
    CLASS_MASKS: 'std_msgs/Header header\nedgesegnet_ros/ClassMask[] masks\n',
}


class ResultBag:
    """A FrameSink that writes an MCAP bag which RViz, Foxglove and Nav2 replay.

    Images and calibration keep their topics; `segmentation/mask`, `confidence`, `label_info`
    (latched) and `class_masks` are those of the node, in `namespace`.

    Args:
        path: Folder of the bag; or, where it ends in .mcap, the one file.
        image_topic: Image topic of the camera.
        classes: Names and colours.
        groups: Groups and their rules, by name.
        namespace: Before the topics of the node; empty for none.
        threshold: Confidence (0-1) below which pixels were left unlabelled.
        force: Whether a bag that is there is replaced.

    Raises:
        BagError: The path is taken or cannot be written.
    """

    name = 'write_bag'

    def __init__(
        self,
        path: Path,
        image_topic: str,
        classes: ClassSet,
        groups: dict[str, Group],
        namespace: str = '',
        threshold: float = 0.0,
        force: bool = False,
    ) -> None:
        self._image_topic, self._classes, self._groups = image_topic, classes, groups
        self._prefix = f'{namespace.rstrip("/")}/segmentation/'
        self._threshold = threshold
        self._file = path if path.suffix == '.mcap' else None
        if self._file is not None:
            if path.exists() and not force:
                raise BagError(f'{path}: exists already; name another, or give --force')
            # Always of the same name, so that the next one replaces what a kill has left.
            path, force = path.with_name(f'.{path.stem}.partial'), True
        self._folder = path
        self._bag = MessageBag(path, force=force, definitions=DEFINITIONS).__enter__()
        self._named = False

    def on_frame(self, frame: ReplayFrame) -> None:
        """See FrameSink."""
        bag, stamp = self._bag, frame.stamp_ns
        source = frame.source
        header: Any = bag.header(stamp, source.header.frame_id if source is not None else '')
        if not self._named:
            bag.send(
                self._prefix + 'label_info',
                LABEL_INFO,
                stamp,
                messages.label_info(bag.types, header, self._classes, self._threshold),
                latched=True,
            )
            self._named = True
        self._send_image(frame, header)
        mask = bag.image(frame.labels, 'mono8', header)
        bag.send(self._prefix + 'mask', IMAGE, stamp, mask)
        if frame.confidence is not None:
            confidence = bag.image(frame.confidence, 'mono8', header)
            bag.send(self._prefix + 'confidence', IMAGE, stamp, confidence)
        masks = []
        for name, group in self._groups.items():
            inside = group_mask(frame.labels, group, frame.confidence)
            image = bag.image(inside, 'mono8', header)
            masks.append(messages.class_mask(bag.types, name, group.ids, inside, image))
        together = bag.types[CLASS_MASKS](header=header, masks=masks)
        bag.send(self._prefix + 'class_masks', CLASS_MASKS, stamp, together)

    def close(self, complete: bool) -> None:
        """See FrameSink."""
        # Without a frame there is no bag: it would have no topic.
        error = None if complete and self._named else RuntimeError('incomplete')
        self._bag.__exit__(None if error is None else RuntimeError, error, None)
        if self._file is not None and error is None:
            try:
                atomic_replace(next(self._folder.glob('*.mcap')), self._file)
            finally:
                shutil.rmtree(self._folder)

    def _send_image(self, frame: ReplayFrame, header: Any) -> None:
        bag, source = self._bag, frame.source
        topic = self._image_topic
        if source is None:
            bag.send(topic, IMAGE, frame.stamp_ns, bag.image(frame.image, 'rgb8', header))
        elif hasattr(source, 'format'):
            message = bag.types[COMPRESSED](header=header, format=source.format, data=source.data)
            bag.send(topic, COMPRESSED, frame.stamp_ns, message)
        else:  # rebuilt, since the header of ROS 1 has one field more
            message = bag.types[IMAGE](
                header=header,
                **{
                    name: getattr(source, name)
                    for name in ('height', 'width', 'encoding', 'is_bigendian', 'step', 'data')
                },
            )
            bag.send(topic, IMAGE, frame.stamp_ns, message)
        info = frame.camera_info
        if info is not None:
            self._send_info(info, frame.stamp_ns, header)

    def _send_info(self, info: Any, stamp_ns: int, header: Any) -> None:
        bag = self._bag
        base = self._image_topic
        base = base[: -len('/compressed')] if base.endswith('/compressed') else base
        roi = bag.types['sensor_msgs/msg/RegionOfInterest'](
            **{
                name: getattr(info.roi, name)
                for name in ('x_offset', 'y_offset', 'height', 'width', 'do_rectify')
            }
        )
        # ROS 1 has the matrices in capitals.
        matrices = {n: getattr(info, n, None) for n in 'dkrp'}
        matrices = {n: getattr(info, n.upper()) if v is None else v for n, v in matrices.items()}
        message = bag.types[CAMERA_INFO](
            header=header,
            height=info.height,
            width=info.width,
            distortion_model=info.distortion_model,
            **matrices,
            binning_x=info.binning_x,
            binning_y=info.binning_y,
            roi=roi,
        )
        bag.send(base.rsplit('/', 1)[0] + '/camera_info', CAMERA_INFO, stamp_ns, message)

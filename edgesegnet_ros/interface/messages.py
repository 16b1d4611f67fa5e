"""vision_msgs/LabelInfo and edgesegnet_ros/ClassMask, built in one place.

The node publishes rclpy's message classes and a result bag holds rosbags', so the classes come as
an argument: a mapping from names such as 'vision_msgs/msg/LabelInfo'.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Tuple

import cv2
import numpy as np

from edgesegnet_ros.data.classes import ClassSet

LABEL_INFO, VISION_CLASS = 'vision_msgs/msg/LabelInfo', 'vision_msgs/msg/VisionClass'
CLASS_MASK, CLASS_MASKS = 'edgesegnet_ros/msg/ClassMask', 'edgesegnet_ros/msg/ClassMasks'
REGION = 'sensor_msgs/msg/RegionOfInterest'
Types = Mapping[str, Callable[..., Any]]


def label_info(types: Types, header: Any, classes: ClassSet, threshold: float) -> Any:
    """The class names by id, without the ids that the class file ignores.

    Args:
        types: Message classes by name.
        header: Header of the message.
        classes: Names and ids.
        threshold: Confidence (0-1) below which pixels are unlabelled.
    """
    names = [
        types[VISION_CLASS](class_id=entry.id, class_name=entry.name)
        for entry in classes.classes
        if entry.id not in classes.ignored
    ]
    return types[LABEL_INFO](header=header, class_map=names, threshold=float(threshold))


def class_mask(types: Types, name: str, ids: Tuple[int, ...], mask: np.ndarray, image: Any) -> Any:
    """One group's mask with its coverage and bounding box.

    Args:
        types: Message classes by name.
        name: Name of the group.
        ids: Class ids of the group.
        mask: (H, W) uint8, 255 inside the group and 0 elsewhere.
        image: The same mask as sensor_msgs/Image.
    """
    x, y, width, height = bounding_box(mask)
    return types[CLASS_MASK](
        name=name,
        class_ids=np.array(ids, np.uint8),
        coverage=float(cv2.countNonZero(mask)) / mask.size,
        bounding_box=types[REGION](
            x_offset=x, y_offset=y, height=height, width=width, do_rectify=False
        ),
        mask=image,
    )


def bounding_box(mask: np.ndarray) -> Tuple[int, int, int, int]:
    """x, y, width and height of what is not zero in (H, W) uint8; zeros when nothing is."""
    x, y, width, height = cv2.boundingRect(mask)
    return x, y, width, height

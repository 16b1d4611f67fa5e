"""The outputs of the node; each is only published if it has a subscriber."""

from __future__ import annotations

import threading
from typing import Dict, List, NamedTuple, Optional

import cv2
import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo, VisionClass

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.masks import Group, group_mask
from edgesegnet_ros.data.overlay import colorize, overlay
from edgesegnet_ros.interface import messages
from edgesegnet_ros.msg import ClassMask, ClassMasks
from edgesegnet_ros.node import qos
from edgesegnet_ros.node.images import to_message

_TYPES = {
    'mask': Image,
    'confidence': Image,
    'overlay': Image,
    'color': Image,
    'class_masks': ClassMasks,
    'camera_info': CameraInfo,
}
_GROUP = 'masks/'
_CLASSES: messages.Types = {
    messages.LABEL_INFO: LabelInfo,
    messages.VISION_CLASS: VisionClass,
    messages.CLASS_MASK: ClassMask,
    messages.REGION: RegionOfInterest,
}


def _reliable(durability: DurabilityPolicy) -> QoSProfile:
    """Reliable with depth 1; a new one, as rclpy writes overrides of a topic into it."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=durability)


class SegmentedFrame(NamedTuple):
    """The result of one frame, at the resolution of the outputs.

    Attributes:
        header: Header of the input, unchanged.
        labels: (H, W) uint8 class ids.
        confidence: (H, W) uint8 or None if it is not needed.
        image: (H, W, 3) uint8 RGB or None if it is not needed.
        camera_info: CameraInfo that matches `labels`, or None if the camera sends none.
    """

    header: Header
    labels: np.ndarray
    confidence: Optional[np.ndarray]
    image: Optional[np.ndarray]
    camera_info: Optional[CameraInfo]


class Plan(NamedTuple):
    """The outputs of one frame; groups that change meanwhile apply to the next frame.

    Attributes:
        names: Outputs that have a subscriber.
        groups: All groups by name.
    """

    names: List[str]
    groups: Dict[str, Group]

    @property
    def confidence(self) -> bool:
        """Whether the confidence of each pixel is needed."""
        return 'confidence' in self.names or any(
            group.min_confidence > 0.0
            for name, group in self.groups.items()
            if 'class_masks' in self.names or _GROUP + name in self.names
        )


class Outputs:
    """The publishers of results.

    Args:
        node: Owns the publishers.
        classes: Class set with the colours.
        groups: Groups by name; each gets a topic.
    """

    def __init__(self, node: LifecycleNode, classes: ClassSet, groups: Dict[str, Group]) -> None:
        self._node = node
        self._classes = classes
        self._rgb = classes.palette
        self._bgr = np.ascontiguousarray(self._rgb[:, ::-1])
        # The default group of the node would keep references to all entities it ever held.
        self._callbacks = MutuallyExclusiveCallbackGroup()
        self._publishers = {name: self._create(type_, name) for name, type_ in _TYPES.items()}
        self._groups: Dict[str, Group] = {}
        # Groups change in the executor's thread while frames are published in another.
        self._lock = threading.Lock()
        self.set_groups(groups)
        self._label_info = node.create_publisher(
            LabelInfo,
            'segmentation/label_info',
            _reliable(DurabilityPolicy.TRANSIENT_LOCAL),
            qos_overriding_options=qos.overridable(),
            callback_group=self._callbacks,
        )

    def _create(self, type_: type, name: str):  # noqa: ANN202 - a lifecycle publisher
        topic = f'segmentation/{name}'
        resolved = self._node.resolve_topic_name(topic)
        return self._node.create_lifecycle_publisher(
            type_,
            topic,
            _reliable(DurabilityPolicy.VOLATILE),
            event_callbacks=qos.publisher_events(resolved, self._node.get_logger().warning),
            qos_overriding_options=qos.overridable(),
            callback_group=self._callbacks,
        )

    def set_groups(self, groups: Dict[str, Group]) -> None:
        """Create a publisher for each new group, and destroy those of removed groups."""
        with self._lock:
            for gone in set(self._groups) - set(groups):
                self._node.destroy_lifecycle_publisher(self._publishers.pop(_GROUP + gone))
            for new in [name for name in groups if name not in self._groups]:
                publisher = self._create(Image, _GROUP + new)
                if self._publishers['mask'].is_activated:
                    publisher.on_activate(None)
                self._publishers[_GROUP + new] = publisher
            self._groups = dict(groups)

    def publish_label_info(self, threshold: float) -> None:
        """Publish the class names as a latched message."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._label_info.publish(messages.label_info(_CLASSES, header, self._classes, threshold))

    def wanted(self) -> List[str]:
        """Outputs that have a subscriber."""
        return self.plan().names

    def plan(self) -> Plan:
        """Outputs to publish for the next frame."""
        with self._lock:
            names = [
                name
                for name, publisher in self._publishers.items()
                if publisher.get_subscription_count() > 0
            ]
            return Plan(names, self._groups)

    def publish(self, frame: SegmentedFrame, plan: Plan) -> None:
        """Publish the outputs of the plan, the mask first."""
        with self._lock:
            self._publish(frame, plan)

    def _publish(self, frame: SegmentedFrame, plan: Plan) -> None:
        wanted = plan.names
        if 'mask' in wanted:
            self._send('mask', to_message(frame.labels, 'mono8', frame.header))
        if 'confidence' in wanted and frame.confidence is not None:
            self._send('confidence', to_message(frame.confidence, 'mono8', frame.header))
        if 'camera_info' in wanted and frame.camera_info is not None:
            self._send('camera_info', frame.camera_info)
        self._publish_groups(frame, plan)
        if 'color' in wanted:
            colors = colorize(frame.labels, self._rgb)
            self._send('color', to_message(colors, 'rgb8', frame.header))
        if 'overlay' in wanted and frame.image is not None:
            alpha = self._node.get_parameter('overlay_alpha').value
            image = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
            image = overlay(image, frame.labels, self._bgr, alpha)
            self._send('overlay', to_message(image, 'bgr8', frame.header))

    def _publish_groups(self, frame: SegmentedFrame, plan: Plan) -> None:
        wanted = plan.names
        together = ClassMasks(header=frame.header) if 'class_masks' in wanted else None
        for name, group in plan.groups.items():
            if together is None and _GROUP + name not in wanted:
                continue
            mask = group_mask(frame.labels, group, frame.confidence)
            message = to_message(mask, 'mono8', frame.header)
            if _GROUP + name in wanted:
                self._send(_GROUP + name, message)
            if together is not None:
                together.masks.append(
                    messages.class_mask(_CLASSES, name, group.ids, mask, message)
                )
        if together is not None:
            self._send('class_masks', together)

    def _send(self, name: str, message: object) -> None:
        publisher = self._publishers.get(name)
        if publisher is not None:
            publisher.publish(message)

    def destroy(self) -> None:
        """Destroy all publishers."""
        with self._lock:
            publishers, self._publishers = self._publishers, {}
            for publisher in publishers.values():
                self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_publisher(self._label_info)

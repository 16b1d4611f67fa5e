"""Subscriptions to a camera: its images and its camera_info."""

from __future__ import annotations

from typing import Callable, Optional, Set, Tuple, Type, Union

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from edgesegnet_ros.data.jpeg import missing_checker
from edgesegnet_ros.node import qos
from edgesegnet_ros.node.camera_info import sibling

_COMPRESSED = '/compressed'
CameraMessage = Union[Image, CompressedImage]


class Camera:
    """The node's subscriptions to `image` and `camera_info`, between open and close.

    Attributes:
        topic: Resolved name of the image topic; it ends in `/compressed` if the parameter
            image_transport is `compressed`.
        info: The newest camera_info since open, if any.

    Args:
        node: The node with the topics and parameters.
        on_image: Callback for images, called in the executor's thread.
    """

    def __init__(self, node: LifecycleNode, on_image: Callable[[CameraMessage], None]) -> None:
        self._node, self._on_image = node, on_image
        self._images: Optional[Subscription] = None
        self._infos: Optional[Subscription] = None
        self._size: Optional[Tuple[int, int]] = None
        self.topic = node.resolve_topic_name('image')
        self._type: Type[CameraMessage] = Image
        self.info: Optional[CameraInfo] = None

    def open(self) -> None:
        """Subscribe; camera_info is in the namespace of the image topic unless it is remapped."""
        node = self._node
        resolved = node.resolve_topic_name('image')
        compressed = node.get_parameter('image_transport').value == 'compressed'
        self._type = CompressedImage if compressed else Image
        if compressed and node.get_parameter('refuse_damaged_jpeg').value and missing_checker():
            node.get_logger().warning(missing_checker())
        # `image` names the camera's raw topic, but may name the compressed one itself.
        base = resolved[: -len(_COMPRESSED)] if resolved.endswith(_COMPRESSED) else resolved
        self.topic = base + _COMPRESSED if compressed else resolved
        info_topic = node.resolve_topic_name('camera_info')
        if info_topic == node.resolve_topic_name('camera_info', only_expand=True):
            info_topic = sibling(base)
        # The default group of the node would keep references to all entities it ever held.
        callbacks = MutuallyExclusiveCallbackGroup()
        self._images = node.create_subscription(
            self._type,
            self.topic,
            self._on_image,
            _best_effort(),
            event_callbacks=qos.subscription_events(self.topic, node.get_logger().warning),
            qos_overriding_options=qos.overridable(),
            callback_group=callbacks,
        )
        self._infos = node.create_subscription(
            CameraInfo,
            info_topic,
            self._on_info,
            _best_effort(),
            qos_overriding_options=qos.overridable(),
            callback_group=callbacks,
        )

    def close(self) -> None:
        """Unsubscribe and forget the camera_info; closing twice is harmless."""
        for subscription in filter(None, (self._images, self._infos)):
            self._node.destroy_subscription(subscription)
        self._images = self._infos = self.info = None

    def size_change(self, image: CameraMessage) -> Optional[str]:
        """A sentence if the size differs from the last image; None for compressed images."""
        if isinstance(image, CompressedImage):
            return None
        old, self._size = self._size, (image.width, image.height)
        if old in (None, self._size):
            return None
        return 'images changed from {}x{} to {}x{}'.format(*old, *self._size)

    def publishers(self) -> int:
        """Number of publishers of images, whether or not their QoS matches."""
        return int(self._node.count_publishers(self.topic))

    def matched_publishers(self) -> Optional[int]:
        """Number of publishers with a matching QoS; None while closed or if unknown."""
        count = getattr(self._images, 'get_publisher_count', None)
        return count() if count is not None else None

    def mismatch(self) -> str:
        """A sentence with the remedy if the type of the topic is wrong; empty otherwise."""
        if self._images is None:
            return ''
        wanted = _type_name(self._type)
        there = self._types_on(self.topic)
        if there and wanted not in there:
            said = f'{self.topic} is published as {", ".join(sorted(there))}, not {wanted}'
            if self._type is Image and _type_name(CompressedImage) in there:
                return said + ': set the parameter image_transport to compressed'
            if self._type is CompressedImage and _type_name(Image) in there:
                return said + ': set the parameter image_transport to raw'
            return said + ': remap image to a camera (image:=TOPIC)'
        base = self.topic[: -len(_COMPRESSED)]
        if self._type is CompressedImage and not there and self._types_on(base):
            return (
                f'nobody publishes it, but {base} is published: set the parameter image_transport '
                'to raw'
            )
        return ''

    def _types_on(self, topic: str) -> Set[str]:
        return {info.topic_type for info in self._node.get_publishers_info_by_topic(topic)}

    def _on_info(self, message: CameraInfo) -> None:
        self.info = message


def _best_effort() -> QoSProfile:
    """A QoS that matches every offer; a new one, as rclpy writes overrides of a topic into it."""
    return QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )


def _type_name(kind: Type[CameraMessage]) -> str:
    """The full type name, such as sensor_msgs/msg/Image."""
    return f'sensor_msgs/msg/{kind.__name__}'

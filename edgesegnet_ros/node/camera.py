"""The camera's topics: its images, and the intrinsics beside them."""

from __future__ import annotations

from typing import Callable, Optional, Tuple, Union

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from edgesegnet_ros.node import qos
from edgesegnet_ros.node.camera_info import sibling

INPUT_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.BEST_EFFORT, durability=DurabilityPolicy.VOLATILE
)
"""Best effort and volatile match every offer."""
CameraMessage = Union[Image, CompressedImage]


class Camera:
    """Topics `image` and `camera_info` of a node, subscribed to between open and close.

    Attributes:
        topic: Of the images, resolved; with `/compressed` where the parameter image_transport
            says so.
        info: The newest camera_info since it was opened, if any.

    Args:
        node: Whose topics and parameters they are.
        on_image: Called in the executor's thread.
    """

    def __init__(self, node: LifecycleNode, on_image: Callable[[CameraMessage], None]) -> None:
        self._node, self._on_image = node, on_image
        self._images: Optional[Subscription] = None
        self._infos: Optional[Subscription] = None
        self._size: Optional[Tuple[int, int]] = None
        self.topic = node.resolve_topic_name('image')
        self.info: Optional[CameraInfo] = None

    def open(self) -> None:
        """Subscribe; camera_info is the image topic's sibling unless it is remapped."""
        node = self._node
        resolved = node.resolve_topic_name('image')
        compressed = node.get_parameter('image_transport').value == 'compressed'
        self.topic = resolved + '/compressed' if compressed else resolved
        info_topic = node.resolve_topic_name('camera_info')
        if info_topic == node.resolve_topic_name('camera_info', only_expand=True):
            info_topic = sibling(resolved)
        self._images = node.create_subscription(
            CompressedImage if compressed else Image,
            self.topic,
            self._on_image,
            INPUT_QOS,
            event_callbacks=qos.subscription_events(self.topic, node.get_logger().warning),
            qos_overriding_options=qos.overridable(),
        )
        self._infos = node.create_subscription(
            CameraInfo,
            info_topic,
            self._on_info,
            INPUT_QOS,
            qos_overriding_options=qos.overridable(),
        )

    def close(self) -> None:
        """Unsubscribe and forget the intrinsics; closing twice is harmless."""
        for subscription in filter(None, (self._images, self._infos)):
            self._node.destroy_subscription(subscription)
        self._images = self._infos = self.info = None

    def size_change(self, image: CameraMessage) -> Optional[str]:
        """A sentence where an image's size is not the last one's; compressed ones tell none."""
        if isinstance(image, CompressedImage):
            return None
        old, self._size = self._size, (image.width, image.height)
        if old in (None, self._size):
            return None
        return 'images changed from {}x{} to {}x{}'.format(*old, *self._size)

    def publishers(self) -> int:
        """How many publish images, whether or not their QoS matches."""
        return int(self._node.count_publishers(self.topic))

    def matched_publishers(self) -> Optional[int]:
        """How many publish images that can arrive; None where closed or rclpy cannot tell."""
        count = getattr(self._images, 'get_publisher_count', None)
        return count() if count is not None else None

    def _on_info(self, message: CameraInfo) -> None:
        self.info = message

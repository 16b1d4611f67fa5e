"""Logs the input and output of running segmentation nodes to a Rerun recording.

Nodes are found by their reports on /diagnostics, which also name their image topics. Each node is
one camera of the recording, named by its namespace. An image is logged when the mask with the same
stamp has come, so that both belong together. Events are written to standard output, one line of
JSON each: `message`, a sentence for people, and `frames`, the number of masks so far.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, OrderedDict

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo

from edgesegnet_ros.data.classes import ClassSet, load_classes
from edgesegnet_ros.data.encodings import (
    ImageMessageError,
    compressed_to_rgb,
    to_labels,
    to_rgb,
)
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.interface import diagnostic_keys as keys
from edgesegnet_ros.msg import ClassMasks
from edgesegnet_ros.node.ending import shut_down
from edgesegnet_ros.node.signals import interrupt_once
from edgesegnet_ros.view.camera_log import CameraLog, close, layout, open_recording

LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
NEWEST = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
WAITING_IMAGES = 30
"""Number of images that may wait for their mask; the node uses the newest, so few suffice."""
NO_NODE_S = 5.0
"""Time without a report of a node after which a message is printed."""


def say(**event: object) -> None:
    """Send an event to the command that started this process."""
    print(json.dumps(event), flush=True)


class CameraFeed:
    """The subscriptions of one segmentation node.

    Args:
        node: Owns the subscriptions, counts the frames and arranges the panels.
        name: Fully qualified name of the segmentation node.
        image_topic: Image topic of the segmentation node, as it reports it.
        log: Receives the frames.
        classes: Class set with the colours.

    Attributes:
        groups: Names of the groups that have a mask; empty before the first mask.
    """

    def __init__(
        self,
        node: ViewFeed,
        name: str,
        image_topic: str,
        log: CameraLog,
        classes: ClassSet,
    ) -> None:
        self._feed = node
        self._log = log
        self._colors = {entry.name: entry.color for entry in classes.classes}
        self._images: OrderedDict[int, Any] = collections.OrderedDict()
        self.groups: List[str] = []
        self._engine = ''
        self._complained = False
        namespace = name.rpartition('/')[0]
        compressed = image_topic.endswith('/compressed')
        self._to_rgb = compressed_to_rgb if compressed else to_rgb
        for type_, topic, callback, qos in (
            (CompressedImage if compressed else Image, image_topic, self._on_image, None),
            (Image, f'{namespace}/segmentation/mask', self._on_mask, NEWEST),
            (Image, f'{namespace}/segmentation/confidence', self._on_confidence, NEWEST),
            (ClassMasks, f'{namespace}/segmentation/class_masks', self._on_masks, NEWEST),
            (LabelInfo, f'{namespace}/segmentation/label_info', self._on_info, LATCHED),
        ):
            node.create_subscription(type_, topic, callback, qos or qos_profile_sensor_data)

    def _on_image(self, message: Any) -> None:
        self._images[stamp_ns(message.header)] = message
        while len(self._images) > WAITING_IMAGES:
            self._images.popitem(last=False)

    def _on_mask(self, message: Image) -> None:
        stamp = stamp_ns(message.header)
        image = self._images.pop(stamp, None)
        for older in [number for number in self._images if number < stamp]:
            del self._images[older]
        self._log.frame(stamp, self._image(image), labels=to_labels(message))
        self._feed.count_frame()

    def _image(self, message: Any) -> Optional[np.ndarray]:
        if message is None:
            return None
        try:
            return self._to_rgb(message)
        except ImageMessageError as error:
            if not self._complained:
                self._complained = True
                say(message=f'{self._log.camera}: the image cannot be shown: {error}')
            return None

    def _on_confidence(self, message: Image) -> None:
        self._log.frame(stamp_ns(message.header), confidence=to_labels(message))

    def _on_masks(self, message: ClassMasks) -> None:
        masks = {group.name: to_labels(group.mask) for group in message.masks}
        self._log.frame(stamp_ns(message.header), masks=masks)
        if list(masks) != self.groups:
            self.groups = list(masks)
            self._feed.lay_out()

    def _on_info(self, message: LabelInfo) -> None:
        names = {entry.class_id: entry.class_name for entry in message.class_map}
        colors = {
            number: self._colors[name] for number, name in names.items() if name in self._colors
        }
        self._log.name_classes(names, colors)

    def report(self, header: Header, values: Dict[str, str]) -> None:
        """Log a status of the node."""
        times = keys.stage_times_ms(values, keys.LATENCY) or {}
        frames = {what: keys.count(values, what) for what in ('in', 'out', *keys.DROPS)}
        self._log.figures(stamp_ns(header), times, frames)
        engine = ' '.join(
            values.get(key, '') for key in (keys.ENGINE, keys.ENGINE_VERSION, keys.PRECISION)
        )
        text = f'{engine}\n\n{values.get(keys.ENGINE_REASON, "")}'
        if text != self._engine:
            self._engine = text
            self._log.engine(text)


class ViewFeed(Node):
    """Finds the segmentation nodes and logs them to the recording.

    Args:
        recording: The Rerun recording.
        classes: Class set with the colours.
        only: Fully qualified names of the nodes to show; empty for all.
        jpeg: Whether images are stored as JPEG.
        **kwargs: Arguments of rclpy.node.Node.

    Attributes:
        frames: Number of masks so far.
    """

    def __init__(
        self, recording: Any, classes: ClassSet, only: List[str], jpeg: bool, **kwargs: object
    ) -> None:
        super().__init__('view_feed', **kwargs)
        self._recording = recording
        self._classes = classes
        self._only = only
        self._jpeg = jpeg
        self._feeds: Dict[str, CameraFeed] = {}
        self.frames = 0
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, NEWEST)

    @property
    def cameras(self) -> List[str]:
        """Names of the nodes that are shown."""
        return list(self._feeds)

    def count_frame(self) -> None:
        """Count a mask that was logged."""
        self.frames += 1

    def lay_out(self) -> None:
        """Send the layout of the panels to the viewer, with cameras sorted by name."""
        feeds = {camera_of(name): feed for name, feed in sorted(self._feeds.items())}
        groups = {camera: feed.groups for camera, feed in feeds.items()}
        self._recording.send_blueprint(layout(list(feeds), groups))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if not status.name.endswith(keys.STATUS_SUFFIX):
                continue
            name = '/' + status.name[: -len(keys.STATUS_SUFFIX)]
            if self._only and name not in self._only:
                continue
            values = {pair.key: pair.value for pair in status.values}
            if name not in self._feeds:
                log = CameraLog(self._recording, camera_of(name), self._classes, self._jpeg)
                topic = values.get(keys.IMAGE_TOPIC, '')
                self._feeds[name] = CameraFeed(self, name, topic, log, self._classes)
                self.lay_out()
                say(message=f'showing {name}, which segments {topic}')
            self._feeds[name].report(message.header, values)


def camera_of(name: str) -> str:
    """Name of a segmentation node's camera: its namespace, or the node's name without one."""
    namespace, _, own = name.strip('/').rpartition('/')
    return namespace or own


def stamp_ns(header: Header) -> int:
    """A header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def parse(arguments: List[str]) -> argparse.Namespace:
    """Parse the command line without its ROS arguments."""
    parser = argparse.ArgumentParser(
        prog='view_feed', description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--classes', required=True, help='class file: name or path')
    parser.add_argument(
        '--node', action='append', default=[], help='show only this node; may be repeated'
    )
    parser.add_argument('--frames', type=int, help='end after this many masks')
    parser.add_argument('--lossless', action='store_true', help='do not compress images to JPEG')
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument('--save', type=Path, help='file of the recording')
    where.add_argument('--connect', help='URL of a viewer')
    return parser.parse_args(arguments)


def main() -> int:
    """Log frames until a signal or the last frame; returns 0, or 2 for a usage error."""
    args = parse(remove_ros_args(sys.argv)[1:])
    only = [name if name.startswith('/') else '/' + name for name in args.node]
    recording = feed = None
    try:
        interrupt_once()
        recording = open_recording(args.save, args.connect)
        classes = load_classes(args.classes)
        rclpy.init()
        feed = ViewFeed(recording, classes, only, not args.lossless)
        warn_at: Optional[float] = time.monotonic() + NO_NODE_S
        said = 0
        while args.frames is None or feed.frames < args.frames:
            rclpy.spin_once(feed, timeout_sec=0.2)
            if warn_at and feed.cameras:
                warn_at = None
            if warn_at and time.monotonic() > warn_at:
                warn_at = None
                which = f'none of {", ".join(only)}' if only else 'no segmentation node'
                say(
                    message=f'{which} reports on /diagnostics in ROS_DOMAIN_ID='
                    f'{os.environ.get("ROS_DOMAIN_ID", "0")} so far; still waiting'
                )
            if feed.frames != said:
                said = feed.frames
                say(frames=said)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except EdgeSegNetError as error:
        print(f'view_feed: {error}', file=sys.stderr)
        return 2
    finally:
        if recording is not None:
            close(recording)
        shut_down()
    if feed is not None:
        say(frames=feed.frames)
    return 0


if __name__ == '__main__':
    sys.exit(main())

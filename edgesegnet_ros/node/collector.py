"""Collects the outputs of a segmentation node, matches them by stamp, and scores them.

Subscribes to the node's mask, overlay, class masks and label info, to the images and ground truth
that it received, and to /diagnostics. When all messages of one stamp have arrived, their header is
published on `collected`, for which a player in lock step waits. On SIGINT or SIGTERM it writes its
figures and the images of the best frame, and ends.
"""

from __future__ import annotations

import argparse
import collections
import signal
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, OrderedDict, Set

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo

from edgesegnet_ros.arguments import add_classes
from edgesegnet_ros.atomic_file import atomic_file, write_json
from edgesegnet_ros.data.classes import VOID, ClassSet, load_classes
from edgesegnet_ros.data.encodings import to_rgb
from edgesegnet_ros.data.geometry import compute_placement, to_source
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.interface import diagnostic_keys as keys
from edgesegnet_ros.msg import ClassMasks
from edgesegnet_ros.node.ending import shut_down

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
PENDING = 32
"""Number of stamps that may be incomplete at a time; beyond that, the oldest is dropped."""
NOTICEABLE = 0.001
"""Smallest share of the pixels for which a class counts as visible in an image."""
LAST_DIAGNOSTICS_S = 3.0
SETTLING_S = 15.0
"""Time that the node has at the end of a recording to finish its current frame."""


class MaskRecording:
    """Writes every mask to a ZIP of images, and its time of arrival to a CSV file.

    Args:
        folder: Folder for masks.zip and arrivals.csv (stamp in ns, seconds of the steady clock),
            and for confidence.zip.
        confidence: Whether the confidence is written as well.

    Attributes:
        parts: Outputs that are written.
    """

    def __init__(self, folder: Path, confidence: bool = False) -> None:
        # The format of the replay, so that live and offline results can be compared.
        from edgesegnet_ros.evaluation.replay.label_maps import LabelMapWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._writers = {'mask': LabelMapWriter(folder / 'masks.zip')}
        if confidence:
            self._writers['confidence'] = LabelMapWriter(folder / 'confidence.zip')
        self._arrivals = (folder / 'arrivals.csv').open('w')
        self._counts: Dict[str, int] = collections.Counter()

    @property
    def parts(self) -> Set[str]:
        """See class."""
        return set(self._writers)

    def add(self, part: str, stamp_ns: int, arrived_s: float, plane: np.ndarray) -> None:
        """Write one output of a frame, (H, W) uint8."""
        self._writers[part].add(self._counts[part], stamp_ns, plane)
        self._counts[part] += 1
        if part == 'mask':
            self._arrivals.write(f'{stamp_ns},{arrived_s:.6f}\n')

    def close(self) -> None:
        """Finish both files."""
        self._arrivals.close()
        for writer in self._writers.values():
            writer.close(True)


class OverlayFrames:
    """Writes every image and the node's overlay as numbered PNG files.

    Args:
        folder: Folder for the files; it is created.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._count = 0

    def add(self, image: np.ndarray, overlay: np.ndarray) -> None:
        """Write one frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            overlay: (h, w, 3) uint8 RGB; it is resized to the size of the image.
        """
        if overlay.shape != image.shape:
            overlay = cv2.resize(overlay, (image.shape[1], image.shape[0]))
        both = np.concatenate([image, overlay], axis=1)
        path = self._folder / f'{self._count:06d}.png'
        cv2.imwrite(str(path), cv2.cvtColor(both, cv2.COLOR_RGB2BGR))
        self._count += 1


class Collector(Node):
    """Subscriptions, counts and scores.

    Args:
        classes: The classes of the labels.
        expect_labels: Whether ground truth comes with every image.
        recording: Receives every mask. Nothing else is subscribed to then, so that the node works
            as on a robot. None to match and score outputs.
        frames: Receives every image and overlay; None keeps those of the best frame only.
        **kwargs: Arguments of rclpy.node.Node.

    Attributes:
        frames_out: Number of masks received, each stamp counted once.
        frames_scored: Number of masks compared with ground truth.
        label_info: Class id -> name, as the node published it; None before.
        diagnostics: Level, message and values of the node's last status; None before the first.
    """

    def __init__(
        self,
        classes: ClassSet,
        expect_labels: bool,
        recording: Optional[MaskRecording] = None,
        frames: Optional[OverlayFrames] = None,
        **kwargs: object,
    ) -> None:
        super().__init__('collector', **kwargs)
        self._recording = recording
        self._frames = frames
        self._parts: Set[str] = (
            recording.parts if recording else {'image', 'mask', 'overlay', 'class_masks'}
        )
        self.scores = None
        if expect_labels:
            # This imports torch, which is only needed if there is something to score.
            from edgesegnet_ros.evaluation.accuracy import Scores

            self._parts.add('labels')
            self.scores = Scores.empty(len(classes.classes))
        self.frames_out = 0
        self.label_info: Optional[Dict[int, str]] = None
        self.diagnostics: Optional[Dict[str, object]] = None
        self._pending: OrderedDict[int, Dict[str, Any]] = collections.OrderedDict()
        self._done = -1
        self._best: Dict[str, Any] = {}
        self._best_worth = -1
        self._first_s = self._last_s = 0.0
        self._collected = self.create_publisher(Header, 'collected', RELIABLE)
        for part, type_, topic in (
            ('image', Image, 'image'),
            ('labels', Image, 'labels'),
            ('mask', Image, 'segmentation/mask'),
            ('confidence', Image, 'segmentation/confidence'),
            ('overlay', Image, 'segmentation/overlay'),
            ('class_masks', ClassMasks, 'segmentation/class_masks'),
        ):
            if part in self._parts:
                self.create_subscription(
                    type_, topic, lambda message, part=part: self._on_part(part, message), RELIABLE
                )
        self.create_subscription(LabelInfo, 'segmentation/label_info', self._on_info, LATCHED)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, RELIABLE)

    @property
    def settled(self) -> bool:
        """Whether the node has reported on every image that it received."""
        values = (self.diagnostics or {}).get('values', {})
        assert isinstance(values, dict)
        done = sum(keys.count(values, what) for what in ('out', *keys.DROPS))
        return bool(values) and done >= keys.count(values, 'in')

    @property
    def frames_scored(self) -> int:
        """See class."""
        return 0 if self.scores is None else self.scores.images

    def _on_part(self, part: str, message: Any) -> None:
        arrived_s = time.monotonic()
        header: Header = message.header
        stamp_ns = header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
        if stamp_ns <= self._done:
            # The frame was published again although it had arrived: the answer was late.
            if part == 'mask':
                self._collected.publish(header)
            return
        frame = self._pending.setdefault(stamp_ns, {})
        if part == 'mask' and 'mask' not in frame:
            self.frames_out += 1
            self._last_s = time.monotonic()
            self._first_s = self._first_s or self._last_s
        if self._recording is not None and part not in frame:
            self._recording.add(part, stamp_ns, arrived_s, _plane(message))
        frame[part] = message
        if self._parts <= set(frame):
            self._complete(stamp_ns, frame)
            self._collected.publish(header)
        while len(self._pending) > PENDING:
            self._pending.popitem(last=False)

    def _complete(self, stamp_ns: int, frame: Dict[str, Any]) -> None:
        # Outputs arrive in the order of their inputs, so older stamps will not be completed.
        for older in [stamp for stamp in self._pending if stamp <= stamp_ns]:
            del self._pending[older]
        self._done = stamp_ns
        labels = mask = _plane(frame['mask'])
        if self._recording is not None:
            return
        if self._frames is not None:
            self._frames.add(to_rgb(frame['image']), to_rgb(frame['overlay']))
        if 'labels' in frame:
            labels = _plane(frame['labels'])
            if self.scores is not None and (labels != VOID).any():
                placement = compute_placement(labels.shape, mask.shape, 'stretch')
                self.scores.add(to_source(mask, placement), labels)
        shares = np.bincount(labels.ravel(), minlength=256)[:VOID] / labels.size
        worth = int((shares > NOTICEABLE).sum())
        if worth > self._best_worth:
            self._best, self._best_worth = frame, worth

    def _on_info(self, message: LabelInfo) -> None:
        self.label_info = {entry.class_id: entry.class_name for entry in message.class_map}

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if 'edgesegnet' in status.name and status.name.endswith(keys.STATUS_SUFFIX):
                level = status.level
                self.diagnostics = {
                    'level': level[0] if isinstance(level, bytes) else int(level),
                    'message': status.message,
                    'values': {pair.key: pair.value for pair in status.values},
                }

    def figures(self) -> Dict[str, object]:
        """All counts and scores, for JSON; shares are 0-1, and null without labels."""
        scores = self.scores if self.frames_scored else None
        duration_s = self._last_s - self._first_s
        names = self.label_info or {}
        return {
            'frames_out': self.frames_out,
            'frames_scored': self.frames_scored,
            'rate_hz': (self.frames_out - 1) / duration_s if duration_s > 0 else None,
            'pixel_accuracy': None if scores is None else scores.pixel_accuracy,
            'miou': None if scores is None else scores.miou,
            'iou': None
            if scores is None
            else {
                names.get(number, str(number)): None if np.isnan(value) else float(value)
                for number, value in enumerate(scores.iou)
            },
            'label_info': {str(number): name for number, name in names.items()},
            'diagnostics': self.diagnostics,
        }

    def pictures(self) -> Dict[str, np.ndarray]:
        """Of the frame with the most classes: image, labels, mask, overlay, group_<name>."""
        if not self._best:
            return {}
        found = {
            'image': to_rgb(self._best['image']),
            'mask': _plane(self._best['mask']),
            'overlay': to_rgb(self._best['overlay']),
        }
        if 'labels' in self._best:
            found['labels'] = _plane(self._best['labels'])
        for group in self._best['class_masks'].masks:
            found['group_' + group.name] = _plane(group.mask)
        return found


def _plane(message: Image) -> np.ndarray:
    data = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    return data[:, : message.width]


def write(folder: Path, collector: Collector) -> None:
    """Write collected.json and pictures.npz atomically."""
    pictures: Dict[str, Any] = collector.pictures()
    with atomic_file(folder / 'pictures.npz') as partial:
        np.savez(str(partial), **pictures)
    write_json(folder / 'collected.json', collector.figures())


def parse(arguments: List[str]) -> argparse.Namespace:
    """Parse the command line without its ROS arguments."""
    parser = argparse.ArgumentParser(
        prog='collector', description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='folder to write to')
    add_classes(parser)
    parser.add_argument(
        '--record',
        action='store_true',
        help='keep every mask and its time of arrival; subscribe to nothing else',
    )
    parser.add_argument(
        '--record-confidence',
        action='store_true',
        help='with --record: keep the confidence of every mask as well',
    )
    parser.add_argument('--frames', type=Path, help='folder for every image and its overlay')
    parser.add_argument(
        '--labels',
        action='store_true',
        help='subscribe to ground truth, and score the masks against it',
    )
    return parser.parse_args(arguments)


def main() -> int:
    """Collect until a signal; returns 0, or 2 for a class file that cannot be used."""
    args = parse(remove_ros_args(sys.argv)[1:])
    # Not rclpy's handlers: they would shut the context down before the last diagnostics arrive.
    ended: List[float] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.append(time.monotonic()))
    try:
        classes = load_classes(args.classes)
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        recording = MaskRecording(args.out, args.record_confidence) if args.record else None
        frames = OverlayFrames(args.frames) if args.frames else None
        collector = Collector(classes, args.labels, recording, frames)
        while not ended:
            rclpy.spin_once(collector, timeout_sec=0.1)
        collector.diagnostics, before = None, collector.diagnostics
        while collector.diagnostics is None and time.monotonic() < ended[0] + LAST_DIAGNOSTICS_S:
            rclpy.spin_once(collector, timeout_sec=0.1)
        while recording and not collector.settled and time.monotonic() < ended[0] + SETTLING_S:
            rclpy.spin_once(collector, timeout_sec=0.1)
        collector.diagnostics = collector.diagnostics or before
        if recording:
            recording.close()
        write(args.out, collector)
    except EdgeSegNetError as error:
        print(f'collector: {error}', file=sys.stderr)
        return 2
    finally:
        shut_down()
    return 0


if __name__ == '__main__':
    sys.exit(main())

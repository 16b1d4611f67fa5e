"""Publishes the frames of a recording at their recorded rate or in lock step with the node."""

from __future__ import annotations

import time
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from edgesegnet_ros.data.classes import VOID
from edgesegnet_ros.data.sources import PERIOD_NS, CameraModel, Source, SourceFrame
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.node.images import to_message

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""A reliable publisher serves best-effort subscribers, too."""
CLOCK_PERIOD_S = 0.01
ATTEMPTS = 3
"""Number of times that a frame is published in lock step before it counts as unanswered."""


class PlaybackError(EdgeSegNetError):
    """No node subscribes, or no node answers."""


class PlaybackFigures(NamedTuple):
    """Figures of a playback.

    Attributes:
        published: Number of frames, each counted once.
        republished: Number of frames that were published again, in lock step.
        unanswered: Number of frames without an answer, in lock step.
        round_trip_ms: Time from publication to answer of frames answered at once, in lock step.
    """

    published: int
    republished: int
    unanswered: int
    round_trip_ms: List[float]


class BagPlayer(Node):
    """The publishers of one source.

    Args:
        source: The source to play.
        frame_id: frame_id of the camera.
        lock_step: Topic of the answers, or None to play by the time of the recording.
        answer_timeout_s: Time after which a frame without an answer is published again.
        **kwargs: Arguments of rclpy.node.Node.

    Attributes:
        last_published: Stamp in ns of the last image, and the time just before its publication by
            the steady clock, which all processes of this machine share.
    """

    def __init__(
        self,
        source: Source,
        frame_id: str = 'camera',
        lock_step: Optional[str] = None,
        answer_timeout_s: float = 10.0,
        **kwargs: object,
    ) -> None:
        super().__init__('bag_player', **kwargs)
        self._source = source
        self._frame_id = frame_id
        self._answer_timeout_s = answer_timeout_s
        self._images = self.create_publisher(Image, 'image', RELIABLE)
        self._camera_infos = self.create_publisher(CameraInfo, 'camera_info', RELIABLE)
        self._labels = (
            self.create_publisher(Image, 'labels', RELIABLE) if source.has_labels else None
        )
        self._clock_publisher = (
            None if source.live else self.create_publisher(Clock, '/clock', RELIABLE)
        )
        self._answered_ns = -1
        self.last_published: Tuple[int, float] = (0, 0.0)
        self._lock_step = lock_step is not None
        if lock_step is not None:
            self.create_subscription(Header, lock_step, self._on_answer, RELIABLE)

    def wait_for_subscribers(self, counts: Dict[str, int], timeout_s: float) -> None:
        """Spin until each topic has that many matched subscriptions.

        Args:
            counts: image, camera_info or labels -> number of subscriptions.
            timeout_s: Time for all topics together.

        Raises:
            PlaybackError: There were too few subscriptions at the timeout.
        """
        publishers = {
            'image': self._images,
            'camera_info': self._camera_infos,
            'labels': self._labels,
        }
        wanted = [(name, publishers[name], count) for name, count in counts.items()]

        def missing() -> List[str]:
            return [
                f'{publisher.topic_name} has {publisher.get_subscription_count()} of {count}'
                for _, publisher, count in wanted
                if publisher is not None and publisher.get_subscription_count() < count
            ]

        if not self._spin_until(lambda: not missing(), timeout_s):
            raise PlaybackError(
                f'no subscribers within {timeout_s:g} s: {", ".join(missing())}. Start what '
                'listens, in the same ROS_DOMAIN_ID, or remap the topic'
            )

    def play(
        self,
        frames: Iterator[SourceFrame],
        rate: float,
        progress: Callable[[int], None] = lambda published: None,
    ) -> PlaybackFigures:
        """Publish frames until there are no more.

        Args:
            frames: With rising stamps.
            rate: Playback speed relative to the recording; 0 plays without pauses.
            progress: Called after each frame with the number of frames so far.

        Raises:
            PlaybackError: Three consecutive frames had no answer, in lock step.
            SourceError: A frame cannot be read.
        """
        published = republished = unanswered = silent = 0
        round_trips: List[float] = []
        first: Optional[Tuple[int, float]] = None
        for frame in frames:
            first = first or (frame.stamp_ns, time.monotonic())
            if rate > 0 and not self._source.live:
                self._wait_until(first[1] + (frame.stamp_ns - first[0]) * 1e-9 / rate, frame, rate)
            started = time.monotonic()
            self._publish(frame)
            published += 1
            if self._lock_step:
                attempt = 1
                while not self._answer_comes(frame.stamp_ns) and attempt < ATTEMPTS:
                    republished += attempt == 1
                    attempt += 1
                    self._publish(frame)
                answered = self._answered_ns >= frame.stamp_ns
                unanswered += not answered
                silent = 0 if answered else silent + 1
                if answered and attempt == 1:
                    round_trips.append((time.monotonic() - started) * 1e3)
                if silent == ATTEMPTS:
                    raise PlaybackError(
                        f'{ATTEMPTS} consecutive frames got no answer, each published {ATTEMPTS} '
                        f'times, {self._answer_timeout_s:g} s apart (frame {frame.name} is the '
                        'last); what should answer has stopped or lost its input'
                    )
            else:
                rclpy.spin_once(self, timeout_sec=0)
            progress(published)
        # The last messages are only delivered while this process runs.
        for publisher in (self._images, self._labels):
            if publisher is not None:
                publisher.wait_for_all_acked(Duration(seconds=5))
        return PlaybackFigures(published, republished, unanswered, round_trips)

    def _publish(self, frame: SourceFrame) -> None:
        header = Header(stamp=_time(frame.stamp_ns), frame_id=self._frame_id)
        self._publish_clock(frame.stamp_ns)
        if self._labels is not None:
            # Frames without ground truth get labels that are all void.
            labels = frame.labels
            if labels is None:
                labels = np.full(frame.image.shape[:2], VOID, np.uint8)
            self._labels.publish(to_message(labels, 'mono8', header))
        self._camera_infos.publish(camera_info(frame, header))
        message = to_message(frame.image, 'rgb8', header)
        self.last_published = (frame.stamp_ns, time.monotonic())
        self._images.publish(message)

    def _publish_clock(self, stamp_ns: int) -> None:
        if self._clock_publisher is not None:
            self._clock_publisher.publish(Clock(clock=_time(stamp_ns)))

    def _wait_until(self, due: float, frame: SourceFrame, rate: float) -> None:
        while True:
            left = due - time.monotonic()
            if left <= 0:
                return
            rclpy.spin_once(self, timeout_sec=min(left, CLOCK_PERIOD_S))
            left_ns = int(max(0.0, due - time.monotonic()) * rate * 1e9)
            self._publish_clock(frame.stamp_ns - left_ns)

    def _answer_comes(self, stamp_ns: int) -> bool:
        return self._spin_until(lambda: self._answered_ns >= stamp_ns, self._answer_timeout_s)

    def _on_answer(self, header: Header) -> None:
        self._answered_ns = max(self._answered_ns, stamp_ns_of(header))

    def _spin_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                return False
            rclpy.spin_once(self, timeout_sec=0.1)
        return True


def stamp_ns_of(header: Header) -> int:
    """A header's stamp in nanoseconds."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def _time(stamp_ns: int) -> Time:
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def camera_info(frame: SourceFrame, header: Header) -> CameraInfo:
    """The calibration of the source, or else only width and height (uncalibrated)."""
    height, width = frame.image.shape[:2]
    model: CameraModel = frame.camera or CameraModel(
        width, height, '', (), (0.0,) * 9, (0.0,) * 9, (0.0,) * 12
    )
    return CameraInfo(
        header=header,
        **{
            name: list(value) if isinstance(value, tuple) else value
            for name, value in model._asdict().items()
        },
    )


def repeated(source: Source, frames: Optional[int], loop: bool) -> Iterator[SourceFrame]:
    """Frames of a source, limited to `frames`, with stamps that keep rising when it loops."""
    count, offset, period = 0, 0, PERIOD_NS
    first: Optional[int] = None
    last: Optional[int] = None
    while True:
        for frame in source:
            if frames is not None and count >= frames:
                return
            first = frame.stamp_ns if first is None else first
            stamp = frame.stamp_ns + offset
            period = period if last is None else stamp - last
            last = stamp
            yield frame._replace(stamp_ns=stamp)
            count += 1
        if not loop or first is None or last is None:
            return
        offset = last + period - first

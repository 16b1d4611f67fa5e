"""The thread that segments, so that the executor stays free to answer services."""

from __future__ import annotations

import threading
import time
from typing import Callable, NamedTuple, Optional, Union

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from edgesegnet_ros.data.encodings import ImageMessageError, compressed_to_rgb, to_rgb
from edgesegnet_ros.data.geometry import to_network
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.node.camera_info import for_outputs
from edgesegnet_ros.node.frame_statistics import FrameStatistics
from edgesegnet_ros.node.newest import NewestSlot
from edgesegnet_ros.node.outputs import Outputs, SegmentedFrame

_JOIN_TIMEOUT_S = 10.0


class Arrival(NamedTuple):
    """A message and when its callback was entered.

    Attributes:
        message: The image.
        entered: Of time.perf_counter, in s.
        camera_info: The newest one at that time.
    """

    message: Union[Image, CompressedImage]
    entered: float
    camera_info: Optional[CameraInfo]


class SegmentationWorker:
    """Takes the newest image, segments it, publishes it; begins with the next.

    Args:
        segmenter: Used by this thread alone from now on.
        outputs: Where results go.
        statistics: Counts what happens.
        unlabeled_below: Called for each frame; gives the threshold, 0-1.
        on_bad_image: Told of each unusable message.
        on_failure: Told of whatever ended a frame but a bad image; returns a segmenter to go on
            with, or None to stop.
        network_sized: Whether outputs have the network's size.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        outputs: Outputs,
        statistics: FrameStatistics,
        unlabeled_below: Callable[[], float],
        on_bad_image: Callable[[ImageMessageError], None],
        on_failure: Callable[[Exception], Optional[Segmenter]],
        network_sized: bool,
    ) -> None:
        self._segmenter = segmenter
        self._outputs = outputs
        self._statistics = statistics
        self._unlabeled_below = unlabeled_below
        self._on_bad_image = on_bad_image
        self._on_failure = on_failure
        self._network_sized = network_sized
        self._slot: NewestSlot[Arrival] = NewestSlot()
        self._gate = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._work, name='segmentation', daemon=True)
        self._thread.start()

    def offer(self, arrival: Arrival) -> None:
        """Hand over an image; one that still waits is dropped for it."""
        if self._slot.put(arrival):
            self._statistics.count('replaced')

    def stop(self) -> bool:
        """Publish nothing from now on and end the thread; False if it would not end."""
        with self._gate:
            self._open = False
        self._slot.close()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_TIMEOUT_S)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            arrival = self._slot.take()
            if arrival is None:
                return
            try:
                self._segment(arrival)
            except ImageMessageError as error:
                self._statistics.bad(error.kind)
                self._on_bad_image(error)
            except Exception as error:  # a thread that dies silently is worse than any of them
                self._statistics.count('discarded')
                another = self._on_failure(error)
                if another is None:
                    return
                self._segmenter = another

    def _segment(self, arrival: Arrival) -> None:
        taken = time.perf_counter()
        wanted = self._outputs.wanted()
        message = arrival.message
        compressed = isinstance(message, CompressedImage)
        picture = compressed_to_rgb(message) if compressed else to_rgb(message)
        converted = time.perf_counter()
        result = self._segmenter.segment(picture, 'confidence' in wanted, self._unlabeled_below())
        segmented = time.perf_counter()
        info = arrival.camera_info if 'camera_info' in wanted else None
        if info is not None:
            info = for_outputs(info, message.header, result.placement, self._network_sized)
        if self._network_sized and 'overlay' in wanted:
            picture = to_network(picture, result.placement)
        frame = SegmentedFrame(message.header, result.labels, result.confidence, picture, info)
        with self._gate:
            if not self._open:
                self._statistics.count('discarded')
                return
            self._outputs.publish(frame, wanted)
            published = time.perf_counter()
        self._statistics.published(
            {
                'wait': (taken - arrival.entered) * 1e3,
                'convert': (converted - taken) * 1e3,
                **result.stages_ms,
                'publish': (published - segmented) * 1e3,
                'latency': (published - arrival.entered) * 1e3,
            }
        )

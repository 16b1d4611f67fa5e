"""The thread that opens an engine, segments with it and closes it.

No other thread uses or closes the engine, so that an engine that hangs is not closed while a
thread is inside it. OpenMP also keeps one team of threads per calling thread: with a second team,
of a thread that only opened the engine, both teams sleep between any two operations (on two cores
160 context switches per frame instead of 28).
"""

from __future__ import annotations

import threading
import time
from typing import Callable, NamedTuple, Optional, Union

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from edgesegnet_ros.data.encodings import ImageMessageError, compressed_to_rgb, to_rgb
from edgesegnet_ros.data.geometry import to_network
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.engines.segmenter import Segmentation, Segmenter
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.node.camera_info import for_outputs
from edgesegnet_ros.node.engine_opening import OpenedEngine, fall_back, open_or_fall_back
from edgesegnet_ros.node.frame_statistics import FrameStatistics
from edgesegnet_ros.node.newest import NewestSlot
from edgesegnet_ros.node.outputs import Outputs, SegmentedFrame


class Arrival(NamedTuple):
    """An image message and the time at which its callback was entered.

    Attributes:
        message: The image.
        entered: Time of time.perf_counter, in s.
        camera_info: The newest CameraInfo at that time.
        is_current: Whether its result may still be published: False once the node has been
            deactivated or its clock has jumped back.
    """

    message: Union[Image, CompressedImage]
    entered: float
    camera_info: Optional[CameraInfo]
    is_current: Callable[[], bool] = lambda: True


class WorkerSettings(NamedTuple):
    """Settings of a worker.

    Attributes:
        request: The engine to open.
        may_fall_back: Whether the torch engine replaces an engine that fails.
        output_resolution: `input` or `network`.
        unlabeled_below: Called for each frame; returns the threshold, 0-1.
        strict_jpeg: Called for each frame; returns whether damaged JPEG images are refused.
        age_ms: Returns the current age of a message, or None if its stamp does not give one.
        max_age_ms: Called for each frame; returns the limit in ms, or 0 for none.
        failed: Why the requested engine failed, if torch is to replace it at once.
    """

    request: EngineRequest
    may_fall_back: bool
    output_resolution: str
    unlabeled_below: Callable[[], float]
    strict_jpeg: Callable[[], bool]
    age_ms: Callable[[Union[Image, CompressedImage]], Optional[float]]
    max_age_ms: Callable[[], float]
    failed: str = ''


class WorkerEvents(NamedTuple):
    """Callbacks, all called in the worker's thread.

    Attributes:
        on_bad_image: Called with each image that cannot be used.
        on_engine: Called with an engine that replaces one that failed.
        on_failure: Called with the reason for which the worker ended by itself.
        on_error: Called with an exception that did not come from the engine, and its origin.
    """

    on_bad_image: Callable[[ImageMessageError], None]
    on_engine: Callable[[SegmentationWorker, OpenedEngine], None]
    on_failure: Callable[[SegmentationWorker, str], None]
    on_error: Callable[[str, Exception], None]


class SegmentationWorker:
    """Segments and publishes the newest image in a loop, in a thread.

    Args:
        settings: Settings of the worker.
        statistics: Counts what happens to frames.
        events: Callbacks of the worker.

    Attributes:
        opened: The engine; None before it is open and after it is closed.
        error: Why the first engine could not be opened.
    """

    def __init__(
        self, settings: WorkerSettings, statistics: FrameStatistics, events: WorkerEvents
    ) -> None:
        self.settings = settings
        self.opened: Optional[OpenedEngine] = None
        self.error: Optional[Exception] = None
        self._statistics = statistics
        self._events = events
        self._slot: NewestSlot[Arrival] = NewestSlot()
        self._gate = threading.Lock()
        self._outputs: Optional[Outputs] = None
        self._closing = False
        self._tried = threading.Event()
        self._infers_since: Optional[float] = None
        self._thread = threading.Thread(target=self._work, name='segmentation', daemon=True)
        self._thread.start()

    # Methods for other threads.

    def wait_until_tried(self) -> None:
        """Wait until the engine is open or cannot be opened."""
        self._tried.wait()

    @property
    def has_tried(self) -> bool:
        """Whether the engine is open or could not be opened."""
        return self._tried.is_set()

    @property
    def has_ended(self) -> bool:
        """Whether the thread has ended and its engine is closed."""
        return not self._thread.is_alive()

    @property
    def infers_for_s(self) -> float:
        """How long the engine has been working on a frame, in s; 0 if it has none."""
        since = self._infers_since
        return 0.0 if since is None else time.monotonic() - since

    def publish_to(self, outputs: Optional[Outputs]) -> None:
        """Publish to these outputs from now on; None stops publishing."""
        with self._gate:
            self._outputs = outputs
        if outputs is None and self._slot.clear():
            self._statistics.count('discarded')

    def drop_waiting(self, reason: str) -> None:
        """Drop the waiting image, if there is one."""
        if self._slot.clear():
            self._statistics.count(reason)

    def offer(self, arrival: Arrival) -> None:
        """Hand over an image; it replaces an image that is still waiting."""
        if self._slot.put(arrival):
            self._statistics.count('replaced')

    def close(self) -> None:
        """Stop publishing; close the engine when it has finished its frame."""
        self._closing = True
        self.publish_to(None)
        self._slot.close()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end; returns False after the timeout."""
        self._thread.join(timeout_s)
        return self.has_ended

    # Methods that run in the thread.

    def _work(self) -> None:
        try:
            try:
                self.opened = self._open()
            except Exception as error:
                self.error = error
                if self.settings.failed:
                    self._events.on_failure(self, f'{self.settings.failed}; and torch: {error}')
                return
            finally:
                self._tried.set()
            if self.settings.failed:
                self._events.on_engine(self, self.opened)
            reason = self._serve()
            if reason is not None and not self._closing:
                self._events.on_failure(self, reason)
        except Exception as error:  # the thread must not end silently
            self._events.on_error('the segmentation thread', error)
            self._events.on_failure(self, f'{type(error).__name__}: {error}')
        finally:
            self._close_engine()

    def _open(self) -> OpenedEngine:
        settings = self.settings
        if settings.failed:
            return fall_back(settings.request, settings.failed)
        return open_or_fall_back(settings.request, settings.may_fall_back)

    def _serve(self) -> Optional[str]:
        """Segment until closed (None) or until no engine is left (the reason)."""
        segmenter = self._segmenter()
        while True:
            arrival = self._slot.take()
            if arrival is None:
                return None
            try:
                self._segment(arrival, segmenter)
            except ImageMessageError as error:
                self._statistics.bad(error.kind)
                self._events.on_bad_image(error)
            except _EngineFailure as failure:
                self._statistics.count('discarded')
                reason = self._replace_engine(failure.reason)
                if reason is not None:
                    return reason
                segmenter = self._segmenter()
            except Exception as error:  # the engine did not cause it, so it can continue
                self._statistics.count('discarded')
                if not self._closing:
                    self._events.on_error('a frame', error)

    def _segment(self, arrival: Arrival, segmenter: Segmenter) -> None:
        taken = time.perf_counter()
        outputs, message = self._outputs, arrival.message
        if outputs is None or not arrival.is_current():
            self._statistics.count('discarded')
            return
        if self._is_too_old(message):
            self._statistics.count('too_old_waiting')
            return
        plan = outputs.plan()
        wanted = plan.names
        image = _converted(message, self.settings.strict_jpeg())
        converted = time.perf_counter()
        result = self._infer(segmenter, image, plan.confidence)
        segmented = time.perf_counter()
        at_network = self.settings.output_resolution == 'network'
        info = arrival.camera_info if 'camera_info' in wanted else None
        if info is not None:
            info = for_outputs(info, message.header, result.placement, at_network)
        if at_network and 'overlay' in wanted:
            image = to_network(image, result.placement)
        frame = SegmentedFrame(message.header, result.labels, result.confidence, image, info)
        with self._gate:
            if self._outputs is not outputs or not arrival.is_current():
                self._statistics.count('discarded')
                return
            if self._is_too_old(message):
                self._statistics.count('too_old_result')
                return
            outputs.publish(frame, plan)
            published = time.perf_counter()
        self._statistics.published(
            {
                'wait': (taken - arrival.entered) * 1e3,
                'convert': (converted - taken) * 1e3,
                **result.stages_ms,
                'publish': (published - segmented) * 1e3,
                'latency': (published - arrival.entered) * 1e3,
            },
            self.settings.age_ms(message),
        )

    def _infer(self, segmenter: Segmenter, image, confidence: bool) -> Segmentation:  # noqa: ANN001
        self._infers_since = time.monotonic()
        try:
            return segmenter.segment(image, confidence, self.settings.unlabeled_below())
        except MemoryError:
            height, width = image.shape[:2]
            raise ImageMessageError(
                'memory', f'{width}x{height} pixels take more memory than there is'
            ) from None
        except EdgeSegNetError as error:
            raise _EngineFailure(str(error)) from error
        except Exception as error:
            raise _EngineFailure(f'{type(error).__name__}: {error}') from error
        finally:
            self._infers_since = None

    def _is_too_old(self, message: Union[Image, CompressedImage]) -> bool:
        limit = self.settings.max_age_ms()
        if limit <= 0.0:
            return False
        age = self.settings.age_ms(message)
        return age is not None and age > limit

    def _segmenter(self) -> Segmenter:
        assert self.opened is not None
        model = self.opened.model
        return Segmenter(model.engine, model.resize_mode, self.settings.output_resolution)

    def _replace_engine(self, reason: str) -> Optional[str]:
        """Close the engine that failed and open torch; returns why that is not possible."""
        assert self.opened is not None
        runs = self.opened.model.engine.describe().engine
        self._close_engine()
        if not self.settings.may_fall_back or runs == 'torch' or self._closing:
            return reason
        try:
            self.opened = fall_back(self.settings.request, f'{runs} failed: {reason}')
        except Exception as error:
            return f'{reason}; and torch: {error}'
        self._events.on_engine(self, self.opened)
        return None

    def _close_engine(self) -> None:
        opened, self.opened = self.opened, None
        if opened is not None:
            try:
                opened.model.engine.close()
            except Exception as error:
                self._events.on_error('closing the engine', error)


class _EngineFailure(Exception):
    """An exception that came from the engine.

    Attributes:
        reason: The message of that exception.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _converted(message: Union[Image, CompressedImage], strict: bool):  # noqa: ANN202 - an array
    try:
        if isinstance(message, CompressedImage):
            return compressed_to_rgb(message, strict)
        return to_rgb(message)
    except ImageMessageError:
        raise
    except MemoryError:
        raise ImageMessageError('memory', 'the image takes more memory than there is') from None
    except Exception as error:  # any error of a library means that the image cannot be used
        raise ImageMessageError(
            'undecodable', f'it cannot be converted: {type(error).__name__}: {str(error)[:200]}'
        ) from None

"""The node's engine over its whole life: opened, replaced when it hangs, closed."""

from __future__ import annotations

import time
from typing import Callable, List, Optional

from edgesegnet_ros.data.encodings import ImageMessageError
from edgesegnet_ros.engines.base import EngineDescription
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.node import parameters, threads
from edgesegnet_ros.node.engine_opening import OpenedEngine
from edgesegnet_ros.node.frame_statistics import FrameStatistics
from edgesegnet_ros.node.lifecycle import RELEASE_S, ManagedNode
from edgesegnet_ros.node.stamps import AgeClock
from edgesegnet_ros.node.worker import SegmentationWorker, WorkerEvents, WorkerSettings

OnBadImage = Callable[[ImageMessageError], None]
OnFailure = Callable[[SegmentationWorker, str], None]


class EngineSupervisor:
    """Starts the worker that runs the engine, and waits for workers that are being closed.

    Args:
        node: Provides the parameters and the log.
        ages: Ages of the images.

    Attributes:
        worker: The current worker, or None while the node is unconfigured.
        description: The engine that runs, or None while none is open.
        fallback: Why this is not the requested engine, or None if it is.
    """

    def __init__(self, node: ManagedNode, ages: AgeClock) -> None:
        self.worker: Optional[SegmentationWorker] = None
        self.description: Optional[EngineDescription] = None
        self.fallback: Optional[str] = None
        self._node = node
        self._ages = ages
        self._closing: List[SegmentationWorker] = []
        self._opening_since = 0.0

    def open(
        self, statistics: FrameStatistics, on_bad_image: OnBadImage, on_failure: OnFailure
    ) -> None:
        """Start a worker, which opens the engine in its thread.

        Args:
            statistics: Counts the worker's frames.
            on_bad_image: Called in the worker's thread; see `WorkerEvents`.
            on_failure: Called in the worker's thread; see `WorkerEvents`.
        """
        self.fallback = None
        self._statistics = statistics
        self._events = WorkerEvents(
            on_bad_image, self._on_engine, on_failure, self._node.on_escaped
        )
        self.worker = self._new_worker()

    def _new_worker(self, failed: str = '') -> SegmentationWorker:
        """Open the engine of the parameters, or torch if another engine has `failed`."""
        node = self._node
        request = parameters.engine_request(node)
        num_threads, why = threads.share_of_this_node(request.num_threads)
        if why:
            node.get_logger().info(why)
        value = node.get_parameter
        settings = WorkerSettings(
            request._replace(num_threads=num_threads),
            self._may_fall_back(),
            value('output_resolution').value,
            lambda: value('unlabeled_below').value,
            lambda: value('refuse_damaged_jpeg').value,
            self._ages.age_ms,
            lambda: value('max_age_ms').value,
            failed,
        )
        self._opening_since = time.monotonic()
        return SegmentationWorker(settings, self._statistics, self._events)

    def _may_fall_back(self) -> bool:
        return bool(self._node.get_parameter('on_engine_failure').value == 'torch')

    @property
    def has_tried(self) -> bool:
        """Whether the engine is open or could not be opened; True without a worker."""
        return self.worker is None or self.worker.has_tried

    @property
    def opening_for_s(self) -> Optional[float]:
        """How long the engine has been opening, in s, or None if it is not."""
        return None if self.has_tried else time.monotonic() - self._opening_since

    @property
    def infers_for_s(self) -> float:
        """How long the engine has been working on its frame, in s."""
        return 0.0 if self.worker is None else self.worker.infers_for_s

    @property
    def opened(self) -> Optional[OpenedEngine]:
        """The engine that is open now."""
        return None if self.worker is None else self.worker.opened

    def wait(self) -> OpenedEngine:
        """Wait until the engine is open, log it and return it.

        Raises:
            EdgeSegNetError: It could not be opened, or was closed meanwhile.
        """
        worker = self.worker
        if worker is None:
            raise EdgeSegNetError('the engine was released')
        worker.wait_until_tried()
        if worker.error is not None:
            raise worker.error
        opened = worker.opened
        if opened is None:
            raise EdgeSegNetError('the engine was closed')
        self.describe(opened)
        return opened

    def describe(self, opened: OpenedEngine) -> None:
        """Keep the description of an engine and log it."""
        log = self._node.get_logger()
        self.fallback = opened.fallback
        if self.fallback:
            log.error(self.fallback)
        engine = opened.model.engine
        self.description = is_ = engine.describe()
        height, width = engine.input_size
        why = f' ({is_.reason})' if is_.reason else ''
        log.info(
            f'engine {is_.engine} {is_.version}, {is_.precision}{why}, on {is_.device}, '
            f'input {height}x{width} ({opened.model.resize_mode})'
        )

    def _on_engine(self, worker: SegmentationWorker, opened: OpenedEngine) -> None:
        if worker is self.worker:
            self.describe(opened)

    def hung(self) -> Optional[str]:
        """Why the engine is taken to hang, or None."""
        timeout_s = self._node.get_parameter('inference_timeout_s').value
        if self.infers_for_s <= timeout_s:
            return None
        return f'inference has not returned for {self.infers_for_s:.0f} s'

    def replace(self, reason: str) -> Optional[SegmentationWorker]:
        """Replace an engine that hangs by torch; None if that is not possible or not allowed."""
        runs = self.description.engine if self.description else 'the engine'
        if not self._may_fall_back() or runs == 'torch':
            return None
        self.close()
        self.worker = self._new_worker(f'{runs} failed: {reason}')
        return self.worker

    def close(self) -> None:
        """Close the engine when it has finished its frame; does not wait."""
        worker, self.worker = self.worker, None
        self.description = None
        if worker is not None:
            worker.close()
            self._closing.append(worker)

    @property
    def all_closed(self) -> bool:
        """Whether the closed engines have released everything."""
        self._closing = [worker for worker in self._closing if not worker.has_ended]
        # An engine that has hung for a long time is not waited for again.
        return not self._closing or self._closing[-1].infers_for_s > RELEASE_S

    def join(self, timeout_s: float) -> bool:
        """Wait for all workers that were closed; returns whether their threads have ended."""
        deadline = time.monotonic() + timeout_s
        for worker in self._closing:
            worker.join(max(0.0, deadline - time.monotonic()))
        return all(worker.has_ended for worker in self._closing)

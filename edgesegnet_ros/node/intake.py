"""Admits or drops each image on arrival, in the thread of the executor.

Each activation uses a new object.
"""

from __future__ import annotations

import time
from typing import Callable

from rclpy.lifecycle import LifecycleNode

from edgesegnet_ros.data.encodings import ImageMessageError, assumption_of
from edgesegnet_ros.node.admission import Admission, Limits
from edgesegnet_ros.node.camera import Camera, CameraMessage
from edgesegnet_ros.node.frame_statistics import FrameStatistics
from edgesegnet_ros.node.image_size import check_size
from edgesegnet_ros.node.outputs import Outputs
from edgesegnet_ros.node.stamps import FUTURE_MS, AgeClock, stamp_ns
from edgesegnet_ros.node.worker import Arrival, SegmentationWorker

Warn = Callable[[str, str], None]
"""Logs a warning of a kind, at most once per period and kind."""


class Intake:
    """Counts each image, refuses those that must not be segmented, and passes on the others.

    Args:
        node: Provides the parameters.
        camera: Provides the topic and the intrinsics.
        ages: Computes the ages of the images.
        outputs: Knows which outputs have a subscriber.
        worker: Receives the admitted images.
        statistics: Counts the images.
        warn: Logs warnings.
    """

    def __init__(
        self,
        node: LifecycleNode,
        camera: Camera,
        ages: AgeClock,
        outputs: Outputs,
        worker: SegmentationWorker,
        statistics: FrameStatistics,
        warn: Warn,
    ) -> None:
        self._node, self._camera, self._ages = node, camera, ages
        self._outputs, self._worker, self._statistics = outputs, worker, statistics
        self._warn = warn
        self._admission = Admission()
        self._epoch = ages.epoch
        self._open = True

    def close(self) -> None:
        """Prevent the publication of results of all images that came before."""
        self._open = False

    def on_image(self, message: CameraMessage) -> None:
        """Admit or drop one image."""
        entered = time.perf_counter()
        statistics = self._statistics
        age_ms = self._ages.age_ms(message)
        statistics.arrived(age_ms, stamp_ns(message))
        if self._epoch != self._ages.epoch:
            self._epoch = self._ages.epoch
            self._worker.drop_waiting('discarded')
            self._warn('jump', "the node's clock has jumped back: older images are dropped")
        limits = Limits(*(self._node.get_parameter(name).value for name in Limits._fields))
        try:
            self._check(message)
        except ImageMessageError as error:
            statistics.bad(error.kind)
            self.on_bad_image(error)
            return
        refusal = self._admission.refusal(
            limits, entered, age_ms, lambda: bool(self._outputs.wanted())
        )
        if refusal:
            statistics.count(refusal)
            if refusal == 'too_old':
                self._warn(refusal, self._too_old(age_ms, limits.max_age_ms))
            return
        if age_ms is not None and age_ms < -FUTURE_MS:
            self._warn(
                'future',
                f"images are stamped {-age_ms / 1e3:.1f} s ahead of the node's clock: "
                'synchronise the clocks (chrony, PTP) or set use_sim_time on all nodes alike',
            )
        changed = self._camera.size_change(message)
        if changed:
            statistics.size_changed()
            self._warn('size', changed)
        assumption = assumption_of(message)
        if assumption:
            self._warn('assumption', f'{self._camera.topic}: {assumption}')
        epoch = self._epoch
        is_current = lambda: self._open and epoch == self._ages.epoch  # noqa: E731
        self._worker.offer(Arrival(message, entered, self._camera.info, is_current))

    def on_bad_image(self, error: ImageMessageError) -> None:
        """Log an image that cannot be used; may be called in any thread."""
        self._warn(error.kind, f'unusable image on {self._camera.topic}: {str(error)[:300]}')

    def _check(self, message: CameraMessage) -> None:
        check_size(message, self._node.get_parameter('max_image_pixels').value)
        if stamp_ns(message) < 0:
            raise ImageMessageError(
                'stamp', f'its stamp is {message.header.stamp.sec} s: it must not be negative'
            )

    def _too_old(self, age_ms: object, max_age_ms: float) -> str:
        if isinstance(age_ms, float):
            found = f'an age of {age_ms:.0f} ms'
        elif self._ages.stands_still:
            found = 'no age, since use_sim_time is set and nothing has come on /clock'
        else:
            found = 'no stamp'
        return f'dropping images: {found}, max_age_ms is {max_age_ms:g}'

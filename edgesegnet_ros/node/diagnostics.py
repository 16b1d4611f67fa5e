"""The node's health as diagnostic_msgs/DiagnosticArray."""

from __future__ import annotations

import time
from typing import Dict, List, NamedTuple, Optional, Tuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from edgesegnet_ros.engines.base import EngineDescription
from edgesegnet_ros.interface import diagnostic_keys as keys
from edgesegnet_ros.node.frame_statistics import FrameStatistics
from edgesegnet_ros.node.stamps import FUTURE_MS

SILENT_AFTER_S = 2.0
"""Time in s without an image or a result after which this is reported."""
_WHY = {
    'bad': 'could not be used',
    'too_old': 'were older than max_age_ms or had no stamp',
    'too_old_waiting': 'were older than max_age_ms when inference could begin',
    'too_old_result': 'were older than max_age_ms when their result was ready',
    'over_rate': 'came faster than max_rate_hz',
    'unseen': 'had no subscriber',
    'replaced': 'were replaced by newer ones',
    'discarded': 'were discarded',
}


class NodeHealth(NamedTuple):
    """The state of the node, except for the frames, that the diagnostics report.

    Attributes:
        state: The lifecycle state's label.
        model: Value of the parameter `model`.
        engine: The engine that runs, or None while unconfigured.
        failure: Why a transition or the engine failed, or None.
        image_topic: Resolved name of the input.
        image_publishers: Number of publishers of the input.
        matched_publishers: Number of those that the subscription receives images from. It is
            smaller if the QoS of a publisher is incompatible. None if rclpy does not report it
            (Humble), or while inactive.
        mismatch: What is wrong with the type of the topic and which argument corrects it, or ''.
        subscribed: Outputs that have a subscriber.
        new_bad: Number of unusable images since the last report.
        active_for_s: Time since activation in s, or None.
        fallback: Why the requested engine does not run, or None.
        infers_for_s: How long the engine has been working on its frame, in s.
        worker_ended: Whether the segmentation thread has ended.
        clock_stands_still: Whether use_sim_time is set and nothing has come on /clock.
        escaped: Number of exceptions that came out of callbacks.
        opening_for_s: How long an engine has been opening, in s, or None.
    """

    state: str
    model: str
    engine: Optional[EngineDescription]
    failure: Optional[str]
    image_topic: str
    image_publishers: int
    matched_publishers: Optional[int]
    mismatch: str
    subscribed: List[str]
    new_bad: int
    active_for_s: Optional[float]
    fallback: Optional[str]
    infers_for_s: float
    worker_ended: bool
    clock_stands_still: bool
    escaped: int
    opening_for_s: Optional[float]


def verdict(health: NodeHealth, statistics: FrameStatistics) -> Tuple[bytes, str]:
    """Return the level and the message of the diagnostics.

    STALE: no images arrive, so the last results grow old. ERROR: images arrive and nothing is
    published, or the engine failed. WARN: results are published, but something is wrong. OK:
    nothing is wrong, or no output has a subscriber.
    """
    if health.failure is not None:
        return DiagnosticStatus.ERROR, health.failure
    if health.opening_for_s is not None:
        return DiagnosticStatus.OK, f'opening the engine, for {health.opening_for_s:.0f} s'
    if health.active_for_s is None:
        return DiagnosticStatus.OK, health.state
    if health.worker_ended:
        return DiagnosticStatus.ERROR, 'the thread that segments has ended: configure again'
    silent = statistics.silent_for_s()
    silent = health.active_for_s if silent is None else min(silent, health.active_for_s)
    stuck = _nothing_published(health, statistics)
    if stuck is not None:
        return DiagnosticStatus.ERROR, stuck
    if silent > SILENT_AFTER_S:
        return DiagnosticStatus.STALE, silence(health, silent)
    warning = _warning(health, statistics)
    if warning is not None:
        return DiagnosticStatus.WARN, warning
    rates = statistics.rates_hz()
    if rates['out'] == 0.0 and statistics.counts['unseen']:
        return DiagnosticStatus.OK, 'idle: no output has a subscriber (lazy)'
    return DiagnosticStatus.OK, f'segmenting at {rates["out"]:.1f} Hz'


def _nothing_published(health: NodeHealth, statistics: FrameStatistics) -> Optional[str]:
    """Why nothing is published although images arrive; None if results are published."""
    if health.infers_for_s > SILENT_AFTER_S:
        return f'the engine has been working on one frame for {health.infers_for_s:.0f} s'
    since, last = statistics.unpublished()
    assert health.active_for_s is not None
    quiet = health.active_for_s if last is None else time.monotonic() - last
    if quiet <= SILENT_AFTER_S or statistics.rates_hz()['in'] == 0.0:
        return None
    reasons = {what: since[what] for what in _WHY if since[what] and what != 'unseen'}
    if not reasons:
        return None
    main = max(reasons, key=lambda what: reasons[what])
    return (
        f'nothing published for {quiet:.0f} s: {reasons[main]} of {since["in"]} images '
        f'{_WHY[main]}' + ('; /clock does not come' if health.clock_stands_still else '')
    )


def _warning(health: NodeHealth, statistics: FrameStatistics) -> Optional[str]:
    if health.new_bad:
        return f'{health.new_bad} unusable images since the last report'
    if health.fallback is not None:
        return health.fallback
    if health.clock_stands_still:
        return 'use_sim_time is set, but nothing has come on /clock: ages are unknown'
    ages = statistics.ages()
    if ages is not None and ages.p50 < -FUTURE_MS:
        return f"images are stamped {-ages.p50 / 1e3:.1f} s ahead of the node's clock"
    changes = statistics.size_changes()
    if changes > 2:
        return (
            f'the size of images changed {changes} times in 10 s; '
            f'publishers of {health.image_topic}: {health.image_publishers}'
        )
    return None


def silence(health: NodeHealth, silent_s: float) -> str:
    """A sentence that no image arrives, with the reason if the graph shows it."""
    offered, matched = health.image_publishers, health.matched_publishers
    if health.mismatch:
        why = health.mismatch
    elif not offered:
        why = 'it has no publisher'
    elif matched == 0:
        why = (
            f'none of its {offered} publishers offers a QoS that fits the subscription: '
            f'see qos_overrides.{health.image_topic}.subscription'
        )
    else:
        why = f'publishers: {offered}'
    return f'no image on {health.image_topic} for {silent_s:.0f} s ({why})'


def report(
    name: str, health: NodeHealth, statistics: FrameStatistics, machine: Dict[str, str]
) -> DiagnosticArray:
    """Build the whole message except its stamp.

    Args:
        name: Fully qualified name of the node.
        health: State of the node.
        statistics: Statistics of the frames.
        machine: Values of the machine, by key.
    """
    status = DiagnosticStatus()
    status.level, status.message = verdict(health, statistics)
    status.name = name.lstrip('/') + keys.STATUS_SUFFIX
    values: Dict[str, str] = {
        keys.STATE: health.state,
        keys.MODEL: health.model,
        keys.IMAGE_TOPIC: health.image_topic,
        keys.IMAGE_PUBLISHERS: str(health.image_publishers),
        keys.OUTPUTS_SUBSCRIBED: ', '.join(health.subscribed),
    }
    if health.matched_publishers is not None:
        values[keys.IMAGE_PUBLISHERS_MATCHED] = str(health.matched_publishers)
    if health.engine is not None:
        status.hardware_id = health.engine.device
        values[keys.ENGINE] = health.engine.engine
        values[keys.PRECISION] = health.engine.precision
        values[keys.ENGINE_VERSION] = health.engine.version
        values[keys.THREADS] = str(health.engine.threads)
        values[keys.ENGINE_REASON] = health.engine.reason
    rates = statistics.rates_hz()
    values[keys.RATE_IN_HZ] = f'{rates["in"]:.2f}'
    values[keys.RATE_OUT_HZ] = f'{rates["out"]:.2f}'
    for ages, name_of_age in (
        (statistics.ages(), keys.AGE),
        (statistics.published_ages(), keys.PUBLISHED_AGE),
    ):
        for percentile, age in ages._asdict().items() if ages is not None else ():
            values[keys.stage_ms(name_of_age, percentile)] = f'{age:.1f}'
    counts = dict(statistics.counts)
    for what in ('in', 'out', *keys.DROPS, *sorted(k for k in counts if k.startswith('bad_'))):
        values[keys.frames(what)] = str(counts.get(what, 0))
    values[keys.LOST_ESTIMATE] = str(statistics.lost.total)
    values[keys.ESCAPED] = str(health.escaped)
    values.update(machine)
    for stage in keys.TIMES:
        percentiles = statistics.percentiles(stage)
        if percentiles is not None:
            for key, value in percentiles._asdict().items():
                values[keys.stage_ms(stage, key)] = f'{value:.2f}'
    status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticArray(status=[status])

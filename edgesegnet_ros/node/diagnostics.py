"""The node's health as diagnostic_msgs/DiagnosticArray."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from edgesegnet_ros.engines.base import EngineDescription
from edgesegnet_ros.interface import diagnostic_keys as keys
from edgesegnet_ros.node.frame_statistics import FrameStatistics

SILENT_AFTER_S = 2.0
"""A camera that sends nothing for so long is reported."""


class NodeHealth(NamedTuple):
    """What the diagnostics need to know beside the frames.

    Attributes:
        state: The lifecycle state's label.
        model: As the parameter says.
        engine: What runs, or None while unconfigured.
        failure: Why the engine was given up, or None.
        image_topic: Resolved name of the input.
        image_publishers: How many offer it.
        matched_publishers: How many of them the subscription takes images from; fewer than offer
            it where a QoS does not fit. None where rclpy cannot tell (Humble) or while inactive.
        subscribed: Outputs that somebody subscribes to.
        new_bad: Bad images since the last report.
        active_for_s: Seconds since activation, or None.
        fallback: Why another engine than the wanted one runs, or None.
    """

    state: str
    model: str
    engine: Optional[EngineDescription]
    failure: Optional[str]
    image_topic: str
    image_publishers: int
    matched_publishers: Optional[int]
    subscribed: List[str]
    new_bad: int
    active_for_s: Optional[float]
    fallback: Optional[str] = None


def verdict(health: NodeHealth, statistics: FrameStatistics) -> Tuple[bytes, str]:
    """Level and one sentence."""
    if health.failure is not None:
        return DiagnosticStatus.ERROR, health.failure
    if health.active_for_s is None:
        return DiagnosticStatus.OK, health.state
    silent = statistics.silent_for_s()
    silent = health.active_for_s if silent is None else min(silent, health.active_for_s)
    if silent > SILENT_AFTER_S:
        return DiagnosticStatus.WARN, silence(health, silent)
    if health.new_bad:
        return DiagnosticStatus.WARN, f'{health.new_bad} unusable images since the last report'
    if health.fallback is not None:
        return DiagnosticStatus.WARN, health.fallback
    rates = statistics.rates_hz()
    if rates['out'] == 0.0 and statistics.counts['unseen']:
        return DiagnosticStatus.OK, 'idle: nobody subscribes to an output (lazy)'
    return DiagnosticStatus.OK, f'segmenting at {rates["out"]:.1f} Hz'


def silence(health: NodeHealth, silent_s: float) -> str:
    """That no image comes, and the reason as far as the graph shows it."""
    offered, matched = health.image_publishers, health.matched_publishers
    if not offered:
        why = 'nobody publishes it'
    elif matched == 0:
        why = f'publishers: {offered}, none with a QoS that fits the subscription'
    else:
        why = f'publishers: {offered}'
    return f'no image on {health.image_topic} for {silent_s:.0f} s ({why})'


def report(name: str, health: NodeHealth, statistics: FrameStatistics) -> DiagnosticArray:
    """The whole message but its stamp.

    Args:
        name: The node's fully qualified name.
        health: See there.
        statistics: Of the frames.
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
    age = statistics.median_age_ms()
    if age is not None:
        values[keys.AGE_MS_P50] = f'{age:.1f}'
    counts = dict(statistics.counts)
    for what in ('in', 'out', *keys.DROPS, *sorted(k for k in counts if k.startswith('bad_'))):
        values[keys.frames(what)] = str(counts.get(what, 0))
    for stage in keys.TIMES:
        percentiles = statistics.percentiles(stage)
        if percentiles is not None:
            for key, value in percentiles._asdict().items():
                values[keys.stage_ms(stage, key)] = f'{value:.2f}'
    status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticArray(status=[status])

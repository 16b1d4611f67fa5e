"""The keys of the node's status on /diagnostics: the node writes them, every reader imports them.

All values are strings, as diagnostic_msgs/KeyValue has them. `KEYS` describes each key;
docs/diagnostics.md is printed from it.
"""

from __future__ import annotations

from typing import Dict, Mapping, Optional

STATUS_SUFFIX = ': segmentation'
"""A status is named `<fully qualified node name without the first slash>` + this."""

STATE = 'state'
MODEL = 'model'
IMAGE_TOPIC = 'image_topic'
IMAGE_PUBLISHERS = 'image_publishers'
IMAGE_PUBLISHERS_MATCHED = 'image_publishers_matched'
OUTPUTS_SUBSCRIBED = 'outputs_subscribed'
ENGINE = 'engine'
PRECISION = 'precision'
ENGINE_VERSION = 'engine_version'
ENGINE_REASON = 'engine_reason'
THREADS = 'threads'
RATE_IN_HZ = 'rate_in_hz'
RATE_OUT_HZ = 'rate_out_hz'
AGE, PUBLISHED_AGE = 'age', 'published_age'
LOST_ESTIMATE = 'frames_lost_estimate'
ESCAPED = 'callback_errors'
CPU_BUSY, CPU_OWN, CPU_PRESSURE = 'cpu_busy_percent', 'cpu_own_percent', 'cpu_pressure_percent'
TEMPERATURE_C = 'temperature_c_max'
POWER_MODE = 'power_mode'

DROPS: Dict[str, str] = {
    'replaced': 'A newer image arrived before inference of this one began.',
    'too_old': 'The image was older than max_age_ms on arrival, or its stamp gave no age.',
    'too_old_waiting': 'The image was older than max_age_ms when inference could begin.',
    'too_old_result': 'The image was older than max_age_ms when its result was ready.',
    'over_rate': 'The image arrived faster than max_rate_hz.',
    'unseen': 'No output had a subscriber (parameter lazy).',
    'discarded': 'The node was deactivated, its engine failed, or its clock jumped back before '
    'publication.',
    'bad': 'The image could not be used; frames_bad_<kind> counts each kind.',
}
"""Why a received frame is not published: reason -> what it means."""

STAGES: Dict[str, str] = {
    'wait': "from the callback's entry until the worker takes the image",
    'convert': 'decoding and colour conversion to RGB',
    'resize': 'resizing the image to the network, and the labels back',
    'infer': 'inference',
    'publish': 'building and publishing the outputs',
}
"""Stages of a published frame, in their order: stage -> what it covers."""
LATENCY = 'latency'
TIMES: Dict[str, str] = {
    **STAGES,
    LATENCY: "from the callback's entry to the end of publication",
}
"""Times of a published frame that are reported: the stages and the whole."""

PERCENTILES = ('p50', 'p95', 'p99')


def frames(what: str) -> str:
    """Key of a counter: `in`, `out`, a reason of `DROPS`, or `bad_<kind>`."""
    return f'frames_{what}'


def stage_ms(stage: str, percentile: str) -> str:
    """Key of a stage's time in ms over the last frames."""
    return f'{stage}_ms_{percentile}'


def count(values: Mapping[str, str], what: str) -> int:
    """A counter's value; 0 where the status does not have it."""
    return int(values.get(frames(what), 0))


def stage_times_ms(values: Mapping[str, str], stage: str) -> Optional[Dict[str, float]]:
    """A stage's percentiles in ms by name; None where the status does not have all of them."""
    keys = {percentile: stage_ms(stage, percentile) for percentile in PERCENTILES}
    if any(key not in values for key in keys.values()):
        return None
    return {percentile: float(values[key]) for percentile, key in keys.items()}


KEYS: Dict[str, str] = {
    STATE: 'Lifecycle state: unconfigured, inactive, active or finalized.',
    MODEL: 'Parameter model.',
    IMAGE_TOPIC: 'Topic that the node subscribes to, resolved.',
    IMAGE_PUBLISHERS: 'Publishers of that topic, whatever their QoS.',
    IMAGE_PUBLISHERS_MATCHED: 'Publishers of that topic whose QoS matches the subscription; only '
    'while active, from ROS 2 Kilted on.',
    OUTPUTS_SUBSCRIBED: 'Outputs that have a subscriber, below segmentation/.',
    ENGINE: 'Library that runs the network.',
    PRECISION: 'Number format of the network.',
    ENGINE_VERSION: 'Version of that library.',
    THREADS: 'CPU threads of the engine; 0 where they do not apply.',
    ENGINE_REASON: 'Why this engine was chosen, and how it agreed with the fp32 network.',
    RATE_IN_HZ: 'Images received per second, over the last 3 s.',
    RATE_OUT_HZ: 'Frames published per second, over the last 3 s.',
    stage_ms(AGE, '<p50, p95, p99>'): "Age of images on arrival by their stamp and the node's "
    'clock, in ms; negative for stamps in the future.',
    stage_ms(PUBLISHED_AGE, '<p50, p95, p99>'): 'The same age when the results were published.',
    frames('in'): 'Images received since configure.',
    frames('out'): 'Frames published since configure.',
    LOST_ESTIMATE: 'Estimate, from gaps in the stamps, of images that were published but never '
    'reached the node.',
    **{frames(reason): meaning for reason, meaning in DROPS.items()},
    **{
        stage_ms(stage, '<p50, p95, p99>'): f'Time in ms: {meaning}; over the last 300 frames.'
        for stage, meaning in TIMES.items()
    },
    ESCAPED: 'Exceptions in callbacks since the start; the log names them.',
    CPU_BUSY: 'Share of all cores that anything used since the last report.',
    CPU_OWN: "The node's own share of all cores.",
    CPU_PRESSURE: 'Share of the last 10 s in which some task waited for a core (Linux PSI); high '
    'values mean that nodes compete for the CPU.',
    TEMPERATURE_C: 'The hottest thermal zone of the machine, where it has any.',
    POWER_MODE: 'Number of the nvpmodel power mode, on a Jetson.',
}
"""Every key, or pattern of keys, and what its value means."""

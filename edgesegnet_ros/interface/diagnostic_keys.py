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
AGE_MS_P50 = 'age_ms_p50'

DROPS: Dict[str, str] = {
    'replaced': 'A newer image arrived before inference of this one began.',
    'too_old': 'The image was older than max_age_ms.',
    'over_rate': 'The image arrived faster than max_rate_hz.',
    'unseen': 'No output had a subscriber (parameter lazy).',
    'discarded': 'The node was deactivated, or its engine failed, before publication.',
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
    AGE_MS_P50: "Median age of images on arrival by their stamp and the node's clock, in ms.",
    frames('in'): 'Images received since configure.',
    frames('out'): 'Frames published since configure.',
    **{frames(reason): meaning for reason, meaning in DROPS.items()},
    **{
        stage_ms(stage, '<p50, p95, p99>'): f'Time in ms: {meaning}; over the last 300 frames.'
        for stage, meaning in TIMES.items()
    },
}
"""Every key, or pattern of keys, and what its value means."""

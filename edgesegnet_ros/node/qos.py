"""Quality of service: overrides, and warnings about incompatible QoS and lost messages."""

from __future__ import annotations

import os
from typing import Any, Callable

from rclpy.qos import QoSPolicyKind, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions

from edgesegnet_ros import shipped

try:
    from rclpy.event_handler import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )
except ImportError:  # Humble
    from rclpy.qos_event import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )


def send_beside() -> None:
    """Let Fast DDS send in a separate thread; call this before the context is initialized.

    By default, publishing sends the message before it returns. With a stopped reader that took
    4 ms instead of 0.3 ms for a mask of 640x480, and once 3 s, in the segmentation thread. A value
    that is already set in the environment is kept.
    """
    os.environ.setdefault('RMW_FASTRTPS_PUBLICATION_MODE', 'ASYNCHRONOUS')


def overridable() -> QoSOverridingOptions:
    """Allow overrides of history, depth, reliability and durability as parameters."""
    return QoSOverridingOptions(
        policy_kinds=(
            QoSPolicyKind.HISTORY,
            QoSPolicyKind.DEPTH,
            QoSPolicyKind.RELIABILITY,
            QoSPolicyKind.DURABILITY,
        )
    )


def subscription_events(topic: str, warn: Callable[[str], None]) -> SubscriptionEventCallbacks:
    """Warn if a publisher offers less than a subscription requests, and about lost messages.

    Args:
        topic: Resolved name.
        warn: Logs a warning.
    """
    lost = 0

    def message_lost(event: Any) -> None:
        nonlocal lost
        # Warn again only when the count has doubled: a lasting fault must not fill the log.
        if event.total_count >= 2 * lost and event.total_count > 0:
            lost = event.total_count
            warn(f'{lost} messages on {topic} were lost between processes: {_why_lost()}')

    incompatible = _on_incompatible(
        warn,
        lambda policy: (
            f'a publisher of {topic} offers less {policy} than this node requests, so that none '
            f'of its messages arrive: remove qos_overrides.{topic}.subscription.{policy} from '
            f"this node's parameters, or raise it on the publisher (ros2 topic info -v {topic})"
        ),
    )
    return _Events(incompatible_qos=incompatible, message_lost=message_lost)


class _Events(SubscriptionEventCallbacks):
    """Omits the event of lost messages if the middleware does not support it."""

    def create_event_handlers(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().create_event_handlers(*args, **kwargs)
        except UnsupportedEventTypeError:
            self.message_lost = None
            return super().create_event_handlers(*args, **kwargs)


def _why_lost() -> str:
    """The likely cause, and the remedy."""
    fast_dds = os.environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp').startswith('rmw_fastrtps')
    if fast_dds and not any(os.environ.get(name) for name in shipped.FAST_DDS_VARIABLES):
        return (
            'large images do not fit into the default shared memory of Fast DDS; set '
            f'{shipped.FAST_DDS_VARIABLES[0]} ({shipped.FAST_DDS_VARIABLES[1]} before Kilted) to '
            f'{shipped.find("fastdds", "fastdds")} for the camera, this node and its subscribers'
        )
    return (
        'the network or the shared memory cannot hold them; use image_transport compressed, a '
        'lower rate, or see docs/troubleshooting.md'
    )


def publisher_events(topic: str, warn: Callable[[str], None]) -> PublisherEventCallbacks:
    """Warn if a subscriber requests more than a publisher offers.

    Args:
        topic: Resolved name.
        warn: Logs a warning.
    """
    incompatible = _on_incompatible(
        warn,
        lambda policy: (
            f'a subscriber of {topic} requests more {policy} than this node offers, so that it '
            f'receives nothing: set qos_overrides.{topic}.publisher.{policy} on this node, or '
            f'lower the request of the subscriber (ros2 topic info -v {topic})'
        ),
    )
    return PublisherEventCallbacks(incompatible_qos=incompatible)


def _on_incompatible(
    warn: Callable[[str], None], sentence: Callable[[str], str]
) -> Callable[[Any], None]:
    """Callback for incompatible QoS, which warns with a sentence about the policy."""

    def callback(event: Any) -> None:
        warn(sentence(qos_policy_name_from_kind(event.last_policy_kind).lower()))

    return callback

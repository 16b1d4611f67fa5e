"""Quality of service: what can be overridden, and what to do where two sides do not fit."""

from __future__ import annotations

from typing import Any, Callable

from rclpy.qos import QoSPolicyKind, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks


def overridable() -> QoSOverridingOptions:
    """History, depth, reliability and durability, as parameters below qos_overrides."""
    return QoSOverridingOptions(
        policy_kinds=(
            QoSPolicyKind.HISTORY,
            QoSPolicyKind.DEPTH,
            QoSPolicyKind.RELIABILITY,
            QoSPolicyKind.DURABILITY,
        )
    )


def subscription_events(topic: str, warn: Callable[[str], None]) -> SubscriptionEventCallbacks:
    """Warns where a publisher offers less than a subscription requests.

    Args:
        topic: Resolved name.
        warn: For the log.
    """

    def incompatible(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        warn(
            f'a publisher of {topic} offers less {policy} than this node requests, so that none '
            f'of its messages arrive: remove qos_overrides.{topic}.subscription.{policy} from '
            f"this node's parameters, or raise it on the publisher (ros2 topic info -v {topic})"
        )

    return SubscriptionEventCallbacks(incompatible_qos=incompatible)


def publisher_events(topic: str, warn: Callable[[str], None]) -> PublisherEventCallbacks:
    """Warns where a subscriber requests more than a publisher offers.

    Args:
        topic: Resolved name.
        warn: For the log.
    """

    def incompatible(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        warn(
            f'a subscriber of {topic} requests more {policy} than this node offers, so that it '
            f'receives nothing: set qos_overrides.{topic}.publisher.{policy} on this node, or '
            f'lower the request of the subscriber (ros2 topic info -v {topic})'
        )

    return PublisherEventCallbacks(incompatible_qos=incompatible)

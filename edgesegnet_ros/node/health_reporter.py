"""Publishes the diagnostics of the node, and warns once when a camera stops sending."""

from __future__ import annotations

from typing import Dict

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from edgesegnet_ros.node.diagnostics import SILENT_AFTER_S, NodeHealth, report, silence
from edgesegnet_ros.node.frame_statistics import FrameStatistics
from edgesegnet_ros.node.machine import Machine


class HealthReporter:
    """Publishes the diagnostics of one node.

    Args:
        node: The node, which publishes and logs.

    Attributes:
        publisher: Publisher of `/diagnostics`.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._machine = Machine()
        self._counts: Dict[str, int] = {}
        self._silent = False
        self.publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)

    def configured_anew(self) -> None:
        """Note that the node is configured again and the counters of frames start at 0."""
        self._counts = {}

    def activated(self) -> None:
        """Note an activation, after which a silent camera is warned about again."""
        self._silent = False

    def image_arrived(self, topic: str) -> None:
        """Log the first image after a silence."""
        if self._silent:
            self._silent = False
            self._node.get_logger().info(f'images are back on {topic}')

    def increase(self, what: str, statistics: FrameStatistics) -> int:
        """The change of a counter since the last call."""
        now = statistics.counts[what]
        before, self._counts[what] = self._counts.get(what, 0), now
        return now - before

    def report(self, health: NodeHealth, statistics: FrameStatistics) -> None:
        """Publish the diagnostics."""
        node = self._node
        silent = statistics.silent_for_s()
        if health.active_for_s is not None:
            silent = min(health.active_for_s, silent or health.active_for_s)
            if silent > SILENT_AFTER_S and not self._silent:
                self._silent = True
                node.get_logger().warning(silence(health, silent))
        name = node.get_fully_qualified_name()
        message = report(name, health, statistics, self._machine.values())
        message.header.stamp = node.get_clock().now().to_msg()
        self.publisher.publish(message)

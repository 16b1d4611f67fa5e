"""The public interface of the node: its parameters, its messages, its diagnostics.

The node, the demo, the replay and the launch files read the same definitions here. Nothing in this
package imports rclpy, so that a launch file or an offline tool can read them without a node.
"""

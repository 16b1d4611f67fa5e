"""Descriptors with which rclpy declares the parameters of the table."""

from __future__ import annotations

from typing import List

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from edgesegnet_ros.interface.parameter_table import NodeParameter


def descriptor(parameter: NodeParameter) -> ParameterDescriptor:
    """The descriptor that `ros2 param describe` shows."""
    result = ParameterDescriptor(
        description=parameter.description, additional_constraints=parameter.allowed
    )
    if parameter.range is not None:
        low, high = parameter.range
        if isinstance(parameter.default, int):
            whole = IntegerRange(from_value=int(low), to_value=int(high), step=0)
            result.integer_range = [whole]
        else:
            real = FloatingPointRange(from_value=low, to_value=high, step=0.0)
            result.floating_point_range = [real]
    return result


def declare_empty(node: Node, name: str, about: ParameterDescriptor) -> List[str]:
    """Declare a list that is empty in a parameter file, where ROS 2 gives `[]` no type."""
    node.undeclare_parameter(name)
    return list(node.declare_parameter(name, [''], about, ignore_override=True).value)

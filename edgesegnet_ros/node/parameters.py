"""Declaring the node's parameters, and judging what is set."""

from __future__ import annotations

from typing import Optional

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.interface.parameter_table import (
    ALL_GROUPS,
    BY_NAME,
    GROUP_PARAMETER,
    PARAMETERS,
    NodeParameter,
    NodeParameterError,
    shown,
)
from edgesegnet_ros.node.groups import declare_groups, group_objection


def descriptor(parameter: NodeParameter) -> ParameterDescriptor:
    """What `ros2 param describe` tells of a parameter."""
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


def declare(node: Node) -> None:
    """Declare all parameters.

    Raises:
        NodeParameterError: A value given at start is refused.
    """
    for parameter in PARAMETERS:
        try:
            value = node.declare_parameter(
                parameter.name, parameter.default, descriptor(parameter)
            ).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise NodeParameterError(
                f'parameter {parameter.name} is refused: {error}; allowed: {parameter.allowed}'
            ) from None
        objection = parameter.objection(value)
        if objection:
            raise NodeParameterError('parameter ' + objection)
    declare_groups(node, [n for n in node.get_parameter('groups').value if n != ALL_GROUPS])


def engine_request(node: Node) -> EngineRequest:
    """What the parameters ask of the engine."""
    fields = {name: node.get_parameter(name).value for name in EngineRequest._fields}
    fields['input_size'] = tuple(fields['input_size'])
    return EngineRequest(**fields)


def objection(node: Node, parameter: Parameter, configured: bool) -> Optional[str]:
    """Why setting `parameter` is refused, or None.

    Args:
        node: Holds the parameters.
        parameter: The new value.
        configured: Whether the node is beyond unconfigured.
    """
    name, value = parameter.name, parameter.value
    known = BY_NAME.get(name)
    if known is not None:
        if value is None:
            return f'{name} cannot be deleted'
        if configured and not known.live:
            return (
                f'{name} cannot change while the node is configured: clean up first '
                f'(ros2 lifecycle set {node.get_fully_qualified_name()} deactivate, '
                'then cleanup)'
            )
        return known.objection(value)
    if GROUP_PARAMETER.fullmatch(name):
        return group_objection(parameter)
    if node.has_parameter(name) or name.startswith('qos_overrides.'):
        return None
    return f'there is no parameter {shown(name)}'

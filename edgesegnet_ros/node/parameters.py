"""Declares the parameters of the node, and checks new values."""

from __future__ import annotations

import difflib
from typing import Any, Dict, List, Optional

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
from edgesegnet_ros.node.descriptors import declare_empty, descriptor
from edgesegnet_ros.node.groups import declare_groups, group_objection


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
            raise NodeParameterError(_refusal(node, parameter, error)) from None
        if value is None and isinstance(parameter.default, list):
            value = declare_empty(node, parameter.name, descriptor(parameter))
        objection = parameter.objection(value)
        if objection:
            raise NodeParameterError('parameter ' + objection)
    named = node.get_parameter('groups').value
    declare_groups(node, [name for name in named if name not in (ALL_GROUPS, '')])


def _refusal(node: Node, parameter: NodeParameter, error: Exception) -> str:
    """Why a value given at start is refused, and how to write it correctly."""
    given = _overrides(node).get(parameter.name)
    if given is not None and type(given.value) is int and isinstance(parameter.default, float):
        return (
            f'parameter {parameter.name} = {given.value} is refused: it is a floating-point '
            f'number; write {float(given.value)}'
        )
    return f'parameter {parameter.name} is refused: {error}; allowed: {parameter.allowed}'


def _overrides(node: Node) -> Dict[str, Parameter]:
    """Overrides from parameter files and the command line; rclpy has no public name for them."""
    return dict(getattr(node, '_parameter_overrides', {}))


def misspelt(node: Node) -> List[str]:
    """A sentence for each parameter given at start that this node does not have.

    A file for all nodes (`/**`) also names parameters of other nodes, so names that resemble no
    parameter of this node are ignored.
    """
    sentences = []
    for name in sorted(_overrides(node)):
        if node.has_parameter(name) or GROUP_PARAMETER.fullmatch(name):
            continue
        nearest = difflib.get_close_matches(name, list(BY_NAME), 1, 0.75)
        if nearest:
            sentences.append(
                f'parameter {name!r} was given, but this node has none of that name, so it has no '
                f'effect; did you mean {nearest[0]!r}?'
            )
    return sentences


def engine_request(node: Node) -> EngineRequest:
    """The engine request of the parameters."""
    fields = {name: node.get_parameter(name).value for name in EngineRequest._fields}
    fields['input_size'] = tuple(fields['input_size'])
    return EngineRequest(**fields)


def _equal(one: Any, other: Any) -> bool:
    """Whether two values of a parameter are equal; lists may also be arrays."""
    if isinstance(one, str) or not hasattr(one, '__iter__') or not hasattr(other, '__iter__'):
        return bool(one == other)
    return list(one) == list(other)


def objection(node: Node, parameter: Parameter, configured: bool) -> Optional[str]:
    """Why setting `parameter` is refused, or None.

    Args:
        node: The node that has the parameters.
        parameter: The new value.
        configured: Whether the node is configured.
    """
    name, value = parameter.name, parameter.value
    known = BY_NAME.get(name)
    if known is not None:
        if value is None:
            return f'{name} cannot be deleted'
        if configured and not known.live and not _equal(value, node.get_parameter(name).value):
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

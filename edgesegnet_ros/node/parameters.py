"""Declaring the node's parameters, and judging what is set."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from edgesegnet_ros.data.classes import ClassSet, valid_group_name
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.interface.parameter_table import (
    ALL_GROUPS,
    BY_NAME,
    GROUP_CLASSES,
    GROUP_CLASSES_DESCRIPTION,
    PARAMETERS,
    NodeParameter,
)


class NodeParameterError(EdgeSegNetError):
    """A parameter's value that is refused; the message has name, value and what is allowed."""


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


def declare_groups(node: Node, names: List[str]) -> None:
    """Declare `group.<name>.classes` for groups whose classes may be given as parameters.

    Raises:
        NodeParameterError: A group's name cannot name a topic, or its classes are no texts.
    """
    for name in names:
        if not valid_group_name(name):
            raise NodeParameterError(
                f"groups: {name!r} is refused: a group's name is made of letters, digits and "
                'underscores and begins with a letter, since it names a topic'
            )
        full = f'group.{name}.classes'
        if not node.has_parameter(full):
            about = ParameterDescriptor(description=GROUP_CLASSES_DESCRIPTION)
            try:
                node.declare_parameter(full, [''], about)
            except (InvalidParameterTypeException, InvalidParameterValueException) as error:
                raise NodeParameterError(f'parameter {full} is refused: {error}') from None


def engine_request(node: Node) -> EngineRequest:
    """What the parameters ask of the engine."""
    fields = {name: node.get_parameter(name).value for name in EngineRequest._fields}
    fields['input_size'] = tuple(fields['input_size'])
    return EngineRequest(**fields)


def resolve_groups(
    node: Node, classes: ClassSet, changes: Optional[Dict[str, Any]] = None
) -> Dict[str, Tuple[int, ...]]:
    """The groups that get a mask: name -> class ids.

    Args:
        node: Holds the parameters.
        classes: Gives groups that the parameters do not.
        changes: Values that are about to be set.

    Raises:
        NodeParameterError: A group without classes.
        ClassFileError: A class that is not there.
    """
    changes = changes or {}
    named = list(changes.get('groups', node.get_parameter('groups').value))
    names: List[str] = []
    for name in named:
        names.extend(classes.groups if name == ALL_GROUPS else [name])
    result: Dict[str, Tuple[int, ...]] = {}
    for name in dict.fromkeys(name for name in names if name):
        full = f'group.{name}.classes'
        stored = node.get_parameter(full).value if node.has_parameter(full) else None
        given = [text for text in changes.get(full, stored) or [] if text]
        if not valid_group_name(name):
            raise NodeParameterError(f'groups: {name!r} cannot name a topic')
        if given:
            result[name] = classes.ids(given)
        elif name in classes.groups:
            result[name] = classes.groups[name]
        else:
            raise NodeParameterError(
                f'group {name!r} has no classes: set {full} first, or name a group of the class '
                f'file ({", ".join(classes.groups) or "it has none"})'
            )
    return result


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
            return f'{name} cannot be taken away'
        if configured and not known.live:
            return (
                f'{name} cannot change while the node is configured: clean up first '
                f'(ros2 lifecycle set {node.get_fully_qualified_name()} deactivate, '
                'then cleanup)'
            )
        return known.objection(value)
    if GROUP_CLASSES.fullmatch(name):
        if value is not None and parameter.type_ != Parameter.Type.STRING_ARRAY:
            return f'{name} = {value!r} is refused: a list of class names'
        return None
    if node.has_parameter(name) or name.startswith('qos_overrides.'):
        return None
    return f'there is no parameter {name!r}'

"""Groups of classes with a mask each: their parameters and their classes."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from edgesegnet_ros.data.classes import ClassSet, valid_group_name
from edgesegnet_ros.data.masks import Group
from edgesegnet_ros.interface.parameter_table import (
    ALL_GROUPS,
    GROUP_PARAMETER,
    INSIDE,
    NodeParameter,
    NodeParameterError,
    group_parameters,
    shown,
)
from edgesegnet_ros.node.descriptors import declare_empty, descriptor


def declare_groups(node: Node, names: List[str]) -> None:
    """Declare `group.<name>.…` for each group.

    Raises:
        NodeParameterError: The name of a group cannot name a topic, or a value is refused.
    """
    for name in names:
        if not valid_group_name(name):
            raise NodeParameterError(
                f'groups: {shown(name)} is refused: the name of a group names a topic; it is made '
                'of letters, digits and underscores and begins with a letter'
            )
        for parameter in group_parameters(name):
            if not node.has_parameter(parameter.name):
                _declare(node, parameter)


def _declare(node: Node, parameter: NodeParameter) -> None:
    about = descriptor(parameter)
    try:
        value = node.declare_parameter(parameter.name, parameter.default, about).value
        if value is None and isinstance(parameter.default, list):
            value = declare_empty(node, parameter.name, about)
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        raise NodeParameterError(
            f'parameter {parameter.name} is refused: {error}; allowed: {parameter.allowed}'
        ) from None
    refused = parameter.objection(value)
    if refused:
        raise NodeParameterError('parameter ' + refused)


def resolve_groups(
    node: Node, classes: ClassSet, changes: Optional[Dict[str, Any]] = None
) -> Dict[str, Group]:
    """The groups that get a mask, by name.

    Args:
        node: The node that has the parameters.
        classes: Class set, whose groups are used if the parameters do not define a group.
        changes: Values that are about to be set.

    Raises:
        NodeParameterError: A group has no classes.
        ClassFileError: A class does not exist.
    """
    changes = changes or {}

    def value(name: str, default: Any) -> Any:
        stored = node.get_parameter(name).value if node.has_parameter(name) else None
        found = changes.get(name, stored)
        return default if found is None else found

    named: List[str] = []
    for name in value('groups', []):
        named.extend(classes.groups if name == ALL_GROUPS else [name])
    result: Dict[str, Group] = {}
    for name in dict.fromkeys(name for name in named if name):
        full = f'group.{name}.classes'
        if not valid_group_name(name):
            raise NodeParameterError(f'groups: {shown(name)} cannot name a topic')
        given = [text for text in value(full, []) if text]
        if given:
            ids = classes.ids(given)
        elif name in classes.groups:
            ids = classes.groups[name]
        else:
            raise NodeParameterError(
                f'group {shown(name)} has no classes: set {full} first, or name a group of the '
                f'class file ({", ".join(classes.groups) or "it has none"})'
            )
        _, unlabeled, certain = (
            value(parameter.name, parameter.default) for parameter in group_parameters(name)
        )
        result[name] = Group(ids, unlabeled == INSIDE, certain)
    return result


def group_objection(parameter: Parameter) -> Optional[str]:
    """Why a parameter of a group is refused; None if it is accepted or not of a group."""
    found = GROUP_PARAMETER.fullmatch(parameter.name)
    if found is None or parameter.value is None:
        return None
    known = next(one for one in group_parameters(found['name']) if one.name == parameter.name)
    # rclpy cannot check the type of a parameter that is not declared yet.
    type_ = Parameter.Type.from_parameter_value(known.default)
    if parameter.type_ != type_:
        return f'{known.name} = {shown(parameter.value)} is refused: {known.allowed}'
    return known.objection(parameter.value)

"""Groups of classes that get a mask each: their parameters, and what they resolve to."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from edgesegnet_ros.data.classes import ClassSet, valid_group_name
from edgesegnet_ros.interface.parameter_table import (
    ALL_GROUPS,
    GROUP_CLASSES_DESCRIPTION,
    GROUP_PARAMETER,
    GROUP_UNLABELED_DESCRIPTION,
    INSIDE,
    OUTSIDE,
    NodeParameterError,
    shown,
)


class Group(NamedTuple):
    """A group with its safety rule.

    Attributes:
        ids: Class ids.
        with_unlabeled: Whether unlabelled pixels are part of its mask: a drivable mask must not
            contain any, a mask of obstacles may have to contain all.
    """

    ids: Tuple[int, ...]
    with_unlabeled: bool = False


def declare_empty(node: Node, name: str, about: ParameterDescriptor) -> List[str]:
    """Declare a list that a parameter file leaves empty: ROS 2 gives `[]` no type."""
    node.undeclare_parameter(name)
    return list(node.declare_parameter(name, [''], about, ignore_override=True).value)


def declare_groups(node: Node, names: List[str]) -> None:
    """Declare `group.<name>.classes` and `group.<name>.unlabeled`.

    Raises:
        NodeParameterError: A group's name cannot name a topic, or a value is refused.
    """
    for name in names:
        if not valid_group_name(name):
            raise NodeParameterError(
                f'groups: {shown(name)} is refused: the name of a group names a topic; it is made '
                'of letters, digits and underscores and begins with a letter'
            )
        for what, default, description in (
            ('classes', [''], GROUP_CLASSES_DESCRIPTION),
            ('unlabeled', OUTSIDE, GROUP_UNLABELED_DESCRIPTION),
        ):
            full = f'group.{name}.{what}'
            if node.has_parameter(full):
                continue
            try:
                about = ParameterDescriptor(description=description)
                value = node.declare_parameter(full, default, about).value
                if value is None and what == 'classes':
                    declare_empty(node, full, about)
            except (InvalidParameterTypeException, InvalidParameterValueException) as error:
                raise NodeParameterError(f'parameter {full} is refused: {error}') from None
            if what == 'unlabeled' and value not in (INSIDE, OUTSIDE):
                raise NodeParameterError('parameter ' + _refused(full, value))


def resolve_groups(
    node: Node, classes: ClassSet, changes: Optional[Dict[str, Any]] = None
) -> Dict[str, Group]:
    """The groups that get a mask, by name.

    Args:
        node: Holds the parameters.
        classes: Gives groups that the parameters do not.
        changes: Values that are about to be set.

    Raises:
        NodeParameterError: A group without classes.
        ClassFileError: A class that is not there.
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
        result[name] = Group(ids, value(f'group.{name}.unlabeled', OUTSIDE) == INSIDE)
    return result


def group_objection(parameter: Parameter) -> Optional[str]:
    """Why a parameter of a group is refused; None where it is accepted or is none."""
    found = GROUP_PARAMETER.fullmatch(parameter.name)
    if found is None or parameter.value is None:
        return None
    if found['what'] == 'unlabeled':
        fine = parameter.value in (INSIDE, OUTSIDE)
    else:
        fine = parameter.type_ == Parameter.Type.STRING_ARRAY
    return None if fine else _refused(parameter.name, parameter.value)


def _refused(name: str, value: object) -> str:
    allowed = f'{OUTSIDE} or {INSIDE}' if name.endswith('.unlabeled') else 'a list of class names'
    return f'{name} = {shown(value)} is refused: {allowed}'

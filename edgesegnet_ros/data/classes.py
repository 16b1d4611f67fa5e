"""Class files: names, colours and groups of the network's outputs.

A class file is YAML with `name`, `classes` (a list of `{id, name, color}`), optionally `groups`
(name -> list of class names) and `ignored` (names of outputs that are never shown). Every error in
a file is reported with its line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, NoReturn, Optional, Tuple, Union

import numpy as np

from edgesegnet_ros import shipped
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.lined_yaml import Lines, read_lines

VOID = 255
"""Class id of pixels without a class: void in ground truth, unlabelled in results."""


class ClassFileError(EdgeSegNetError):
    """A class file that cannot be used; the message names the file and the line."""


class SegmentationClass(NamedTuple):
    """One output of the network.

    Attributes:
        id: Value in masks and label images, 0-254; 255 is reserved for unlabelled pixels.
        name: Unique in its file.
        color: Red, green and blue, 0-255.
    """

    id: int
    name: str
    color: Tuple[int, int, int]


class ClassSet(NamedTuple):
    """The content of a class file.

    Attributes:
        name: Name of the set; weights files name the set they were trained for.
        classes: In the order of their ids, which are 0, 1, 2, …
        groups: Name -> ids of its classes, ascending.
        ignored: Ids that become 255 in every mask.
    """

    name: str
    classes: Tuple[SegmentationClass, ...]
    groups: Dict[str, Tuple[int, ...]]
    ignored: Tuple[int, ...] = ()

    @property
    def palette(self) -> np.ndarray:
        """(256, 3) uint8 RGB; black for ids without a class."""
        palette = np.zeros((256, 3), np.uint8)
        for entry in self.classes:
            palette[entry.id] = entry.color
        palette[list(self.ignored)] = 0
        return palette

    @property
    def names(self) -> List[str]:
        """Names of the classes in the order of their ids."""
        return [entry.name for entry in self.classes]

    def as_document(self) -> Dict[str, Any]:
        """The content of a class file of this set, for the header of a weights file."""
        names = self.names
        return {
            'name': self.name,
            'classes': [
                {'id': one.id, 'name': one.name, 'color': list(one.color)} for one in self.classes
            ],
            'groups': {group: [names[i] for i in ids] for group, ids in self.groups.items()},
            'ignored': [names[i] for i in self.ignored],
        }

    def ids(self, class_names: List[str]) -> Tuple[int, ...]:
        """Ids of classes by name, ascending.

        Raises:
            ClassFileError: A name that no class has.
        """
        known = {entry.name: entry.id for entry in self.classes}
        unknown = [name for name in class_names if name not in known]
        if unknown:
            raise ClassFileError(
                f'no class of {self.name} is named {", ".join(map(repr, unknown))}; there are '
                f'{", ".join(known)}'
            )
        return tuple(sorted(known[name] for name in class_names))


class _Reader:
    """Parses one class file into a ClassSet, or refuses it with the line of the error."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def refuse(self, line: int, reason: str) -> NoReturn:
        raise ClassFileError(f'{self.path}:{line}: {reason}')

    def document(self) -> Lines:
        if not self.path.exists():
            raise ClassFileError(
                f'{self.path}: no such class file; shipped are '
                f'{", ".join(shipped.names("classes"))}'
            )
        document = read_lines(self.path, ClassFileError)
        if not isinstance(document, Lines):
            self.refuse(1, 'a class file is a mapping with name, classes and groups')
        return document

    def one_class(self, entry: object, line: int) -> SegmentationClass:
        if not isinstance(entry, Lines):
            self.refuse(line, 'each class is {id: 0, name: road, color: [128, 64, 128]}')
        for key in ('id', 'name', 'color'):
            if key not in entry:
                self.refuse(entry.line, f'this class has no {key}')
        number, name, color = entry['id'], entry['name'], entry['color']
        if type(number) is not int or not 0 <= number < VOID:
            self.refuse(entry.key_lines['id'], f'id {number!r}: a whole number from 0 to 254')
        if not isinstance(name, str) or not name:
            self.refuse(entry.key_lines['name'], f'name {name!r}: a non-empty text')
        if (
            not isinstance(color, list)
            or len(color) != 3
            or any(type(value) is not int or not 0 <= value <= 255 for value in color)
        ):
            self.refuse(
                entry.key_lines['color'], f'color {color!r}: [red, green, blue], each 0 to 255'
            )
        return SegmentationClass(number, name, tuple(color))

    def classes(self, document: Lines) -> Tuple[SegmentationClass, ...]:
        line = document.key_lines.get('classes', document.line)
        entries = document.get('classes')
        if not isinstance(entries, list) or not entries:
            self.refuse(line, 'classes is missing or not a list')
        found: List[SegmentationClass] = []
        for entry in entries:
            one = self.one_class(entry, line)
            for other in found:
                if other.id == one.id:
                    self.refuse(
                        entry.key_lines['id'],
                        f'id {one.id} of {one.name} is already the id of {other.name}',
                    )
                if other.name == one.name:
                    self.refuse(entry.key_lines['name'], f'a second class is named {one.name}')
            found.append(one)
        found.sort()
        for expected, one in enumerate(found):
            if one.id != expected:
                self.refuse(line, f'no class has the id {expected}; ids run from 0 without a gap')
        return tuple(found)

    def members(
        self, document: Lines, classes: ClassSet, what: str, names: object, line: int
    ) -> Tuple[int, ...]:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.refuse(line, f'{what} must be a list of class names')
        try:
            return classes.ids(names)
        except ClassFileError as error:
            self.refuse(line, f'{what}: {error}')

    def read(self) -> ClassSet:
        document = self.document()
        name = document.get('name')
        if not isinstance(name, str) or not name:
            self.refuse(document.line, 'name is missing: it is what weights files refer to')
        result = ClassSet(name, self.classes(document), {})
        groups = document.get('groups', Lines())
        if not isinstance(groups, Lines):
            self.refuse(document.key_lines['groups'], 'groups maps names to lists of class names')
        for group, names in groups.items():
            line = groups.key_lines[group]
            if not valid_group_name(group):
                self.refuse(
                    line,
                    f'group {group!r}: a name of letters, digits and underscores '
                    'that begins with a letter, since it names a topic',
                )
            result.groups[group] = self.members(document, result, f'group {group}', names, line)
        ignored = self.members(
            document,
            result,
            'ignored',
            document.get('ignored', []),
            document.key_lines.get('ignored', document.line),
        )
        return result._replace(ignored=ignored)


def class_set_of(document: Dict[str, Any], where: str) -> ClassSet:
    """The class set of a document that `ClassSet.as_document` made.

    Args:
        document: Content of a class file.
        where: The file that holds it, for messages.

    Raises:
        ClassFileError: The document is not valid.
    """
    try:
        classes = tuple(
            SegmentationClass(int(one['id']), str(one['name']), tuple(one['color']))
            for one in document['classes']
        )
        found = ClassSet(str(document['name']), classes, {})
        groups = {name: found.ids(members) for name, members in document['groups'].items()}
        return found._replace(groups=groups, ignored=found.ids(document['ignored']))
    except (KeyError, TypeError, ValueError, AttributeError, ClassFileError) as error:
        raise ClassFileError(
            f'{where}: the class set that it holds cannot be read ({error})'
        ) from None


def valid_group_name(name: Optional[object]) -> bool:
    """Whether `name` can be part of a topic name (ROS 2 topic and service names)."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= 64
        and name.isascii()
        and name.replace('_', 'a').isalnum()
        and name[0].isalpha()
        and '__' not in name
    )


def load_classes(name_or_path: Union[str, Path]) -> ClassSet:
    """Read a class file.

    Args:
        name_or_path: Name of a shipped file (`camvid11`, `camvid32`) or a path.

    Raises:
        ClassFileError: The file cannot be used; the message names file and line.
        ShippedFileError: No shipped file has that name.
    """
    return _Reader(shipped.find('classes', str(name_or_path))).read()

"""YAML with line numbers, so that errors can name the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Hashable, Type

import yaml

from edgesegnet_ros.errors import EdgeSegNetError


class Lines(dict):
    """A mapping that knows its line in the file, and that of each key."""

    line = 0
    key_lines: Dict[Any, int] = {}


class _LineLoader(yaml.SafeLoader):
    """Safe YAML whose mappings are `Lines`."""


def _mapping(loader: _LineLoader, node: yaml.MappingNode) -> Lines:
    mapping = Lines()
    mapping.line = node.start_mark.line + 1
    mapping.key_lines = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(
                None,
                None,
                'a key must be a plain value, not a list or mapping',
                key_node.start_mark,
            )
        mapping[key] = loader.construct_object(value_node, deep=True)
        mapping.key_lines[key] = key_node.start_mark.line + 1
    return mapping


_LineLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_lines(path: Path, error: Type[EdgeSegNetError]) -> Any:
    """The document in a YAML file, with mappings as `Lines`.

    Args:
        path: The file; the caller checks that it exists.
        error: Exception class for a file that cannot be read or is not YAML.
    """
    try:
        with path.open(encoding='utf-8') as file:
            return yaml.load(file, _LineLoader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f'{path}: cannot be read ({problem})') from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, 'problem_mark', None)
        text = getattr(problem, 'problem', None) or str(problem)
        raise error(f'{path}:{mark.line + 1 if mark else 1}: not YAML: {text}') from None
    except RecursionError:
        raise error(f'{path}:1: lists or mappings are nested too deeply') from None

"""Checks parameter files before rcl reads them, which would print a stack trace."""

from __future__ import annotations

from pathlib import Path
from typing import List

import yaml

from edgesegnet_ros.errors import EdgeSegNetError

_EXAMPLE = '/**:\n  ros__parameters:\n    engine: auto'


class ParameterFileError(EdgeSegNetError):
    """A parameter file cannot be read; the message names the file and the line."""


def check_files(arguments: List[str]) -> None:
    """Check every file that the arguments name with --params-file.

    Args:
        arguments: Arguments of the command line.

    Raises:
        ParameterFileError: A file is missing, is not YAML, or lacks `ros__parameters`.
    """
    for word, following in zip(arguments, arguments[1:]):
        if word == '--params-file':
            _check(Path(following))


def _check(path: Path) -> None:
    try:
        text = path.read_text(encoding='utf-8')
        # Without regard to tags, as rcl reads it: launch_ros writes lists as !!python/tuple.
        document = yaml.BaseLoader(text).get_single_data()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or str(error)
        raise ParameterFileError(f'{path}: cannot be read ({reason})') from None
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        line = mark.line + 1 if mark else 1
        lines = text.splitlines()
        tab = line <= len(lines) and '\t' in lines[line - 1]
        reason = 'YAML is indented with spaces, and this line has a tab' if tab else str(error)
        raise ParameterFileError(f'{path}:{line}: {" ".join(reason.split())}') from None
    if document is None:
        return
    if not isinstance(document, dict):
        raise ParameterFileError(f'{path}:1: not a mapping; a parameter file begins\n{_EXAMPLE}')
    for name, content in document.items():
        if not _has_parameters(content):
            raise ParameterFileError(
                f'{path}: under {name!r} there is no `ros__parameters`; a parameter file begins\n'
                + _EXAMPLE
            )


def _has_parameters(content: object) -> bool:
    """Whether a node, or each node of a namespace, has parameters."""
    if not isinstance(content, dict):
        return False
    if 'ros__parameters' in content:
        return True
    return bool(content) and all(_has_parameters(inner) for inner in content.values())

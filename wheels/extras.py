"""The extras of setup.py that each use of the environment requires."""

from __future__ import annotations

from workspace import Workspace

COMMANDS = ('bags', 'data', 'jpeg', 'onnx', 'openvino', 'report', 'train')
"""Extras of `edgesegnet` on a workstation; a command that requires more names its extra."""
SETS = {
    'commands': COMMANDS,
    'node-tests': (*COMMANDS, 'test'),
    'all': (
        *COMMANDS,
        'bench',
        'cluster',
        'explore',
        'int8',
        'postgresql',
        'view',
        'test',
        'lint',
    ),
}


def wanted_extras(workspace: Workspace, name: str) -> tuple[str, ...]:
    """The extras of a set, and those that are installed already, which are never removed."""
    there = (workspace.stamp('extras') or '').split(',')
    return tuple(sorted({*SETS[name], *filter(None, there)}))

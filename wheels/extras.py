"""Which extras of setup.py each use of the environment asks for."""

from __future__ import annotations

from workspace import Workspace

COMMANDS = ('bags', 'data', 'jpeg', 'onnx', 'openvino', 'report', 'train')
"""What `edgesegnet` asks for on a workstation; a command that wants more names its extra."""
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
    """The extras of a set, and those that are there already: none is ever taken away."""
    there = (workspace.stamp('extras') or '').split(',')
    return tuple(sorted({*SETS[name], *filter(None, there)}))

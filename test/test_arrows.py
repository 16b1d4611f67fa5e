"""Imports point one way between subpackages, and there are no import circles."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = 'edgesegnet_ros'
# Modules beside the subpackages. They know no subpackage, and every subpackage may import them.
COMMON = {
    'arguments',
    'atomic_file',
    'child_process',
    'errors',
    'extras',
    'lined_yaml',
    'shipped',
    PACKAGE,
}
SUBPACKAGES = {
    'network': set(),
    'data': set(),
    'engines': {'network', 'data'},
    'interface': {'network', 'data', 'engines'},
    'evaluation': {'network', 'data', 'engines', 'interface', 'demo', 'view'},
    'training': {'network', 'data', 'engines', 'evaluation'},
    'prediction': {'network', 'data', 'engines', 'evaluation'},
    'exploration': {'network', 'data', 'engines', 'evaluation', 'training'},
    'demo': {'network', 'data', 'engines', 'interface'},
    'view': {'data', 'engines', 'interface', 'demo'},
    'doctor': {'data', 'engines', 'interface', 'demo'},
    'node': {'network', 'data', 'engines', 'interface'},
    'cli': set(),
}
# One module that needs more than its subpackage does, and why.
EXCEPTIONS = {
    # The node's side of `edgesegnet replay --live` writes and scores what offline replay does.
    ('node.collector', 'evaluation'),
    # The node's side of `edgesegnet view` logs as the side without ROS does.
    ('node.view_feed', 'view'),
}


def modules():
    """Dotted name within the package -> file."""
    files = sorted((ROOT / PACKAGE).rglob('*.py'))
    names = ['.'.join(file.relative_to(ROOT).with_suffix('').parts) for file in files]
    return {name.removesuffix('.__init__'): file for name, file in zip(names, files, strict=True)}


MODULES = modules()


def imported(name):
    """What a module imports, at its top or in a function: modules of this package, and others."""
    file = MODULES[name]
    package = name if file.stem == '__init__' else name.rpartition('.')[0]
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split('.')[: len(package.split('.')) + 1 - node.level]
            module = '.'.join([*(parents if node.level else []), *filter(None, [node.module])])
            for alias in node.names:
                inner = f'{module}.{alias.name}'
                yield inner if inner in MODULES else module


IMPORTS = {name: set(imported(name)) for name in MODULES}


def short(name):
    return name.removeprefix(PACKAGE + '.')


def subpackage(name):
    return short(name).split('.')[0]


def test_a_module_imports_only_allowed_subpackages():
    wrong = []
    for name, targets in IMPORTS.items():
        subpackages = {subpackage(target) for target in targets if target.split('.')[0] == PACKAGE}
        subpackages -= COMMON | {subpackage(name), 'msg'}
        subpackages -= {target for source, target in EXCEPTIONS if source == short(name)}
        allowed = set() if subpackage(name) in COMMON else SUBPACKAGES[subpackage(name)]
        wrong += [f'{short(name)} imports {each}' for each in sorted(subpackages - allowed)]
    assert not wrong


def test_no_circles():
    graph = {
        name: {target for target in targets if target in MODULES and target != name}
        for name, targets in IMPORTS.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(' -> '.join(map(short, reversed(error.args[1]))))


def test_only_the_node_imports_rclpy():
    users = {
        subpackage(name) for name in MODULES if 'rclpy' in {t.split('.')[0] for t in IMPORTS[name]}
    }
    assert users <= {'node'}


def test_every_room_has_its_arrows():
    assert {subpackage(name) for name in MODULES} <= set(SUBPACKAGES) | COMMON

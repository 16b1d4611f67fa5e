"""ARCHITECTURE.md names files and symbols that exist, and draws the arrows that are tested."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from test_arrows import COMMON, SUBPACKAGES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'ARCHITECTURE.md').read_text(encoding='utf-8')
PLACE = re.compile(r'`([\w./-]+/[\w./-]*?)(?::(\w+))?`')
PLACES = sorted(set(PLACE.findall(PAGE)))


def defined(file: Path) -> set[str]:
    """What a module defines at its top level."""
    names = set()
    for node in ast.parse(file.read_text(encoding='utf-8')).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def exists(path: str, symbol: str) -> bool:
    """Whether what the page names exists: a path, or a name that a module defines."""
    place = ROOT / path
    if not place.exists():
        # A subpackage is named without the package's folder.
        place = ROOT / 'edgesegnet_ros' / path
    return place.exists() and (not symbol or symbol in defined(place))


@pytest.mark.parametrize(('path', 'symbol'), PLACES)
def test_each_named_place_exists(path, symbol):
    assert exists(path, symbol), f'ARCHITECTURE.md names {path} {symbol}, which does not exist'


def test_a_missing_path_or_name_is_detected():
    assert not exists('edgesegnet_ros/data/encodings.py', 'Gone')
    assert not exists('edgesegnet_ros/gone.py', '')


def test_where_to_add_an_encoding_a_parameter_and_an_engine_is_named():
    sections = {
        'An image encoding': ('edgesegnet_ros/data/encodings.py', 'ENCODINGS'),
        'A parameter of the node': ('edgesegnet_ros/interface/parameter_table.py', 'SECTIONS'),
        'An engine': ('edgesegnet_ros/engines/request.py', 'BACK_ENDS'),
    }
    for title, target in sections.items():
        paragraph = re.search(rf'\*\*{title}.*?(?=\n\n)', PAGE, re.DOTALL)
        assert paragraph and target in PLACE.findall(paragraph[0]), title


def test_the_table_of_imports_is_that_of_the_arrows_test():
    rows = re.findall(r'^\| `(\w+)` \| .+? \| (.*?) ?\|$', PAGE, re.MULTILINE)
    drawn = {subpackage: set(re.findall(r'`(\w+)`', allowed)) for subpackage, allowed in rows}
    assert drawn == {
        subpackage: allowed
        for subpackage, allowed in SUBPACKAGES.items()
        if subpackage not in COMMON | {'cli'}
    }

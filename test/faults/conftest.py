"""Faults in one node in this process; in real ones where the process itself is at fault."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The fixtures of the node's tests serve these, too.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'node'))

from in_process import InProcess
from node_fixtures import in_process, launch, pytest_collection_modifyitems

__all__ = ['in_process', 'launch', 'pytest_collection_modifyitems']


@pytest.fixture(scope='module')
def shared():
    """One active node for the faults that leave it as it was."""
    node = InProcess({})
    node.active()
    yield node
    node.close()

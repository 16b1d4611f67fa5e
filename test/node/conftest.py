"""The node's tests: real processes, real DDS."""

from __future__ import annotations

import pytest
from node_fixtures import (  # beside this file, whose folder pytest puts on the path
    in_process,
    launch,
    pytest_collection_modifyitems,
)

from edgesegnet_ros.data.street import Street

__all__ = ['in_process', 'launch', 'pytest_collection_modifyitems']


@pytest.fixture(scope='session')
def street_frame():
    """One labelled picture of a street that was never trained on."""
    return Street(7, (360, 480)).frame(20)

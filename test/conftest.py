"""What tests share."""

import os
from pathlib import Path

import pytest

from edgesegnet_ros.data.camvid import ENVIRONMENT_VARIABLE


@pytest.fixture(scope='session')
def camvid() -> Path:
    """The CamVid folder; without it what needs it is skipped, and says so."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if not named:
        pytest.skip(f'SKIPPED FOR WANT OF DATA: set {ENVIRONMENT_VARIABLE} to a CamVid folder')
    return Path(named)

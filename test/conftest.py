"""What tests share."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from edgesegnet_ros.data.camvid import ENVIRONMENT_VARIABLE
from edgesegnet_ros.engines import cache

# Tests that run side by side take no part in each other's graph.
WORKER = os.environ.get('PYTEST_XDIST_WORKER', 'gw0')
if 'ROS_DOMAIN_ID' in os.environ:
    domain = int(os.environ['ROS_DOMAIN_ID']) + 25 * int(WORKER[2:])
    os.environ['ROS_DOMAIN_ID'] = str((domain - 1) % 100 + 1)

# How long an example takes says nothing on a machine that does other work.
settings.register_profile('busy', deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile('busy')

# A shell's background jobs ignore Ctrl-C, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session')
def camvid() -> Path:
    """The CamVid folder; without it what needs it is skipped, and says so."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if not named:
        pytest.skip(f'SKIPPED FOR WANT OF DATA: set {ENVIRONMENT_VARIABLE} to a CamVid folder')
    return Path(named)


@pytest.fixture(scope='session')
def torch2trt():
    """torch2trt over a TensorRT; without them what needs them is skipped, and says so."""
    try:
        import tensorrt  # noqa: F401
        import torch2trt
    except Exception as error:  # shared libraries that do not fit raise more than ImportError
        pytest.skip(f'SKIPPED FOR WANT OF torch2trt AND TensorRT: {error}')
    return torch2trt


@pytest.fixture(scope='session', autouse=True)
def engine_cache(tmp_path_factory) -> Path:
    """Engines that tests build are kept for this run alone, whoever's home it runs in."""
    folder = tmp_path_factory.mktemp('engines')
    os.environ[cache.ENVIRONMENT_VARIABLE] = str(folder)
    return folder

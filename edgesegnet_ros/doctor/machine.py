"""The machine: processor, accelerator, ROS 2 and its transport."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from pathlib import Path
from typing import Iterator, Mapping, Optional

from edgesegnet_ros.demo.domain import ros_distribution
from edgesegnet_ros.doctor.finding import ERROR, OK, WARNING, Finding
from edgesegnet_ros.engines import cpu
from edgesegnet_ros.extras import install
from edgesegnet_ros.shipped import FAST_DDS_VARIABLES

TESTED_DISTRIBUTIONS = ('humble', 'jazzy', 'kilted', 'lyrical')
LEAST_SHARED_MEMORY = 64 * 1024**2
"""Bytes of /dev/shm that several segments of config/fastdds.xml require."""


def findings(environment: Optional[Mapping[str, str]] = None) -> Iterator[Finding]:
    """Findings about the machine.

    Args:
        environment: Environment variables; None for those of this process.
    """
    environment = os.environ if environment is None else environment
    yield _processor()
    yield _accelerator()
    yield from _ros(environment)
    yield from _transport(environment)


def _processor() -> Finding:
    formats = [
        name
        for name, there in (
            ('bf16', cpu.has_bf16()),
            ('fp16', cpu.has_fp16()),
            ('int8 dot product', cpu.has_int8_dot_product()),
        )
        if there
    ]
    computes = ', '.join(['fp32', *formats])
    message = f'{cpu.name()}, {cpu.cores()} usable cores, computes in {computes}'
    if platform.machine() == 'x86_64' and 'avx2' not in cpu.flags():
        return Finding(
            WARNING,
            'processor',
            message + ', but has no AVX2, so that inference is many times slower',
            'Use a machine with AVX2, or enable it in the settings of the virtual machine.',
        )
    return Finding(OK, 'processor', message)


def _accelerator() -> Finding:
    if importlib.util.find_spec('torch') is None:
        return Finding(
            ERROR,
            'torch',
            'the Python module torch is missing, and the node needs it to load weights',
            'Activate the virtual environment that has it (docs/installation.md), or install it: '
            f'{install("torch")} (on a Jetson: the wheel of its JetPack).',
        )
    try:
        import torch

        if not torch.cuda.is_available():
            return Finding(OK, 'accelerator', f'torch {torch.__version__} sees no CUDA device')
        name = torch.cuda.get_device_name(0)
        free, total = (number / 2**30 for number in torch.cuda.mem_get_info(0))
    except Exception as error:  # broken drivers and wheels raise various errors
        return Finding(
            ERROR,
            'torch',
            f'torch cannot be used: {type(error).__name__}: {error}',
            'Install a torch build that fits this Python and, if there is one, the CUDA driver.',
        )
    return Finding(
        OK,
        'accelerator',
        f'torch {torch.__version__} on {name}, {free:.1f} of {total:.1f} GiB of memory free',
    )


def _ros(environment: Mapping[str, str]) -> Iterator[Finding]:
    distribution = ros_distribution()
    for module, remedy in (
        ('rclpy', 'Source ROS 2: . /opt/ros/DISTRIBUTION/setup.bash, or run `make setup`.'),
        (
            'edgesegnet_ros.msg',
            'Build and source the workspace: colcon build --packages-select edgesegnet_ros && '
            '. install/setup.bash, or run `make setup`.',
        ),
        (
            'vision_msgs',
            'Install it: sudo apt install ros-$ROS_DISTRO-vision-msgs.',
        ),
    ):
        if not _is_there(module):
            yield Finding(ERROR, 'ROS 2', f'the Python module {module} is missing', remedy)
            return
    rmw = environment.get('RMW_IMPLEMENTATION') or 'the default'
    message = f'{distribution}, RMW_IMPLEMENTATION is {rmw}'
    if distribution not in TESTED_DISTRIBUTIONS:
        yield Finding(
            WARNING,
            'ROS 2',
            message + '; this distribution is not among the supported ones',
            f'Use one of {", ".join(TESTED_DISTRIBUTIONS)}.',
        )
    else:
        yield Finding(OK, 'ROS 2', message)
    domain = environment.get('ROS_DOMAIN_ID', '0')
    local = (
        environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE') == 'LOCALHOST'
        or environment.get('ROS_LOCALHOST_ONLY') == '1'
    )
    secured = environment.get('ROS_SECURITY_ENABLE', '').lower() == 'true'
    if local or secured:
        how = 'SROS 2 is on' if secured else 'discovery stays on this machine'
        yield Finding(OK, 'network', f'ROS_DOMAIN_ID is {domain}, {how}')
    else:
        yield Finding(
            WARNING,
            'network',
            f'ROS_DOMAIN_ID is {domain}, and everybody on the network can see and command the '
            'node without authentication, which is the default of ROS 2',
            'Set ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST (Humble: ROS_LOCALHOST_ONLY=1) where '
            'everything runs on this machine, or use SROS 2: docs/security.md.',
        )


def _transport(environment: Mapping[str, str]) -> Iterator[Finding]:
    if environment.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp').startswith('rmw_fastrtps'):
        named = [environment[name] for name in FAST_DDS_VARIABLES if environment.get(name)]
        missing = [name for name in named if not Path(name).is_file()]
        if missing:
            yield Finding(
                ERROR,
                'Fast DDS profiles',
                f'{missing[0]} is named in the environment and is not a file',
                'Correct the path, or unset the variable.',
            )
        elif named:
            yield Finding(OK, 'Fast DDS profiles', f'{named[0]} is used')
        else:
            yield Finding(
                WARNING,
                'Fast DDS profiles',
                'the default shared memory segment of Fast DDS is smaller than one colour image '
                'of 480x360, so that large images between processes are lost or late',
                f'Name config/fastdds.xml of this package in {FAST_DDS_VARIABLES[0]} '
                f'({FAST_DDS_VARIABLES[1]} before Kilted) for the camera, the node and '
                'their consumers.',
            )
    shared = Path('/dev/shm')
    if not shared.is_dir():
        return
    total = shutil.disk_usage(str(shared)).total
    message = f'{shared} holds {total // 1024**2} MiB'
    if total < LEAST_SHARED_MEMORY:
        yield Finding(
            WARNING,
            'shared memory',
            message + ', which is too small for images between processes',
            'In a container, start it with --shm-size=512m or --ipc=host.',
        )
    else:
        yield Finding(OK, 'shared memory', message)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False

"""A DDS environment in which the processes of the demo find each other and no other nodes."""

from __future__ import annotations

import importlib.metadata
import os
import random
import socket
from typing import Dict

from edgesegnet_ros import shipped

_DISTRIBUTIONS = {1: 'foxy', 3: 'humble', 7: 'jazzy', 9: 'kilted'}
"""Name of the distribution by the major version of rclpy."""
DOMAINS = range(1, 102)
"""Domains whose ports are below the ephemeral ports of Linux (32768)."""


def free_domain() -> int:
    """Find a ROS_DOMAIN_ID that no participant of this machine uses at the moment.

    The first participant of a domain binds the UDP port 7400 + 250 * domain + 10 for discovery
    (DDSI-RTPS 2.3, section 9.6.1.1). If that port can be bound, the domain is free.
    """
    candidates = list(DOMAINS)
    random.shuffle(candidates)
    for domain in candidates:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', 7400 + 250 * domain + 10))
            except OSError:
                continue
            return domain
    return candidates[0]


def ros_environment(domain: int) -> Dict[str, str]:
    """The environment of this process, with discovery limited to this machine and `domain`.

    Fast DDS gets shared memory that is large enough for images (config/fastdds.xml).
    """
    environment = dict(os.environ)
    environment['ROS_DOMAIN_ID'] = str(domain)
    # Humble knows only the second; in later distributions it would override the first.
    if ros_distribution() in ('foxy', 'humble'):
        environment['ROS_LOCALHOST_ONLY'] = '1'
    else:
        environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        environment.pop('ROS_LOCALHOST_ONLY', None)
    # Profiles that the user has set are kept.
    profiles = shipped.FAST_DDS_VARIABLES
    if not any(name in environment for name in profiles):
        before_3 = ros_distribution() in ('foxy', 'humble', 'jazzy')
        environment[profiles[before_3]] = str(shipped.find('fastdds', 'fastdds'))
    environment['RCUTILS_COLORIZED_OUTPUT'] = '0'
    environment['PYTHONUNBUFFERED'] = '1'
    return environment


def ros_distribution() -> str:
    """Name of the ROS 2 distribution, sourced or from wheels, or unknown."""
    if os.environ.get('ROS_DISTRO'):
        return os.environ['ROS_DISTRO']
    try:
        version = importlib.metadata.version('ros-rclpy')
    except importlib.metadata.PackageNotFoundError:
        return 'unknown'
    return _DISTRIBUTIONS.get(int(version.partition('.')[0]), 'unknown')

"""The start of a process that spins."""

from __future__ import annotations

from typing import List, Optional

import rclpy
from rclpy.signals import SignalHandlerOptions

from edgesegnet_ros.errors import EdgeSegNetError


class RosArgumentError(EdgeSegNetError):
    """Arguments after --ros-args that ROS refuses."""


def initialize(
    arguments: Optional[List[str]] = None,
    handlers: SignalHandlerOptions = SignalHandlerOptions.ALL,
) -> None:
    """Initialize rclpy.

    Args:
        arguments: Arguments of the command line; None for sys.argv.
        handlers: Signal handlers that rclpy installs.

    Raises:
        RosArgumentError: An argument is unknown or malformed; the message is that of rcl.
    """
    try:
        rclpy.init(args=arguments, signal_handler_options=handlers)
    except Exception as error:  # rclpy's classes for this are private
        reason = str(error).split(', at ')[0].replace('failed to initialize rcl: ', '')
        raise RosArgumentError(f'the ROS arguments are refused: {reason}') from None

"""The options of the network input, which every command that runs a network has."""

from __future__ import annotations

import argparse

from edgesegnet_ros.arguments import size
from edgesegnet_ros.engines.request import RESIZE_CHOICES


def add_network_input(parser: argparse._ActionsContainer) -> None:
    """`--input-size` and `--resize-mode`; what is not given is as the weights say."""
    parser.add_argument(
        '--input-size',
        default=(0, 0),
        type=size,
        metavar='HxW',
        help='height and width of the network input; by default those of the weights',
    )
    parser.add_argument(
        '--resize-mode',
        default='auto',
        choices=RESIZE_CHOICES,
        help='how an image is resized to the network input: stretch fills it, letterbox keeps the '
        'aspect ratio, auto does what the weights say',
    )

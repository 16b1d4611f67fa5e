"""Options that the commands which run a network have in common."""

from __future__ import annotations

import argparse

from edgesegnet_ros import shipped
from edgesegnet_ros.arguments import size
from edgesegnet_ros.engines.request import RESIZE_CHOICES


def add_model(parser: argparse._ActionsContainer) -> None:
    """`--model`, for a command that runs weights and ONNX files."""
    parser.add_argument(
        '--model',
        default=shipped.DEFAULT_MODEL,
        help='name of a shipped model, or path of a .safetensors or .onnx file',
    )


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

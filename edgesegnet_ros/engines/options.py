"""Options that the commands which run a network have in common."""

from __future__ import annotations

import argparse
from typing import Any

from edgesegnet_ros import shipped
from edgesegnet_ros.arguments import size
from edgesegnet_ros.engines.request import RESIZE_CHOICES, EngineRequest

_OPTIONS = (
    *('model', 'classes', 'engine', 'precision', 'device', 'num_threads'),
    *('input_size', 'resize_mode'),
)


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


def request_of(args: argparse.Namespace, **given: Any) -> EngineRequest:
    """The request that a command's options make.

    Args:
        args: The values of the options that bear the names of a request's fields.
        given: Fields that are not taken from `args`, which does not need to have them.
    """
    return EngineRequest(
        **{name: getattr(args, name) for name in _OPTIONS if name not in given}, **given
    )

"""Kinds of command line arguments that several commands take."""

from __future__ import annotations

import argparse
from typing import Tuple


def size(text: str) -> Tuple[int, int]:
    """HxW as (height, width)."""
    height, _, width = text.lower().partition('x')
    try:
        return int(height), int(width)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is not HxW, such as 256x256') from None


def add_data(parser: argparse.ArgumentParser, more: str = '') -> None:
    """The options that name a dataset: `--data`, `--val-fraction` and `--split-seed`.

    Args:
        parser: Takes them.
        more: Is added to the help of `--data`.
    """
    parser.add_argument(
        '--data',
        metavar='DATASET',
        help='folder of labelled images in a known layout, or a dataset.yaml (docs/own-data.md); '
        'if not given, the CamVid folder that EDGESEGNET_CAMVID names' + more,
    )
    parser.add_argument(
        '--val-fraction',
        type=fraction,
        metavar='SHARE',
        help='share of the images to draw as val where the dataset has no val split; if not '
        'given, what dataset.yaml says, or 0.2',
    )
    parser.add_argument(
        '--split-seed', type=int, default=0, metavar='N', help='seed of that drawing'
    )


def fraction(text: str) -> float:
    """A number between 0 and 1, both excluded."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number between 0 and 1')
    return value

"""Types of command line arguments that several commands share."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Tuple

from edgesegnet_ros import shipped


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Appends defaults to help texts, except for None, empty texts, lists and switches.

    The help text of an option with a list states its default itself.
    """

    def _get_help_string(self, action: argparse.Action) -> str:
        if action.default in (None, '', (0, 0)) or isinstance(action.default, (bool, list)):
            return action.help or ''
        return super()._get_help_string(action) or ''


def output_file(text: str) -> Path:
    """A path of a file that can be written; this is checked before any work is done.

    Folders that are missing are made when the file is written.

    Raises:
        argparse.ArgumentTypeError: It is a folder, or cannot be written.
    """
    path = Path(text).expanduser()
    if path.is_dir():
        raise argparse.ArgumentTypeError(f'{text} is a folder; name a file in it')
    if not path.exists() or path.is_file():
        _try_to_write(path.absolute().parent, text)
    return path


def output_folder(text: str) -> Path:
    """A path of a folder that can be written or created; this is checked before any work is done.

    Raises:
        argparse.ArgumentTypeError: It is a file, or cannot be written.
    """
    path = Path(text).expanduser()
    _try_to_write(path.absolute(), text)
    return path


def _try_to_write(folder: Path, text: str) -> None:
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(str(path)))
    if not there.is_dir():
        raise argparse.ArgumentTypeError(
            f'{text}: cannot be written, since {there} is not a folder'
        )
    try:
        # Permissions are not enough: root may write anywhere, but not to /proc.
        with tempfile.TemporaryFile(dir=str(there)):
            pass
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f'{text}: nothing can be written in {there} ({error.strerror}); name another place'
        ) from None


def size(text: str) -> Tuple[int, int]:
    """HxW as (height, width)."""
    height, _, width = text.lower().partition('x')
    try:
        return int(height), int(width)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is not HxW, such as 256x256') from None


def add_classes(
    parser: argparse._ActionsContainer, meaning: str = 'class file', more: str = ''
) -> None:
    """Add `--classes`, the name or path of a class file.

    Args:
        parser: Takes it.
        meaning: Which class file it is.
        more: Text to append to its help.
    """
    parser.add_argument(
        '--classes',
        default=shipped.DEFAULT_CLASSES,
        help=f'{meaning}: the name of a shipped one, or a path{more}',
    )


def add_data(parser: argparse.ArgumentParser, more: str = '') -> None:
    """Add the options that name a dataset: `--data`, `--val-fraction` and `--split-seed`.

    Args:
        parser: Takes them.
        more: Text to append to the help of `--data`.
    """
    parser.add_argument(
        '--data',
        metavar='DATASET',
        help=(
            'folder of labelled images in a known layout, or a dataset.yaml file '
            '(docs/own-data.md); by default the CamVid folder in the environment variable '
            'EDGESEGNET_CAMVID'
        )
        + more,
    )
    add_random_split(parser)


def add_random_split(parser: argparse.ArgumentParser) -> None:
    """Add `--val-fraction` and `--split-seed`, for datasets without a val split."""
    parser.add_argument(
        '--val-fraction',
        type=fraction,
        metavar='SHARE',
        help='share of the images that become val, from 0 to 1, where the dataset has no val '
        'split; by default the val_fraction of dataset.yaml, or 0.2',
    )
    parser.add_argument(
        '--split-seed', type=int, default=0, metavar='N', help='seed of the random split'
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

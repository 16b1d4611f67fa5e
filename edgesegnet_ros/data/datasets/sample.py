"""The files of a dataset: the labelled images of each split, and the meaning of the labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgesegnet_ros.data.datasets.values import Decoder, Meaning
from edgesegnet_ros.errors import EdgeSegNetError

SPLITS = ('train', 'val', 'test')
UNSPLIT = ''
"""Key of the samples that belong to no split."""
_SAME_SPLIT = {'valid': 'val', 'validation': 'val', 'training': 'train', 'testing': 'test'}
SHOWN_FILES = 10


class DatasetError(EdgeSegNetError):
    """A dataset cannot be used; the message names the files, and what was expected."""


class Sample(NamedTuple):
    """The files of one labelled image.

    Attributes:
        image: Image file.
        labels: Label image, or the file that holds the annotations of many images.
        sequence: Recording that the image belongs to; images of one sequence stay in one split.
    """

    image: Path
    labels: Path
    sequence: str = ''


class Listing(NamedTuple):
    """The files that a layout found.

    Attributes:
        layout: Name of the layout.
        splits: Samples by split, in the order of their names; UNSPLIT for those of no split.
        meaning: How the values of the label images become class ids.
        own_reader: Reads the labels of a sample as (H, W) uint8 class ids. If it returns None, or
            is None, they are read as a label image by `meaning`.
        notes: Sentences about skipped files and other facts that users should know.
    """

    layout: str
    splits: dict[str, list[Sample]]
    meaning: Meaning = Meaning()
    own_reader: Callable[[Sample, Decoder], np.ndarray | None] | None = None
    notes: tuple[str, ...] = ()


def split_of(name: str) -> str:
    """`train`, `val` or `test` for the usual names of folders and lists, else the name."""
    lower = name.lower()
    return _SAME_SPLIT.get(lower, lower)


def sequence_of(stem: str) -> str:
    """A name without its last number: `drive2_000123` gives `drive2`."""
    return re.sub(r'[-_. ]?\d+\D*$', '', stem)


def listed(problems: Iterable[str], what: str) -> str:
    """At most SHOWN_FILES of the problems, and how many more there are."""
    problems = list(problems)
    shown = '\n  '.join(problems[:SHOWN_FILES])
    more = len(problems) - SHOWN_FILES
    return f'{what}:\n  {shown}' + (f'\n  and {more} more' if more > 0 else '')

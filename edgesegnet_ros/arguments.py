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

"""Converts the values or colours of label images to the class ids of a class file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np

from edgesegnet_ros.data.classes import VOID, ClassSet

Color = tuple[int, int, int]
_UNKNOWN = 256
_SHOWN = 6
VOID_NAME = 'void'
"""The target of names whose pixels belong to no class."""


class Meaning(NamedTuple):
    """The meaning of the values in a dataset's label images.

    Attributes:
        values: Value -> name in the dataset; None if values are the ids of the class file.
        colors: RGB colour -> name in the dataset; None if they are the colours of the class file.
        names: Name in the dataset -> name in the class file, or `void`. A name without an entry
            stands for the class of the same name.
        void: Values of pixels without a class.
        others_are_void: Whether values and colours that are not listed are void, not an error.
        palette_is_color: Whether to read the colours of a palette, not its indices.
    """

    values: Mapping[int, str] | None = None
    colors: Mapping[Color, str] | None = None
    names: Mapping[str, str] = {}
    void: tuple[int, ...] = (VOID,)
    others_are_void: bool = False
    palette_is_color: bool = False


class Decoded(NamedTuple):
    """Class ids of one label image.

    Attributes:
        labels: (H, W) uint8 class ids, 255 for void.
        unknown: Unknown value or colour -> number of pixels; these are void in `labels`.
    """

    labels: np.ndarray
    unknown: dict[str, int]


def plain(name: str) -> str:
    """A name without case, spaces and punctuation, for comparison."""
    return re.sub(r'[^a-z0-9]', '', name.lower())


class Decoder:
    """Turns stored label values into class ids.

    Args:
        meaning: Meaning of the values.
        classes: The class file.

    Attributes:
        classes: The class file.
        unmatched: Names in the dataset without a class in the class file; they become void.
        matched: Whether any name has a class; True if the labels have no names.
    """

    def __init__(self, meaning: Meaning, classes: ClassSet) -> None:
        self._meaning, self.classes = meaning, classes
        self._ids = {plain(entry.name): entry.id for entry in classes.classes}
        self._names = {plain(old): new for old, new in meaning.names.items()}
        named = [*(meaning.values or {}).values(), *(meaning.colors or {}).values()]
        ids = {name: self.target(name) for name in named}
        self.unmatched = sorted(name for name, found in ids.items() if found is None)
        self.matched = not named or any(found not in (None, VOID) for found in ids.values())

    def target(self, name: str) -> int | None:
        """Class id of a name in the dataset; 255 for void, None if no class has the name."""
        wanted = self._names.get(plain(name), name)
        number = self._ids.get(plain(wanted))
        if number is None:
            return VOID if plain(wanted) in ('void', 'ignore', 'unlabeled', 'unlabelled') else None
        return VOID if number in self.classes.ignored else number

    def _of_name(self, name: str) -> int:
        number = self.target(name)
        return VOID if number is None else number

    @cached_property
    def _of_value(self) -> np.ndarray:
        """(65536,) uint16: class id, 255 or _UNKNOWN by stored value."""
        table = np.full(1 << 16, self._strange, np.uint16)
        if self._meaning.values is None:
            for entry in self.classes.classes:
                table[entry.id] = VOID if entry.id in self.classes.ignored else entry.id
        else:
            for value, name in self._meaning.values.items():
                table[value] = self._of_name(name)
        table[list(self._meaning.void)] = VOID
        return table

    @cached_property
    def _of_color(self) -> np.ndarray:
        """(2**24,) uint16: class id, 255 or _UNKNOWN by packed colour."""
        table = np.full(1 << 24, self._strange, np.uint16)
        table[0] = VOID  # black, unless a class has it
        if self._meaning.colors is None:
            for entry in self.classes.classes:
                ignored = entry.id in self.classes.ignored
                table[_packed(np.array(entry.color))] = VOID if ignored else entry.id
        else:
            for color, name in self._meaning.colors.items():
                table[_packed(np.array(color))] = self._of_name(name)
        return table

    @property
    def _strange(self) -> int:
        return VOID if self._meaning.others_are_void else _UNKNOWN

    def decode(self, stored: np.ndarray) -> Decoded:
        """Class ids.

        Args:
            stored: (H, W) uint8 or uint16 values, or (H, W, 3) uint8 RGB colours.
        """
        in_color = stored.ndim == 3
        packed = _packed(stored) if in_color else stored
        found = (self._of_color if in_color else self._of_value)[packed]
        strange = packed[found == _UNKNOWN]
        unknown: dict[str, int] = {}
        if strange.size:
            values, counts = np.unique(strange, return_counts=True)
            for value, count in sorted(zip(values, counts), key=lambda pair: -pair[1]):
                unknown[_shown(int(value)) if in_color else str(value)] = int(count)
        labels = np.where(found == _UNKNOWN, VOID, found).astype(np.uint8)
        return Decoded(labels, unknown)

    def expected(self, in_color: bool) -> str:
        """The known values, for a message about unknown ones."""
        if in_color:
            owner = (
                'the dataset' if self._meaning.colors else f'the class file {self.classes.name}'
            )
            return f'the colours of {owner}'
        known = self._meaning.values
        if known is None:
            return f'0 to {len(self.classes.classes) - 1} and 255 for void'
        return ', '.join(f'{value} ({name})' for value, name in sorted(known.items()))


def in_words(unknown: Mapping[str, int]) -> str:
    """The unknown values with their numbers of pixels, the most frequent first, for a message."""
    named = [f'{value} in {count} pixels' for value, count in unknown.items()]
    more = f' and {len(named) - _SHOWN} more' if len(named) > _SHOWN else ''
    return ', '.join(named[:_SHOWN]) + more


def is_grey(stored: np.ndarray) -> bool:
    """Whether a label image has three equal channels, so that it may hold values."""
    return (
        stored.ndim == 3
        and bool((stored[..., 0] == stored[..., 1]).all())
        and bool((stored[..., 1] == stored[..., 2]).all())
    )


def _packed(colors: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(colors.astype(np.uint32), -1, 0)
    return red << 16 | green << 8 | blue


def _shown(color: int) -> str:
    return f'({color >> 16}, {color >> 8 & 255}, {color & 255})'

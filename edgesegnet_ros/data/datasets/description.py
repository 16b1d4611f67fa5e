"""Reads dataset.yaml, the description of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from edgesegnet_ros.data.datasets.layouts import LAYOUTS, list_folder
from edgesegnet_ros.data.datasets.matching import images_below, paired
from edgesegnet_ros.data.datasets.sample import SPLITS, DatasetError, Listing, Sample, split_of
from edgesegnet_ros.data.datasets.values import Color
from edgesegnet_ros.lined_yaml import Lines, read_lines

FILE_NAME = 'dataset.yaml'
_KEYS = (
    'root',
    'layout',
    'splits',
    'values',
    'colors',
    'names',
    'void',
    'unlabelled',
    'val_fraction',
    'seed',
)


class Description:
    """The content of a dataset.yaml.

    Args:
        path: The file.

    Attributes:
        root: Folder of the dataset.
        val_fraction: Value of the file, or None.
        seed: Value of the file, or None.

    Raises:
        DatasetError: The file has an error; the message has its line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        document = read_lines(path, DatasetError)
        if not isinstance(document, Lines):
            self._refuse(1, f'a dataset file is a mapping with the keys {", ".join(_KEYS)}')
        self._document = document
        for key in document:
            if key not in _KEYS:
                self._refuse_key(key, f'unknown key {key!r}; there are {", ".join(_KEYS)}')
        self.root = (path.parent / str(document.get('root', '.'))).expanduser()
        if not self.root.is_dir():
            self._refuse_key('root', f'root {self.root}: no such folder')
        self.val_fraction: float | None = document.get('val_fraction')
        if self.val_fraction is not None and not (
            isinstance(self.val_fraction, float) and 0 < self.val_fraction < 1
        ):
            self._refuse_key('val_fraction', 'val_fraction is between 0 and 1, such as 0.2')
        self.seed: int | None = document.get('seed')
        if self.seed is not None and (type(self.seed) is not int or self.seed < 0):
            self._refuse_key('seed', 'seed is a whole number of 0 or more')

    def _refuse(self, line: int, reason: str) -> NoReturn:
        raise DatasetError(f'{self._path}:{line}: {reason}')

    def _refuse_key(self, key: str, reason: str) -> NoReturn:
        self._refuse(self._document.key_lines.get(key, 1), reason)

    def listing(self) -> Listing:
        """Find the files of the dataset and the meaning of its labels.

        Raises:
            DatasetError: Files are missing, or the description has an error.
        """
        layout = self._document.get('layout', '')
        if layout and layout not in LAYOUTS:
            self._refuse_key('layout', f'layout {layout!r} is none of {", ".join(LAYOUTS)}')
        unlabelled = self._document.get('unlabelled', 'refuse')
        if unlabelled not in ('refuse', 'skip'):
            self._refuse_key('unlabelled', 'unlabelled is refuse or skip')
        if 'splits' in self._document:
            listing = self._listed_splits(unlabelled == 'skip')
        else:
            listing = list_folder(self.root, layout, unlabelled == 'skip')
        return self._with_meaning(listing)

    def _with_meaning(self, listing: Listing) -> Listing:
        for key in ('values', 'colors', 'void'):
            if listing.layout == 'coco' and key in self._document:
                self._refuse_key(key, f'{key}: coco names its categories; map them with names')
        values, colors = self._values(), self._colors()
        names = self._mapping('names', 'a name in the labels to the name of a class, or to void')
        void = self._document.get('void', [255])
        if not isinstance(void, list) or not all(
            type(value) is int and 0 <= value < 65536 for value in void
        ):
            self._refuse_key('void', 'void is a list of label values, such as [0, 255]')
        meaning = listing.meaning._replace(
            names={str(old): _name(new) for old, new in names.items()}
        )
        if values is not None:
            meaning = meaning._replace(values=values)
        if colors is not None:
            meaning = meaning._replace(colors=colors, palette_is_color=True)
        if values is not None or colors is not None:
            # Only the splits that the user lists are used.
            listing = listing._replace(own_reader=None)
            meaning = meaning._replace(others_are_void=True)
        if 'void' in self._document:
            listing = listing._replace(own_reader=None)
            meaning = meaning._replace(void=(*void, 255))
        if names and meaning.values is None and meaning.colors is None:
            self._refuse_key(
                'names',
                f'names: the labels of the layout {listing.layout} have no names; list what their '
                'values or colours are called under values or colors',
            )
        return listing._replace(meaning=meaning)

    def _mapping(self, key: str, what: str) -> Lines:
        found = self._document.get(key, Lines())
        if not isinstance(found, Lines):
            self._refuse_key(key, f'{key} maps {what}')
        return found

    def _values(self) -> dict[int, str] | None:
        found = self._mapping('values', 'a label value to the name of a class, or to void')
        for value in found:
            if type(value) is not int or not 0 <= value < 65536:
                self._refuse(found.key_lines[value], f'value {value!r} is not 0 to 65535')
        return {value: _name(name) for value, name in found.items()} or None

    def _colors(self) -> dict[Color, str] | None:
        found = self._mapping('colors', "a colour such as '128, 64, 128' to the name of a class")
        colors: dict[Color, str] = {}
        for text, name in found.items():
            parts = str(text).split(',')
            numbers = [int(part) for part in parts if part.strip().isdigit()]
            if len(parts) != 3 or len(numbers) != 3 or max(numbers) > 255:
                self._refuse(
                    found.key_lines[text], f"colour {text!r} is not '128, 64, 128', each 0 to 255"
                )
            colors[(numbers[0], numbers[1], numbers[2])] = _name(name)
        return colors or None

    def _listed_splits(self, skip_unlabelled: bool) -> Listing:
        found = self._mapping('splits', 'train, val and test to {images: DIR, labels: DIR}')
        splits: dict[str, list[Sample]] = {}
        notes: list[str] = []
        for name, entry in found.items():
            line = found.key_lines[name]
            if split_of(str(name)) not in SPLITS:
                self._refuse(line, f'split {name!r} is none of {", ".join(SPLITS)}')
            if not isinstance(entry, Lines) or not {'images', 'labels'} <= entry.keys():
                self._refuse(line, f'split {name} is {{images: DIR, labels: DIR}}')
            folders = [self.root / str(entry[key]) for key in ('images', 'labels')]
            for folder in folders:
                if not folder.is_dir():
                    self._refuse(line, f'split {name}: {folder}: no such folder')
            images, labels = folders
            files = [path for path in images_below(images) if self._listed(path, images, entry)]
            samples, left = paired(files, images_below(labels), images, labels, skip_unlabelled)
            splits[split_of(str(name))], notes = samples, notes + left
        return Listing('dataset.yaml', splits, notes=tuple(notes))

    def _listed(self, image: Path, root: Path, entry: Lines) -> bool:
        """Whether an image is in the `list` file of the split, if it has one."""
        if 'list' not in entry:
            return True
        if not hasattr(self, '_lists'):
            self._lists: dict[Any, set[str]] = {}
        name = str(entry['list'])
        if name not in self._lists:
            try:
                lines = (self.root / name).read_text(encoding='utf-8').split('\n')
            except OSError as error:
                self._refuse(entry.key_lines['list'], f'{name}: {error.strerror}')
            self._lists[name] = {line.strip() for line in lines if line.strip()}
        stem = image.relative_to(root)
        known = self._lists[name]
        return stem.as_posix() in known or stem.with_suffix('').as_posix() in known


def _name(value: object) -> str:
    """A class name; YAML reads `yes`, `1` and similar words as other types."""
    return str(value)

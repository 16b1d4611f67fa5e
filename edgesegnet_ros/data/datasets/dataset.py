"""A dataset: samples by split, and the images and class ids in their files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from edgesegnet_ros.data.camvid import CamVidError, LabelledPair, read_image
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.datasets import memory
from edgesegnet_ros.data.datasets.random_split import random_split
from edgesegnet_ros.data.datasets.sample import (
    UNSPLIT,
    DatasetError,
    Listing,
    Sample,
    listed,
    split_of,
)
from edgesegnet_ros.data.datasets.values import Decoder, in_words, is_grey
from edgesegnet_ros.data.label_image import LabelImageError, read_label_image

_log = logging.getLogger(__name__)
_BYTES_PER_PIXEL = 4
"""Bytes of a pixel in memory: three of the image and one of the labels."""


class Dataset:
    """Labelled images in the classes of a class file; files are read on demand.

    Args:
        root: Folder of the dataset.
        listing: The files that its layout found.
        classes: Classes of the labels.
        val_fraction: Share of the images that is drawn as val, if the dataset has no val.
        seed: Seed of that draw.

    Attributes:
        root: Folder of the dataset.
        layout: Name of its layout.
        classes: Classes of the labels.
        notes: Sentences about what was skipped, drawn or renamed, which users should see.
        states_values: Whether the dataset states the meaning of its label values; if not, they
            are ids of the class file.
        unmatched: Names of labels in the dataset that the class file does not have.

    Raises:
        DatasetError: No name of a label in the dataset is a class of the class file.
    """

    def __init__(
        self,
        root: Path,
        listing: Listing,
        classes: ClassSet,
        val_fraction: float = 0.2,
        seed: int = 0,
    ) -> None:
        self.root, self.layout, self.classes = root, listing.layout, classes
        self._listing = listing
        self._decoder = Decoder(listing.meaning, classes)
        self.states_values = listing.meaning.values is not None
        self.notes = list(listing.notes)
        self.unmatched = self._decoder.unmatched
        if not self._decoder.matched:
            raise DatasetError(
                f'{root}: its labels are named {_some(self.unmatched)}, and none of these is a '
                f'class of {classes.name} ({_some(classes.names)}); give the class file of this '
                'dataset, or map the names in a dataset.yaml (`names: {car: vehicle}`)'
            )
        if self.unmatched:
            self.notes.append(
                f'labels that {classes.name} has no class for become void: {_some(self.unmatched)}'
            )
        self._splits = self._with_val(listing.splits, val_fraction, seed)
        self._greys_are_colors: bool | None = None

    def _with_val(
        self, found: dict[str, list[Sample]], fraction: float, seed: int
    ) -> dict[str, list[Sample]]:
        splits = {name: samples for name, samples in found.items() if name != UNSPLIT and samples}
        pool_name = 'train' if 'train' in splits else UNSPLIT
        pool = splits.get('train') or found.get(UNSPLIT, [])
        if 'val' not in splits and len(pool) > 1:
            rest, drawn = random_split(pool, fraction, seed)
            splits['train'], splits['val'] = rest, drawn
            what = 'no val split' if pool_name else 'no splits'
            self.notes.append(
                f'the dataset has {what}: {len(drawn)} of {len(pool)} images are drawn as val '
                f'(--val-fraction {fraction:g}, seed {seed}), {len(rest)} remain for train'
            )
        elif found.get(UNSPLIT) and 'train' not in splits:
            splits['train'] = found[UNSPLIT]
        return splits

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits of the dataset."""
        return tuple(self._splits)

    def samples(self, split: str) -> list[Sample]:
        """The samples of one split, in the order of their names.

        Raises:
            DatasetError: There is no such split; the message names the existing ones.
        """
        found = self._splits.get(split_of(split))
        if not found:
            raise DatasetError(
                f'{self.root}: no split {split!r}; this dataset ({self.layout}) has '
                f'{", ".join(self.splits) or "none"}'
            )
        return found

    def sequences(self, split: str) -> list[str]:
        """The sequence of each sample of a split, in the order of `samples`."""
        return [sample.sequence for sample in self.samples(split)]

    def read(self, sample: Sample) -> LabelledPair:
        """Decode one image and its labels.

        Returns:
            (H, W, 3) uint8 RGB and (H, W) uint8 class ids, 255 for void.

        Raises:
            DatasetError: A file cannot be read, the two differ in size, or the labels hold
                unknown values.
        """
        image, labels, unknown = self.decode(sample)
        if unknown:
            raise DatasetError(self.complaint(sample, unknown))
        return image, labels

    def decode(self, sample: Sample) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
        """As `read`, but unknown values become void and their pixels are counted.

        Raises:
            DatasetError: A file cannot be read, or the two differ in size.
        """
        for path, what in ((sample.image, 'an image'), (sample.labels, 'the labels of an image')):
            if not path.is_file():
                other = sample.labels if path == sample.image else sample.image
                raise DatasetError(f'{path}: missing, {what} ({other.name})')
        try:
            image = read_image(sample.image)
            labels, unknown = self._labels(sample)
        except (CamVidError, LabelImageError) as error:
            raise DatasetError(str(error)) from error
        if image.shape[:2] != labels.shape:
            raise DatasetError(
                f'{sample.labels}: {labels.shape[1]}x{labels.shape[0]}, but its image '
                f'is {image.shape[1]}x{image.shape[0]}'
            )
        return image, labels, unknown

    def _labels(self, sample: Sample) -> tuple[np.ndarray, dict[str, int]]:
        if self._listing.own_reader:
            labels = self._listing.own_reader(sample, self._decoder)
            if labels is not None:
                return labels, {}
        stored = self._stored(sample)
        if is_grey(stored) and not self._greys_count_as_colors():
            stored = stored[..., 0]
        return self._decoder.decode(stored)

    def _stored(self, sample: Sample) -> np.ndarray:
        by_color = self._listing.meaning.palette_is_color
        return read_label_image(sample.labels, palette_is_color=by_color)

    def _greys_count_as_colors(self) -> bool:
        """Whether label images with three equal channels hold colours: if other images do.

        Otherwise an image that is all void (black) would be read as class 0.
        """
        if self._greys_are_colors is None:
            self._greys_are_colors = False
            for sample in (one for split in self._splits.values() for one in split):
                try:
                    stored = self._stored(sample)
                except LabelImageError:
                    continue
                if stored.ndim == 3 and not is_grey(stored):
                    self._greys_are_colors = True
                    break
        return self._greys_are_colors

    def complaint(self, sample: Sample, unknown: dict[str, int]) -> str:
        """A sentence about the unknown values of one label image."""
        in_color = next(iter(unknown)).startswith('(')
        return (
            f'{sample.labels}: unknown {"colours" if in_color else "label values"} '
            f'{in_words(unknown)}; known are {self._decoder.expected(in_color)}'
        )

    def read_splits(self, names: Sequence[str]) -> dict[str, list[LabelledPair]]:
        """Decode whole splits into memory; all files are checked first.

        Raises:
            DatasetError: There is no such split, or files are unusable; the message lists at most
                ten of them and the number of the others.
        """
        read: dict[str, list[LabelledPair]] = {name: [] for name in names}
        samples = {name: self.samples(name) for name in names}
        self._refuse_more_than_memory(samples)
        wrong: list[str] = []
        for name, of_split in samples.items():
            for sample in of_split:
                try:
                    read[name].append(self.read(sample))
                except DatasetError as error:
                    wrong.append(str(error))
        self._refuse(wrong)
        for name, pairs in read.items():
            self._warn_of_absent(name, _seen(labels for _, labels in pairs))
        return read

    def _refuse_more_than_memory(self, samples: dict[str, list[Sample]]) -> None:
        """Refuse splits that do not fit into memory, which would end the process later."""
        needed = 0
        for of_split in samples.values():
            with suppress(CamVidError):  # an unusable file is listed later
                height, width = read_image(of_split[0].image).shape[:2]
                needed += len(of_split) * height * width * _BYTES_PER_PIXEL
        available = memory.available()
        if available and needed > available:
            raise DatasetError(
                f'{self.root}: {" and ".join(samples)} need about {needed / 1000000000.0:.1f} GB '
                f'of memory, and {available / 1000000000.0:.1f} GB are free; use smaller or fewer '
                'images'
            )

    def check_split(self, name: str) -> list[Sample]:
        """Decode the samples of a split one by one, without keeping them in memory.

        Raises:
            DatasetError: As `read_splits`.
        """
        wrong: list[str] = []
        samples = self.samples(name)

        def labels() -> Iterator[np.ndarray]:
            for sample in samples:
                try:
                    yield self.read(sample)[1]
                except DatasetError as error:
                    wrong.append(str(error))

        seen = _seen(labels())
        self._refuse(wrong)
        self._warn_of_absent(name, seen)
        return samples

    def _warn_of_absent(self, split: str, seen: np.ndarray) -> None:
        """Log the classes that no pixel has, which shows labels that are shifted by one."""
        absent = self.absent(seen)
        if absent:
            _log.warning(
                '%s: no pixel of %s has the class %s; if some should, check the label values with '
                '`edgesegnet data check`',
                self.root,
                split,
                _some(absent),
            )

    def absent(self, seen: np.ndarray) -> list[str]:
        """Names of the classes that do not occur, except ignored ones.

        Args:
            seen: (256,) bool by class id.
        """
        return [
            entry.name
            for entry in self.classes.classes
            if not seen[entry.id] and entry.id not in self.classes.ignored
        ]

    def _refuse(self, wrong: list[str]) -> None:
        if wrong:
            advice = '`edgesegnet data check` checks the whole dataset'
            if any(': missing, ' in text for text in wrong):
                advice += '; `unlabelled: skip` in a dataset.yaml skips images without labels'
            raise DatasetError(
                listed(wrong, f'{self.root}: {len(wrong)} unusable files') + '\n' + advice
            )

    def tell(self) -> None:
        """Log the layout, the splits and the notes."""
        counts = ', '.join(f'{name} {len(samples)}' for name, samples in self._splits.items())
        _log.info('%s: layout %s, images: %s', self.root, self.layout, counts or 'none')
        for note in self.notes:
            _log.warning('%s: %s', self.root, note)


def _seen(labels: Iterable[np.ndarray]) -> np.ndarray:
    """(256,) bool: the ids that occur."""
    seen = np.zeros(256, bool)
    for each in labels:
        seen |= np.bincount(each.ravel(), minlength=256) > 0
    return seen


def _some(names: Sequence[str], most: int = 12) -> str:
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more

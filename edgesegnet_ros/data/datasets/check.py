"""The checks of `edgesegnet data check`, one image at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from edgesegnet_ros.data.classes import VOID
from edgesegnet_ros.data.datasets.dataset import Dataset
from edgesegnet_ros.data.datasets.sample import DatasetError, Sample, listed
from edgesegnet_ros.data.overlay import legend, overlay

SHOWN = 12
_ALIKE_BITS = 4
"""Images whose 64-bit hashes differ in at most this many bits count as duplicates."""
_TILE = 320
_COLUMNS = 3


@dataclass
class Findings:
    """A finding.

    Attributes:
        splits: Number of images by split, including unusable ones.
        sizes: Number of images by (height, width).
        pixels: (classes + 1,) number of pixels of each class, void last.
        images: (classes + 1,) number of images that show each class, void last.
        wrong: A sentence for each unusable file.
        alike: Pairs of files in different splits that count as duplicates.
        absent: Names of the classes that no image shows.
        shown: Images and labels for the contact sheet.
    """

    splits: dict[str, int]
    pixels: np.ndarray
    images: np.ndarray
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    alike: list[tuple[Sample, Sample]] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    shown: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)


def check(
    dataset: Dataset, progress: Callable[[list[Any]], Iterable[Any]] = lambda samples: samples
) -> Findings:
    """Decode and count every image and its labels.

    Args:
        dataset: The dataset, of which all splits are checked.
        progress: Shows the progress of the check.
    """
    every = [(name, sample) for name in dataset.splits for sample in dataset.samples(name)]
    count = len(dataset.classes.classes)
    found = Findings(
        {name: len(dataset.samples(name)) for name in dataset.splits},
        np.zeros(count + 1, np.int64),
        np.zeros(count + 1, np.int64),
    )
    hashes: list[tuple[str, Sample, int]] = []
    wanted = set(np.linspace(0, len(every) - 1, min(SHOWN, len(every))).astype(int).tolist())
    for number, (split, sample) in enumerate(progress(every)):
        try:
            image, labels, unknown = dataset.decode(sample)
        except DatasetError as error:
            found.wrong.append(str(error))
            continue
        if unknown:
            found.wrong.append(dataset.complaint(sample, unknown))
        counts = np.bincount(labels.ravel(), minlength=256)
        counts = np.append(counts[:count], counts[VOID])
        found.pixels += counts
        found.images += counts > 0
        found.sizes[(image.shape[0], image.shape[1])] += 1
        hashes.append((split, sample, _hash(image)))
        if number in wanted:
            found.shown.append(_small(image, labels))
    seen = np.zeros(256, bool)
    seen[:count] = found.images[:-1] > 0
    found.absent = dataset.absent(seen)
    found.alike = _alike(hashes)
    return found


def _hash(image: np.ndarray) -> int:
    """A 64-bit difference hash: the signs of the horizontal differences in an 8x9 copy."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), 'big')


def _alike(hashes: list[tuple[str, Sample, int]]) -> list[tuple[Sample, Sample]]:
    values = np.array([value for _, _, value in hashes], np.uint64)
    splits = np.array([split for split, _, _ in hashes])
    pairs = []
    for number, (split, sample, _) in enumerate(hashes):
        differing = values[:number] ^ values[number]
        bits = np.unpackbits(differing.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
        near = np.flatnonzero((bits <= _ALIKE_BITS) & (splits[:number] != split))
        if near.size:
            pairs.append((hashes[near[0]][1], sample))
    return pairs


def _small(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height = max(1, round(image.shape[0] * _TILE / image.shape[1]))
    return (
        cv2.resize(image, (_TILE, height), interpolation=cv2.INTER_AREA),
        cv2.resize(labels, (_TILE, height), interpolation=cv2.INTER_NEAREST),
    )


def contact_sheet(dataset: Dataset, found: Findings) -> np.ndarray:
    """Draw overlays of up to twelve images, evenly spread over the dataset, with a legend.

    Returns:
        (H, 960, 3) uint8 RGB.
    """
    palette = dataset.classes.palette
    tiles = [overlay(image, labels, palette, 0.6) for image, labels in found.shown]
    rows = []
    for start in range(0, len(tiles), _COLUMNS):
        row = tiles[start : start + _COLUMNS]
        height = max(tile.shape[0] for tile in row)
        sheet = np.full((height, _TILE * _COLUMNS, 3), 255, np.uint8)
        for number, tile in enumerate(row):
            sheet[: tile.shape[0], number * _TILE : (number + 1) * _TILE] = tile
        rows.append(sheet)
    return np.concatenate([*rows, legend(dataset.classes, _TILE * _COLUMNS)])


def as_text(dataset: Dataset, found: Findings) -> str:
    """The findings as text."""
    counts = ', '.join(f'{name} {number}' for name, number in found.splits.items())
    sizes = ', '.join(
        f'{width}x{height} ({number})' for (height, width), number in found.sizes.most_common(4)
    )
    more = f' and {len(found.sizes) - 4} more sizes' if len(found.sizes) > 4 else ''
    lines = [
        f'{dataset.root}: layout {dataset.layout}; images: {counts}; sizes: {sizes}{more}',
        '',
        f'{"class":<24}{"pixels %":>10}{"images %":>10}',
    ]
    total, usable = max(int(found.pixels.sum()), 1), max(sum(found.sizes.values()), 1)
    names = [*dataset.classes.names, 'void']
    for name, pixels, images in zip(names, found.pixels, found.images):
        lines.append(f'{name:<24}{100 * pixels / total:>10.2f}{100 * images / usable:>10.1f}')
    lines.append('')
    lines += [f'note: {note}' for note in dataset.notes]
    if found.absent:
        lines.append(
            f'warning: no image shows {", ".join(found.absent)}; if some should, the label values '
            'may be shifted by one, or mean other classes'
        )
    if found.alike:
        pairs = [f'{one.image} and {other.image}' for one, other in found.alike]
        what = f'warning: {len(pairs)} images look like an image of another split'
        lines.append(listed(pairs, what))
    if found.wrong:
        lines.append(listed(found.wrong, f'error: {len(found.wrong)} unusable files'))
    return '\n'.join(lines).rstrip()


def as_json(dataset: Dataset, found: Findings) -> dict[str, Any]:
    """The findings as JSON."""
    total, usable = max(int(found.pixels.sum()), 1), max(sum(found.sizes.values()), 1)
    names = [*dataset.classes.names, 'void']
    return {
        'dataset': str(dataset.root),
        'layout': dataset.layout,
        'classes': dataset.classes.name,
        'splits': found.splits,
        'sizes': {f'{width}x{height}': n for (height, width), n in found.sizes.items()},
        'share_of_pixels': {n: float(p / total) for n, p in zip(names, found.pixels)},
        'share_of_images': {n: float(i / usable) for n, i in zip(names, found.images)},
        'absent': found.absent,
        'alike': [[str(one.image), str(other.image)] for one, other in found.alike],
        'unusable': found.wrong,
        'notes': dataset.notes,
    }

"""Pairs images with label images by their names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from edgesegnet_ros.data.datasets.sample import DatasetError, Sample, sequence_of
from edgesegnet_ros.data.image_files import IMAGE_SUFFIXES


def images_below(folder: Path) -> list[Path]:
    """Image files in a folder and the folders in it, in the order of their names."""
    return sorted(path for path in _files(folder) if path.suffix.lower() in IMAGE_SUFFIXES)


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder, except hidden ones; links to folders are followed once."""
    seen = set()
    for current, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(current)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith('.')]
        yield from (Path(current, name) for name in names if not name.startswith('.'))


def other_files(folder: Path) -> list[Path]:
    """Files in a folder of images that are not images of a known format, such as .heic."""
    known = (*IMAGE_SUFFIXES, '.txt', '.csv', '.json', '.xml', '.yaml', '.yml', '.md')
    return sorted(path for path in _files(folder) if path.suffix.lower() not in known)


def paired(
    images: Sequence[Path],
    labels: Sequence[Path],
    image_root: Path,
    label_root: Path,
    skip_unlabelled: bool = False,
) -> tuple[list[Sample], list[str]]:
    """Pair images with label images of the same name, with or without a suffix such as `_mask`.

    Args:
        images: Image files below `image_root`.
        labels: Label images below `label_root`.
        image_root: Names are compared relative to it.
        label_root: Names are compared relative to it.
        skip_unlabelled: Skip images without labels, with a note.

    Returns:
        The pairs in the order of `images`, and notes about what was skipped. Missing labels have
        the path where they are expected.

    Raises:
        DatasetError: No image has labels, or two files have the same name.
    """
    stems = _by_stem(images, image_root)
    suffix = _common_suffix(labels, label_root, stems)
    wanted = [path for path in labels if _stem(path, label_root).endswith(suffix)]
    by_stem = _by_stem(wanted, label_root)
    samples = []
    missing = 0
    for stem, image in stems.items():
        label = by_stem.pop(stem + suffix, None)
        missing += label is None
        if label is not None or not skip_unlabelled:
            label = label or label_root / f'{stem}{suffix}.png'
            samples.append(Sample(image, label, sequence_of(stem)))
    if missing == len(stems):
        names = f'the first image is {images[0].name}, ' if images else ''
        raise DatasetError(
            f'{label_root}: no label image there has the name of an image in {image_root} '
            f'({names}{"the first label image is " + labels[0].name if labels else "it is empty"})'
        )
    notes = left_out(missing) if skip_unlabelled else []
    alone = [
        path
        for path in by_stem.values()
        if path not in images and not _image_stem(_stem(path, label_root), stems)
    ]
    if alone:
        notes.append(
            f'{len(alone)} label images in {label_root} match no image, for example '
            f'{alone[0].name}'
        )
    return samples, notes


def left_out(count: int) -> list[str]:
    """A note about images without labels, if there are any."""
    return [f'{count} images without labels are left out'] if count else []


def _stem(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix('').as_posix()


def _by_stem(paths: Iterable[Path], root: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        stem = _stem(path, root)
        if stem in found:
            raise DatasetError(
                f'{path} and {found[stem].name}: two files of one name; remove one of them'
            )
        found[stem] = path
    return found


def _common_suffix(labels: Sequence[Path], root: Path, stems: dict[str, Path]) -> str:
    """The most frequent suffix of label images after the name of their image."""
    counts: Counter[str] = Counter()
    for path in labels:
        stem = _stem(path, root)
        image = _image_stem(stem, stems)
        if image:
            counts[stem[len(image) :]] += 1
    return min(counts, key=lambda suffix: (-counts[suffix], len(suffix)), default='')


def _image_stem(stem: str, stems: dict[str, Path]) -> str:
    """The longest prefix of the name of a label image that is the name of an image, or ''."""
    return next((stem[:end] for end in range(len(stem), 0, -1) if stem[:end] in stems), '')

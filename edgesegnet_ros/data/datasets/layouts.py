"""Layouts of datasets, which are recognised from the content of a folder.

A layout is a function from a folder to a Listing, or to None if the folder does not have that
layout. `LAYOUTS` has them in the order in which they are tried.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgesegnet_ros.data import camvid
from edgesegnet_ros.data.datasets import cityscapes_names, coco
from edgesegnet_ros.data.datasets.matching import images_below, left_out, other_files, paired
from edgesegnet_ros.data.datasets.sample import (
    SPLITS,
    UNSPLIT,
    DatasetError,
    Listing,
    Sample,
    sequence_of,
    split_of,
)
from edgesegnet_ros.data.datasets.values import Color, Decoder, Meaning
from edgesegnet_ros.data.label_image import read_label_image

_LABEL_FOLDERS = ('labels', 'masks', 'annotations', 'label', 'mask', 'gt')
_IMAGE_FOLDERS = ('images', 'image', 'img', 'imgs')
_ROBOFLOW_TABLE = '_classes.csv'


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir())


def camvid_layout(root: Path, skip_unlabelled: bool = False) -> Listing | None:
    """`train/` with `trainannot/` (SegNet) or `train_labels/`, or the original dataset.

    The original is `701_StillsRaw_full/` with `LabeledApproved_full/` (or `LabelApproved`), in 32
    colours and without splits.
    """
    splits: dict[str, list[Sample]] = {}
    notes: list[str] = []
    for images in _folders(root):
        both = (camvid.labels_folder(images), root / f'{images.name}_labels')
        labels = next((path for path in both if path.is_dir()), None)
        if labels:
            _add(splits, notes, split_of(images.name), images, labels, skip_unlabelled)
    for images in _folders(root) if splits else ():
        if images.name in SPLITS and images.name not in splits:
            raise DatasetError(
                f'{camvid.labels_folder(images)}: no such folder, the labels of {images}'
            )
    if not splits:
        stills = [path for path in _folders(root) if 'stillsraw' in path.name.lower()]
        approved = [
            path for path in _folders(root) if re.match('label(ed)?approved', path.name.lower())
        ]
        if not stills or not approved:
            return None
        _add(splits, notes, UNSPLIT, stills[0], approved[0], skip_unlabelled)
    # CamVid names its frames by drive and number: 0016E5_00390.png.
    splits = {
        name: [one._replace(sequence=one.image.stem.split('_')[0]) for one in samples]
        for name, samples in splits.items()
    }
    return Listing('camvid', splits, own_reader=_camvid_labels, notes=tuple(notes))


def _camvid_labels(sample: Sample, decoder: Decoder) -> np.ndarray | None:
    """Labels read as CamVid's; None for colours of another class file."""
    classes = decoder.classes
    if not camvid.size_of_own(classes):
        in_color = sample.labels.stem.endswith(camvid.COLOR_SUFFIX)
        if read_label_image(sample.labels, palette_is_color=in_color).ndim == 3:
            return None
    return camvid.read_labels(sample.labels, classes)


def cityscapes_layout(root: Path, skip_unlabelled: bool = False) -> Listing | None:
    """`leftImg8bit/SPLIT/CITY/` with `gtFine/SPLIT/CITY/`, labelIds or labelTrainIds."""
    image_root, label_root = root / 'leftImg8bit', root / 'gtFine'
    if not image_root.is_dir() or not label_root.is_dir():
        return None
    kinds = {
        'labelIds': cityscapes_names.BY_ID,
        'labelTrainIds': cityscapes_names.BY_TRAIN_ID,
    }
    kind = next((one for one in kinds if any(label_root.rglob(f'*_{one}.png'))), None)
    if kind is None:
        raise DatasetError(
            f'{label_root}: holds no *_gtFine_labelIds.png and no *_gtFine_labelTrainIds.png'
        )
    splits: dict[str, list[Sample]] = {}
    missing = 0
    for image in images_below(image_root):
        relative = image.relative_to(image_root)
        stem = re.sub('_leftImg8bit$', '', image.stem)
        labels = label_root / relative.parent / f'{stem}_gtFine_{kind}.png'
        if skip_unlabelled and not labels.is_file():
            missing += 1
            continue
        sequence = '_'.join(stem.split('_')[:2])
        splits.setdefault(split_of(relative.parts[0]), []).append(Sample(image, labels, sequence))
    meaning = Meaning(values=kinds[kind], void=(255,))
    return Listing('cityscapes', splits, meaning, notes=tuple(left_out(missing)))


def voc_layout(root: Path, skip_unlabelled: bool = False) -> Listing | None:
    """`JPEGImages/`, `SegmentationClass/`, `ImageSets/Segmentation/*.txt` and `labelmap.txt`."""
    image_root, label_root = root / 'JPEGImages', root / 'SegmentationClass'
    if not image_root.is_dir() or not label_root.is_dir():
        return None
    images = {_relative_stem(path, image_root): path for path in images_below(image_root)}
    labels = {_relative_stem(path, label_root): path for path in images_below(label_root)}
    lists = _voc_lists(root / 'ImageSets' / 'Segmentation') or {UNSPLIT: list(images)}
    splits: dict[str, list[Sample]] = {}
    missing, named = 0, set()
    for split, stems in lists.items():
        for stem in stems:
            named.add(stem)
            if skip_unlabelled and (stem not in labels or stem not in images):
                missing += 1
                continue
            image = images.get(stem, image_root / f'{stem}.jpg')
            label = labels.get(stem, label_root / f'{stem}.png')
            splits.setdefault(split, []).append(Sample(image, label, sequence_of(stem)))
    notes = left_out(missing)
    unused = len(images.keys() - named)
    if unused:
        notes.append(f'{unused} images are not listed in ImageSets/Segmentation and are skipped')
    table = root / 'labelmap.txt'
    if not table.is_file():
        return Listing('voc', splits, notes=tuple(notes))
    colors = _voc_colors(table)
    meaning = Meaning(dict(enumerate(colors.values())), colors, palette_is_color=True)
    return Listing('voc', splits, meaning, notes=tuple(notes))


def _voc_lists(folder: Path) -> dict[str, list[str]]:
    if not folder.is_dir():
        return {}
    lists = {
        split_of(path.stem): path.read_text(encoding='utf-8').split('\n')
        for path in sorted(folder.glob('*.txt'))
    }
    named = {
        name: [line.strip() for line in lines if line.strip()] for name, lines in lists.items()
    }
    splits = {name: stems for name, stems in named.items() if name in SPLITS and stems}
    if splits:
        return splits
    everything = sorted({stem for stems in named.values() for stem in stems})
    return {UNSPLIT: everything} if everything else {}


def _voc_colors(table: Path) -> dict[Color, str]:
    """CVAT's `labelmap.txt`: a `name:red,green,blue:parts:actions` per line, and # comments."""
    colors: dict[Color, str] = {}
    for number, line in enumerate(table.read_text(encoding='utf-8').splitlines(), 1):
        if not line.strip() or line.lstrip().startswith('#'):
            continue
        name, _, rest = line.partition(':')
        try:
            red, green, blue = (int(text) for text in rest.partition(':')[0].split(','))
        except ValueError:
            raise DatasetError(
                f'{table}:{number}: {line!r} is not name:red,green,blue:parts:actions'
            ) from None
        colors[(red, green, blue)] = name.strip()
    return colors


def folder_layout(root: Path, skip_unlabelled: bool = False) -> Listing | None:
    """`images/` with `labels/` or `masks/`; folders of splits may be in them or above them.

    Also images and masks in one folder with `_classes.csv`, as Roboflow exports masks.
    """
    splits: dict[str, list[Sample]] = {}
    notes: list[str] = []
    tables = sorted(root.glob(f'*/{_ROBOFLOW_TABLE}')) + sorted(root.glob(_ROBOFLOW_TABLE))
    if tables:
        for table in tables:
            name = UNSPLIT if table.parent == root else split_of(table.parent.name)
            files = images_below(table.parent)
            masks = [path for path in files if path.stem.endswith('_mask')]
            photos = [path for path in files if path not in masks]
            samples, left = paired(photos, masks, table.parent, table.parent, skip_unlabelled)
            splits[name], notes = samples, notes + left
        return Listing('folder', splits, _roboflow_meaning(tables), notes=tuple(notes))
    around = [(UNSPLIT, root)] + [(split_of(path.name), path) for path in _folders(root)]
    for name, folder in around:
        images = next((folder / one for one in _IMAGE_FOLDERS if (folder / one).is_dir()), None)
        labels = next((folder / one for one in _LABEL_FOLDERS if (folder / one).is_dir()), None)
        if images is None or labels is None:
            continue
        inner = [path for path in _folders(images) if split_of(path.name) in SPLITS]
        if name == UNSPLIT and inner:
            for part in inner:
                _add(
                    splits,
                    notes,
                    split_of(part.name),
                    part,
                    labels / part.name,
                    skip_unlabelled,
                )
            alone = [path for path in images_below(images) if path.parent == images]
            if alone:
                notes.append(f'{len(alone)} images directly in {images} belong to no split')
        else:
            _add(splits, notes, name, images, labels, skip_unlabelled)
    return Listing('folder', splits, notes=tuple(notes)) if splits else None


def _roboflow_meaning(tables: list[Path]) -> Meaning:
    values: dict[int, str] = {}
    for table in tables:
        with table.open(newline='', encoding='utf-8') as file:
            for row in csv.reader(file, skipinitialspace=True):
                if row and row[0].strip().isdigit():
                    value, name = int(row[0]), row[1].strip()
                    if values.setdefault(value, name) != name:
                        raise DatasetError(
                            f'{table}: value {value} is {name}, but {values[value]} in another '
                            'split'
                        )
    return Meaning(values=values)


def _add(
    splits: dict[str, list[Sample]],
    notes: list[str],
    name: str,
    images: Path,
    labels: Path,
    skip_unlabelled: bool,
) -> None:
    found = images_below(images)
    if not found:
        raise DatasetError(f'{images}: holds no image')
    if not labels.is_dir():
        raise DatasetError(f'{labels}: no such folder, the labels of {images}')
    samples, left = paired(found, images_below(labels), images, labels, skip_unlabelled)
    others = other_files(images)
    if others:
        notes.append(
            f'{len(others)} files in {images} have no supported image format and are skipped, for '
            f'example {others[0].name}'
        )
    splits.setdefault(name, []).extend(samples)
    notes.extend(left)


def _relative_stem(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix('').as_posix()


Layout = Callable[[Path, bool], 'Listing | None']
LAYOUTS: dict[str, Layout] = {
    'cityscapes': cityscapes_layout,
    'voc': voc_layout,
    'camvid': camvid_layout,
    'coco': coco.coco_layout,
    'folder': folder_layout,
}
"""The layouts; a new layout is a function and a line here."""


def list_folder(root: Path, layout: str = '', skip_unlabelled: bool = False) -> Listing:
    """List the files of a dataset.

    Args:
        root: An existing folder.
        layout: A key of LAYOUTS; if empty, the layout is recognised from the content.
        skip_unlabelled: Skip images without labels, with a note.

    Raises:
        DatasetError: The folder has no known layout, or not the given one.
    """
    for name, look in LAYOUTS.items():
        if layout in ('', name):
            found = look(root, skip_unlabelled)
            if found and any(found.splits.values()):
                return found
    there = ', '.join(sorted(path.name for path in root.iterdir())[:8]) or 'nothing'
    raise DatasetError(
        f'{root}: not a dataset of the layout {layout or ", ".join(LAYOUTS)}; it holds {there}. '
        'The simplest layout is images/ beside labels/ with files of the same names; '
        'docs/own-data.md shows all layouts and dataset.yaml'
    )

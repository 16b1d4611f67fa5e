"""COCO's layout: images, and a JSON file of polygons and run lengths for each split."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from edgesegnet_ros.data.classes import VOID
from edgesegnet_ros.data.datasets.sample import (
    UNSPLIT,
    DatasetError,
    Listing,
    Sample,
    listed,
    sequence_of,
    split_of,
)
from edgesegnet_ros.data.datasets.values import Decoder, Meaning
from edgesegnet_ros.extras import need

_KEYS = {'images', 'annotations', 'categories'}
BACKGROUND = 'background'
"""Class of the pixels without an annotation; without a class of this name they are void."""


class _Annotations:
    """The content of one JSON file, by image."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path
        self.names = {int(one['id']): str(one['name']) for one in content['categories']}
        self.images = {int(one['id']): one for one in content['images']}
        self.of_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for one in content['annotations']:
            self.of_image[int(one['image_id'])].append(one)


def coco_layout(root: Path, skip_unlabelled: bool = False) -> Listing | None:
    """`annotations/*.json`, `SPLIT/_annotations.coco.json` or a JSON file beside the images.

    Every image that a file lists is a sample, even one without annotations, as in COCO.
    """
    del skip_unlabelled
    files = [
        path
        for pattern in ('annotations/*.json', '*/_annotations.coco.json', '*.json')
        for path in sorted(root.glob(pattern))
    ]
    found = {path: content for path in files if (content := _content(path)) is not None}
    if not found:
        return None
    need('data', ('pycocotools',), 'the layout coco')
    splits: dict[str, list[Sample]] = {}
    annotations: dict[Path, tuple[_Annotations, int]] = {}
    missing = []
    values: dict[int, str] = {}
    for path, content in found.items():
        of_file = _Annotations(path, content)
        for number, name in of_file.names.items():
            if values.setdefault(number, name) != name:
                raise DatasetError(
                    f'{path}: category {number} is {name}, but {values[number]} in another file'
                )
        split = _split_of_file(path, root)
        for number, entry in sorted(
            of_file.images.items(), key=lambda item: str(item[1]['file_name'])
        ):
            name = str(entry['file_name'])
            image = _find_image(name, path, root, split)
            if image is None:
                missing.append(f'{path}: image {name} is not there')
                continue
            if image in annotations:
                raise DatasetError(
                    f'{image}: annotated in {path} and in {annotations[image][0].path}'
                )
            annotations[image] = of_file, number
            sequence = sequence_of(Path(name).stem)
            splits.setdefault(split, []).append(Sample(image, path, sequence))
    if missing:
        raise DatasetError(listed(missing, f'{root}: {len(missing)} images are missing'))

    def read(sample: Sample, decoder: Decoder) -> np.ndarray:
        of_file, number = annotations[sample.image]
        return _painted(of_file, number, decoder)

    return Listing('coco', splits, Meaning(values=values), own_reader=read)


def _content(path: Path) -> dict[str, Any] | None:
    """The content of a COCO file; None for a JSON file of another kind."""
    try:
        with path.open(encoding='utf-8') as file:
            content = json.load(file)
    except (OSError, ValueError) as error:
        if path.name == '_annotations.coco.json' or path.parent.name == 'annotations':
            raise DatasetError(f'{path}: cannot be read as JSON ({error})') from None
        return None
    return content if isinstance(content, dict) and content.keys() >= _KEYS else None


def _split_of_file(path: Path, root: Path) -> str:
    if path.parent not in (root, root / 'annotations'):
        return split_of(path.parent.name)
    for word in re.split('[^a-z]+', path.stem.lower()):
        if split_of(word) in ('train', 'val', 'test'):
            return split_of(word)
    return UNSPLIT


def _find_image(name: str, path: Path, root: Path, split: str) -> Path | None:
    year = re.search(r'((?:train|val|test)\d*)$', path.stem)
    folders = [path.parent, root, root / 'images']
    folders += [
        base / one for base in (root, root / 'images') for one in (split, year and year[1]) if one
    ]
    for folder in folders:
        for candidate in (folder / name, folder / Path(name).name):
            if candidate.is_file():
                return candidate
    return None


def _painted(annotations: _Annotations, number: int, decoder: Decoder) -> np.ndarray:
    """(H, W) uint8 class ids; small segments are drawn over large ones."""
    from pycocotools import mask

    entry = annotations.images[number]
    height, width = int(entry['height']), int(entry['width'])
    ground = decoder.target(BACKGROUND)
    labels = np.full((height, width), VOID if ground is None else ground, np.uint8)
    shapes = []
    for one in annotations.of_image[number]:
        where = f'{annotations.path}: annotation {one.get("id")} of {entry["file_name"]}'
        category = int(one['category_id'])
        if category not in annotations.names:
            raise DatasetError(f'{where}: category {category} is not among the categories')
        segmentation = one.get('segmentation')
        if not segmentation:
            raise DatasetError(
                f'{where}: has no polygon and no run lengths (a bounding box does not give pixels)'
            )
        try:
            if isinstance(segmentation, dict) and not isinstance(segmentation['counts'], list):
                runs = segmentation
            else:
                runs = mask.frPyObjects(segmentation, height, width)
                runs = mask.merge(runs) if isinstance(runs, list) else runs
            shape = mask.decode(runs).astype(bool)
        except Exception as error:  # pycocotools raises plain exceptions
            raise DatasetError(f'{where}: its segmentation cannot be read ({error})') from None
        if shape.shape != labels.shape:
            raise DatasetError(
                f'{where}: run lengths of {shape.shape[1]}x{shape.shape[0]} for an image of '
                f'{width}x{height}'
            )
        target = decoder.target(annotations.names[category])
        shapes.append((int(shape.sum()), VOID if target is None else target, shape))
    for _, target, shape in sorted(shapes, key=lambda item: -item[0]):
        labels[shape] = target
    return labels

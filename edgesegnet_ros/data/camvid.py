"""CamVid in the layout of the SegNet tutorial: `train/` beside `trainannot/`, and so on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from edgesegnet_ros.errors import EdgeSegNetError

ENVIRONMENT_VARIABLE = 'EDGESEGNET_CAMVID'
SPLITS = ('train', 'val', 'test')
VOID = 255
"""Label of pixels that are neither trained nor scored."""
_CLASSES = 11


class CamVidError(EdgeSegNetError):
    """A dataset folder that cannot be used; the message lists every file that is wrong."""


class LabelledImage(NamedTuple):
    """The files of one labelled image."""

    image: Path
    labels: Path


def dataset_folder(data: str | Path | None = None) -> Path:
    """The CamVid folder: `data`, or the environment variable EDGESEGNET_CAMVID.

    Raises:
        CamVidError: Neither names a folder.
    """
    named = str(data) if data else os.environ.get(ENVIRONMENT_VARIABLE, '')
    if not named:
        raise CamVidError(f'no CamVid folder: give --data DIR or set {ENVIRONMENT_VARIABLE}')
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise CamVidError(f'{folder}: no such folder (from --data or {ENVIRONMENT_VARIABLE})')
    return folder


def labels_folder(images: Path) -> Path:
    """Where the labels of a folder of images lie: `test/` has them in `testannot/`."""
    return images.with_name(images.name + 'annot')


def split_files(folder: Path, split: str) -> list[LabelledImage]:
    """Images and labels of one split, in name order, so that a drive's frames follow on.

    Raises:
        CamVidError: A folder is missing or empty, or images lack labels; lists all of them.
    """
    images = folder / split
    labels = labels_folder(images)
    for part in (images, labels):
        if not part.is_dir():
            raise CamVidError(f'{part}: no such folder; a CamVid folder holds {images.name}/ '
                              f'and {labels.name}/ of PNG files')  # fmt: skip
    files = [LabelledImage(path, labels / path.name) for path in sorted(images.glob('*.png'))]
    if not files:
        raise CamVidError(f'{images}: holds no PNG file')
    missing = [str(pair.labels) for pair in files if not pair.labels.is_file()]
    if missing:
        raise CamVidError('images without labels, missing:\n  ' + '\n  '.join(missing))
    return files


def read_image(path: Path) -> np.ndarray:
    """An image as (H, W, 3) uint8 RGB.

    Raises:
        CamVidError: The file cannot be decoded.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise CamVidError(f'{path}: not an image that OpenCV can read')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_labels(path: Path, num_classes: int = _CLASSES) -> np.ndarray:
    """A label image as (H, W) uint8 class ids, void as 255.

    Args:
        path: An 8-bit image with one channel.
        num_classes: Of the class file; the file stores void as this number, or as 255.

    Raises:
        CamVidError: The file cannot be decoded, has colours, or holds an unknown value.
    """
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if labels is None:
        raise CamVidError(f'{path}: not an image that OpenCV can read')
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise CamVidError(f'{path}: labels are 8-bit PNG with one channel')
    labels = np.where(labels == num_classes, VOID, labels).astype(np.uint8)
    unknown = np.unique(labels[(labels > num_classes) & (labels != VOID)])
    if unknown.size:
        raise CamVidError(f'{path}: unknown label values {unknown.tolist()}, 0 to '
                          f'{num_classes} are known')  # fmt: skip
    return labels


def read_split(folder: Path, split: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Decode a whole split into memory (train: 250 MB).

    Returns:
        Pairs of (H, W, 3) uint8 RGB and (H, W) uint8 labels.

    Raises:
        CamVidError: Some file is wrong; lists every such file, not the first alone.
    """
    pairs, wrong = [], []
    for files in split_files(folder, split):
        try:
            image, labels = read_image(files.image), read_labels(files.labels)
        except CamVidError as error:
            wrong.append(str(error))
            continue
        if image.shape[:2] != labels.shape:
            wrong.append(f'{files.labels}: {labels.shape[1]}x{labels.shape[0]}, but its image is '
                         f'{image.shape[1]}x{image.shape[0]}')  # fmt: skip
        pairs.append((image, labels))
    if wrong:
        raise CamVidError('unusable files in the dataset:\n  ' + '\n  '.join(wrong))
    return pairs

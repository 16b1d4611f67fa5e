"""CamVid in the layout of the SegNet tutorial: `train/` beside `trainannot/`, and so on.

Labels are class ids (`name.png`, one channel) or the original 32 colours (`name_L.png`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, Tuple

import cv2
import numpy as np

from edgesegnet_ros.data import camvid_colors
from edgesegnet_ros.data.classes import VOID
from edgesegnet_ros.data.label_image import LabelImageError, read_label_image
from edgesegnet_ros.errors import EdgeSegNetError

ENVIRONMENT_VARIABLE = 'EDGESEGNET_CAMVID'
SPLITS = ('train', 'val', 'test')
CLASSES = 11
"""Of the SegNet split, void not included."""
COLOR_SUFFIX = '_L'
"""What CamVid's own colour labels have behind their image's name."""

LabelledPair = Tuple[np.ndarray, np.ndarray]
"""(H, W, 3) uint8 RGB and (H, W) uint8 labels."""


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


def _pairs(folder: Path, split: str) -> list[LabelledImage]:
    """What a split should hold; labels that are not there keep the name of the class ids' file."""
    images = folder / split
    labels = labels_folder(images)
    for part in (images, labels):
        if not part.is_dir():
            raise CamVidError(
                f'{part}: no such folder; a CamVid folder holds {images.name}/ '
                f'and {labels.name}/ of PNG files'
            )
    pairs = []
    for image in sorted(images.glob('*.png')):
        colors = labels / f'{image.stem}{COLOR_SUFFIX}.png'
        plain = labels / image.name
        pairs.append(
            LabelledImage(
                image, plain if plain.is_file() else colors if colors.is_file() else plain
            )
        )
    if not pairs:
        raise CamVidError(f'{images}: holds no PNG file')
    return pairs


def _missing(pair: LabelledImage) -> str:
    return f'{pair.labels}: missing, the labels of {pair.image.name} (or {pair.image.stem}_L.png)'


def split_files(folder: Path, split: str) -> list[LabelledImage]:
    """Images and labels of one split, in name order, so that a drive's frames follow on.

    Raises:
        CamVidError: A folder is missing or empty, or images lack labels; lists all of them.
    """
    pairs = _pairs(folder, split)
    missing = [_missing(pair) for pair in pairs if not pair.labels.is_file()]
    if missing:
        raise CamVidError('images without labels:\n  ' + '\n  '.join(missing))
    return pairs


def read_image(path: Path) -> np.ndarray:
    """An image as (H, W, 3) uint8 RGB.

    Raises:
        CamVidError: The file cannot be decoded.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise CamVidError(f'{path}: not an image that OpenCV can read')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_labels(path: Path, num_classes: int = CLASSES) -> np.ndarray:
    """A label image as (H, W) uint8 class ids, void as 255.

    Args:
        path: One channel or a palette of class ids, or CamVid's 32 colours, which are folded to
            11 classes where those are asked for. See `label_image`.
        num_classes: Of the class file. Ids store void as this number or as 255; with 32 classes
            CamVid's own void (30) is void too.

    Raises:
        CamVidError: The file cannot be decoded, or holds an unknown value or colour.
    """
    try:
        labels = read_label_image(path, palette_is_color=path.stem.endswith(COLOR_SUFFIX))
    except LabelImageError as error:
        raise CamVidError(str(error)) from error
    if labels.ndim == 3:
        ids = camvid_colors.to_ids(labels)
        if ids.unknown:
            raise CamVidError(f'{path}: {ids.unknown}')
        if num_classes == CLASSES:
            return camvid_colors.fold(ids.labels)
        if num_classes != camvid_colors.CLASSES:
            raise CamVidError(
                f"{path}: CamVid's colours stand for {camvid_colors.CLASSES} "
                f'classes or fold to {CLASSES}; the class file has {num_classes}'
            )
        return ids.labels
    void = [num_classes]
    if num_classes == camvid_colors.CLASSES:
        void.append(camvid_colors.void())
    labels = np.where(np.isin(labels, void), VOID, labels)
    unknown = np.unique(labels[(labels > num_classes) & (labels != VOID)])
    if unknown.size:
        raise CamVidError(
            f'{path}: unknown label values {unknown.tolist()}, 0 to {num_classes} are known'
        )
    return labels.astype(np.uint8)


def read_pair(pair: LabelledImage, num_classes: int = CLASSES) -> LabelledPair:
    """Decode one image and its labels.

    Raises:
        CamVidError: A file is missing or wrong, or the two differ in size.
    """
    if not pair.labels.is_file():
        raise CamVidError(_missing(pair))
    image, labels = read_image(pair.image), read_labels(pair.labels, num_classes)
    if image.shape[:2] != labels.shape:
        raise CamVidError(
            f'{pair.labels}: {labels.shape[1]}x{labels.shape[0]}, but its image '
            f'is {image.shape[1]}x{image.shape[0]}'
        )
    return image, labels


def checked_files(folder: Path, split: str, num_classes: int = CLASSES) -> list[LabelledImage]:
    """The files of one split, each decoded once and let go: for what reads them one by one.

    Raises:
        CamVidError: A folder is missing or some file is wrong; lists every such file.
    """
    pairs, wrong = _pairs(folder, split), []
    for pair in pairs:
        try:
            read_pair(pair, num_classes)
        except CamVidError as error:
            wrong.append(str(error))
    _refuse(wrong)
    return pairs


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise CamVidError(f'{len(wrong)} unusable files in the dataset:\n  ' + '\n  '.join(wrong))


def read_splits(
    folder: Path, splits: tuple[str, ...], num_classes: int = CLASSES
) -> dict[str, list[LabelledPair]]:
    """Decode whole splits into memory (train: 250 MB), all of them checked before any is used.

    Returns:
        Pairs of (H, W, 3) uint8 RGB and (H, W) uint8 labels by split, in name order.

    Raises:
        CamVidError: A folder is missing or some file is wrong; lists every such file of all the
            splits, not the first alone.
    """
    files = {split: _pairs(folder, split) for split in splits}
    wrong: list[str] = []
    read: dict[str, list[LabelledPair]] = {split: [] for split in splits}
    for split, pairs in files.items():
        for pair in pairs:
            try:
                read[split].append(read_pair(pair, num_classes))
            except CamVidError as error:
                wrong.append(str(error))
    _refuse(wrong)
    return read


def read_split(folder: Path, split: str, num_classes: int = CLASSES) -> list[LabelledPair]:
    """One split of `read_splits`."""
    return read_splits(folder, (split,), num_classes)[split]


def drives(folder: Path, split: str) -> list[str]:
    """The drive that each image of a split is from, in the order of `read_splits`.

    CamVid names its frames by drive and number: `0016E5_00390.png`.

    Raises:
        CamVidError: As `split_files`.
    """
    return [pair.image.stem.split('_')[0] for pair in split_files(folder, split)]


def class_shares(pairs: list[LabelledPair], num_classes: int) -> np.ndarray:
    """(num_classes,) share of each class in all labelled pixels, 0-1; zeros without any."""
    counts = [np.bincount(labels.ravel(), minlength=256)[:num_classes] for _, labels in pairs]
    pixels = np.sum(counts, axis=0) if counts else np.zeros(num_classes, np.int64)
    return pixels / max(int(pixels.sum()), 1)

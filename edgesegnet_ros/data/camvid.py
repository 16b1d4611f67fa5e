"""CamVid in the layout of the SegNet tutorial: `train/` beside `trainannot/`, and so on.

Labels are class ids (`name.png`, one channel) or the original 32 colours (`name_L.png`).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Dict, List, Tuple

import cv2
import numpy as np

from edgesegnet_ros.data import camvid_colors
from edgesegnet_ros.data.classes import VOID, ClassSet, load_classes
from edgesegnet_ros.data.label_image import LabelImageError, read_label_image
from edgesegnet_ros.errors import EdgeSegNetError

ENVIRONMENT_VARIABLE = 'EDGESEGNET_CAMVID'
CLASSES = 11
"""Number of classes of the SegNet split, without void."""
COLOR_SUFFIX = '_L'
"""Suffix of CamVid's own colour labels behind the name of their image."""

LabelledPair = Tuple[np.ndarray, np.ndarray]
"""(H, W, 3) uint8 RGB and (H, W) uint8 labels."""


class CamVidError(EdgeSegNetError):
    """An image or a label image that cannot be used."""


def labels_folder(images: Path) -> Path:
    """The folder of the labels of a folder of images: `testannot/` for `test/`."""
    return images.with_name(images.name + 'annot')


def read_image(path: Path) -> np.ndarray:
    """An image as (H, W, 3) uint8 RGB.

    Raises:
        CamVidError: The file cannot be decoded.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise CamVidError(f'{path}: not an image that OpenCV can read')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@lru_cache(maxsize=1)
def _names() -> Dict[int, List[str]]:
    sets = {CLASSES: 'camvid11', camvid_colors.CLASSES: 'camvid32'}
    return {number: load_classes(name).names for number, name in sets.items()}


def size_of_own(classes: ClassSet) -> int:
    """11 or 32 where a class set is one of CamVid's by its names; 0 for every other one."""
    number = len(classes.classes)
    return number if _names().get(number) == classes.names else 0


def read_labels(path: Path, classes: ClassSet) -> np.ndarray:
    """Read a label image as (H, W) uint8 class ids, with void as 255.

    Args:
        path: One channel or a palette of class ids, or CamVid's 32 colours, which are folded if
            `classes` are CamVid's 11. See `label_image`.
        classes: The classes of the labels. Ids store void as their number or as 255. If they
            are CamVid's 32 (see `size_of_own`), its own void (30) is void, too; in every other
            class set 30 is a class like any other.

    Raises:
        CamVidError: The file cannot be decoded, or holds an unknown value or colour.
    """
    num_classes = len(classes.classes)
    own = size_of_own(classes)
    try:
        labels = read_label_image(path, palette_is_color=path.stem.endswith(COLOR_SUFFIX))
    except LabelImageError as error:
        raise CamVidError(str(error)) from error
    if labels.ndim == 3:
        ids = camvid_colors.to_ids(labels)
        if ids.unknown:
            raise CamVidError(f'{path}: {ids.unknown}')
        if not own:
            raise CamVidError(
                f'{path}: it holds colours, which stand for the classes of camvid11 and camvid32, '
                f'but not for those of {classes.name}'
            )
        return camvid_colors.fold(ids.labels) if own == CLASSES else ids.labels
    void = [num_classes]
    if own == camvid_colors.CLASSES:
        void.append(camvid_colors.void())
    labels = np.where(np.isin(labels, void), VOID, labels)
    unknown = np.unique(labels[(labels > num_classes) & (labels != VOID)])
    if unknown.size:
        raise CamVidError(
            f'{path}: unknown label values {unknown.tolist()}, 0 to {num_classes} are known'
        )
    return labels.astype(np.uint8)


def class_shares(pairs: list[LabelledPair], num_classes: int) -> np.ndarray:
    """(num_classes,) share of each class in all labelled pixels, 0-1; zeros without any."""
    counts = [np.bincount(labels.ravel(), minlength=256)[:num_classes] for _, labels in pairs]
    pixels = np.sum(counts, axis=0) if counts else np.zeros(num_classes, np.int64)
    return pixels / max(int(pixels.sum()), 1)

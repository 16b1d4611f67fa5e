"""Images for calibration and for the parity gate: a user's folder, or rendered streets."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from edgesegnet_ros.data.camvid import CamVidError, labels_folder, read_image, read_labels
from edgesegnet_ros.data.classes import ClassSet, load_classes
from edgesegnet_ros.data.image_files import IMAGE_SUFFIXES, images_in
from edgesegnet_ros.data.street import random_scenes
from edgesegnet_ros.data.street.labels import CLASSES as STREET_CLASSES
from edgesegnet_ros.engines.request import EngineError

STREET_SIZE = (360, 480)
PARITY_SEED, CALIBRATION_SEED = 5, 6
"""Training draws its streets from seeds of 1,000,000 and more."""
PARITY_STREETS, CALIBRATION_STREETS = 8, 32
PARITY_PICTURES, CALIBRATION_PICTURES = 24, 64
"""At most this many images of a folder are used, evenly spread over their names."""

Labelled = Tuple[np.ndarray, Optional[np.ndarray]]
"""(H, W, 3) uint8 RGB and, where they are known, (H, W) uint8 labels with 255 for void."""


class ImageSet(NamedTuple):
    """A set of images, which are not decoded yet.

    Attributes:
        title: For people.
        files: Empty for rendered streets.
        seed: Seed of the streets.
        streets: Their number.
    """

    title: str
    files: Tuple[Path, ...] = ()
    seed: int = 0
    streets: int = 0

    @property
    def identity(self) -> str:
        """Equal for equal sets; files are identified by name, size and time of modification."""
        if not self.files:
            return f'streets-{self.seed}-{self.streets}'
        record = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in self.files]
        return hashlib.sha256(repr(record).encode()).hexdigest()[:16]

    def read(self, classes: ClassSet) -> Iterator[Labelled]:
        """Decode or render the images one by one.

        Args:
            classes: Labels that do not fit them are left out.

        Raises:
            EngineError: A file is not an image.
        """
        if not self.files:
            fit = classes.names == load_classes(STREET_CLASSES).names
            for frame in random_scenes(self.seed, self.streets, STREET_SIZE):
                yield frame.image, frame.labels if fit else None
            return
        annotated = {path.stem: path for path in images_in(_labels_of(self.files[0].parent))}
        for path in self.files:
            try:
                image = read_image(path)
            except CamVidError as error:
                raise EngineError(f'{error}; remove it from the folder') from None
            yield image, _labels(annotated.get(path.stem), image, classes)


def _labels_of(folder: Path) -> Path:
    return labels_folder(folder.resolve())


def _labels(path: Optional[Path], image: np.ndarray, classes: ClassSet) -> Optional[np.ndarray]:
    if path is None:
        return None
    try:
        labels = read_labels(path, classes)
    except CamVidError:
        return None
    return labels if labels.shape == image.shape[:2] else None


def _folder_set(named: str, what: str, limit: int) -> ImageSet:
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise EngineError(f'{folder}: no such folder of {what}')
    files: List[Path] = images_in(folder)
    if not files:
        raise EngineError(
            f'{folder}: holds no image to use as {what} ({", ".join(IMAGE_SUFFIXES)})'
        )
    taken = [files[index * len(files) // limit] for index in range(limit)]
    taken = files if len(files) <= limit else taken
    return ImageSet(f'{len(taken)} of {len(files)} images of {folder}', tuple(taken))


def parity_set(named: str = '') -> ImageSet:
    """Images for the parity gate.

    Args:
        named: Folder of the user's, with labels in its sibling `…annot` or without; '' for none.

    Raises:
        EngineError: The folder is missing or empty.
    """
    if named:
        return _folder_set(named, 'parity_frames', PARITY_PICTURES)
    return ImageSet(f'{PARITY_STREETS} rendered streets', (), PARITY_SEED, PARITY_STREETS)


def calibration_set(named: str = '') -> ImageSet:
    """Images for int8 calibration; see `parity_set`."""
    if named:
        return _folder_set(named, 'calibration images', CALIBRATION_PICTURES)
    title = f'{CALIBRATION_STREETS} rendered streets'
    return ImageSet(title, (), CALIBRATION_SEED, CALIBRATION_STREETS)

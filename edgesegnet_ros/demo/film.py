"""The film of a demo: the camera image beside the overlay, as an animated WebP or GIF."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import cv2
import numpy as np

from edgesegnet_ros.atomic_file import atomic_file
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.overlay import legend
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.extras import need

SUFFIXES = ('.webp', '.gif')
MOST_BYTES = 2_000_000
"""Largest size of a film in bytes, for use in repositories and web pages."""
_PERIOD_MS = 100
_GAP = 4
_ATTEMPTS = ((400, 70), (400, 50), (320, 50), (320, 30), (240, 30), (160, 20))
"""Width of each half in pixels and WebP quality; tried in order until the film is small enough."""


class FilmError(EdgeSegNetError):
    """A film that cannot be made."""


def check(path: Path) -> None:
    """Refuse a file of another type, before anything is played.

    Raises:
        FilmError: The suffix is none of SUFFIXES.
        MissingExtra: Pillow is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise FilmError(f'--film {path}: the film is an animated .webp or .gif file')
    need('report', ('PIL',), 'a film')


def write(frames: Path, classes: ClassSet, path: Path) -> Dict[str, Any]:
    """Encode the frames that the collector kept, as well as MOST_BYTES allows.

    Args:
        frames: Folder of PNG files, (H, 2 * W, 3): camera image, and the node's overlay right of
            it.
        classes: Classes of the legend.
        path: A .webp or .gif file, which is replaced atomically.

    Returns:
        Path, frames, size in bytes, width and height.

    Raises:
        FilmError: There are no frames.
        WriteError: The file cannot be written.
    """
    from PIL import Image

    files = sorted(frames.glob('*.png'))
    if not files:
        raise FilmError(f'{frames}: the node published no overlay, so there is no film')
    for width, quality in _ATTEMPTS:
        images = [Image.fromarray(_frame(file, classes, width)) for file in files]
        with atomic_file(path) as partial:
            _save(images, partial, path.suffix.lower(), quality)
            small = partial.stat().st_size <= MOST_BYTES
        if small:
            break
    columns, rows = images[0].size
    size = path.stat().st_size
    return {
        'path': str(path),
        'frames': len(files),
        'bytes': size,
        'width': columns,
        'height': rows,
    }


def _save(images: List[Any], path: Path, suffix: str, quality: int) -> None:
    options: Dict[str, Any] = (
        {'quality': quality, 'method': 6} if suffix == '.webp' else {'optimize': True}
    )
    images[0].save(
        str(path),
        save_all=True,
        append_images=images[1:],
        duration=_PERIOD_MS,
        loop=0,
        **options,
    )


def _frame(file: Path, classes: ClassSet, width: int) -> np.ndarray:
    """(h, 2 * width + gap, 3) uint8 RGB: both halves, and the legend below."""
    both = cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    halves = np.split(both, 2, axis=1)
    height = round(both.shape[0] * width / (both.shape[1] // 2))
    shown = [cv2.resize(half, (width, height), interpolation=cv2.INTER_AREA) for half in halves]
    gap = np.full((height, _GAP, 3), 255, np.uint8)
    image = np.concatenate([shown[0], gap, shown[1]], axis=1)
    return np.concatenate([image, legend(classes, image.shape[1])])

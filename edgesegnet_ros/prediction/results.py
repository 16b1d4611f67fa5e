"""The results of `edgesegnet predict` for one input: image folders, a film, a line per frame."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgesegnet_ros.data.classes import VOID, ClassSet
from edgesegnet_ros.data.overlay import colorize, overlay
from edgesegnet_ros.data.sources import SourceFrame
from edgesegnet_ros.engines.segmenter import Segmentation
from edgesegnet_ros.errors import EdgeSegNetError

if TYPE_CHECKING:
    from edgesegnet_ros.evaluation.replay.film import Film

KINDS = ('images', 'labels', 'colors', 'overlays', 'film')
"""`images`: the images themselves, as of a bag; `labels`: class ids as 8-bit PNG, 255 for
unlabelled; `colors`: class colours; `overlays`: these over the image; `film`: the overlays as one
video."""
LINES_NAME = 'frames.jsonl'
FILM_NAME = 'overlay.mp4'
OVERLAY_ALPHA = 0.5


class PredictError(EdgeSegNetError):
    """Wrong use of `edgesegnet predict`, or a result that cannot be written."""


def refuse_old_results(folders: Iterable[Path]) -> None:
    """Check that no folder holds the results of an earlier run, which new ones would mix with.

    Raises:
        PredictError: One does.
    """
    for folder in folders:
        if (folder / LINES_NAME).exists():
            raise PredictError(
                f'{folder}: holds the results of an earlier run ({LINES_NAME}); name another '
                'folder, or remove this one'
            )


class Results:
    """Writes the results of one input, frame by frame.

    Args:
        folder: Takes a folder for each kind, the film and LINES_NAME.
        kinds: Some of KINDS.
        classes: Class set with names and colours.

    Raises:
        PredictError: The folder cannot be written.
    """

    def __init__(self, folder: Path, kinds: tuple[str, ...], classes: ClassSet) -> None:
        self.folder, self._kinds, self._classes = folder, kinds, classes
        self._names: set[str] = set()
        self._film: Film | None = None
        try:
            for kind in (*kinds, ''):
                if kind != 'film':
                    (folder / kind).mkdir(parents=True, exist_ok=True)
            self._lines = (folder / LINES_NAME).open('w', encoding='utf-8')
        except OSError as error:
            raise PredictError(f'{folder}: cannot be written ({error.strerror})') from None
        if 'film' in kinds:
            from edgesegnet_ros.evaluation.replay.film import Film

            self._film = Film(folder / FILM_NAME)

    def add(self, frame: SourceFrame, found: Segmentation, milliseconds: float) -> np.ndarray:
        """Write the results of one frame.

        Args:
            frame: As its source gave it.
            found: At the size of the frame's image.
            milliseconds: From the image to its labels.

        Returns:
            The overlay, (H, W, 3) uint8 RGB.

        Raises:
            PredictError: A file cannot be written.
        """
        name = self._name_of(frame)
        labels = found.labels
        shown = overlay(frame.image, labels, self._classes.palette, OVERLAY_ALPHA)
        images = {
            'images': frame.image,
            'labels': labels,
            'colors': colorize(labels, self._classes.palette),
            'overlays': shown,
        }
        files = {}
        for kind in self._kinds:
            if kind in images:
                files[kind] = f'{kind}/{name}.png'
                self._write_png(self.folder / files[kind], images[kind])
        if self._film:
            self._film.add(shown)
        counts = np.bincount(labels.ravel(), minlength=256) / labels.size
        line: dict[str, Any] = {
            'frame': frame.name,
            'stamp_ns': frame.stamp_ns,
            'width': labels.shape[1],
            'height': labels.shape[0],
            'latency_ms': round(milliseconds, 3),
            'share': {e.name: round(float(counts[e.id]), 6) for e in self._classes.classes},
            'unlabeled': round(float(counts[VOID]), 6),
            **files,
        }
        if found.confidence is not None:
            line['confidence'] = round(float(found.confidence.mean()) / 255.0, 4)
        self._lines.write(json.dumps(line) + '\n')
        self._lines.flush()
        return shown

    def _name_of(self, frame: SourceFrame) -> str:
        """Name of a frame's files; a frame of a video or a bag has a number, an image its name."""
        name = f'{int(frame.name):06d}' if frame.name.isdigit() else Path(frame.name).stem
        if name in self._names:  # a.jpg beside a.png
            name = Path(frame.name).name.replace('.', '_')
        self._names.add(name)
        return name

    def _write_png(self, path: Path, pixels: np.ndarray) -> None:
        stored = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        try:
            written = cv2.imwrite(str(path), stored)
        except cv2.error:
            written = False
        if not written:
            raise PredictError(f'{path}: cannot be written; is the disk full?')

    def close(self, complete: bool) -> None:
        """Finish the film and the list of frames; an incomplete film is kept."""
        self._lines.close()
        if self._film:
            self._film.close(complete or bool(self._names))

"""The overlay video of a page: H.264 in MP4, which every browser plays, small enough to embed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgesegnet_ros.atomic_file import PartialFile
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.overlay import overlay
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.evaluation.replay.frames import ReplayFrame
from edgesegnet_ros.evaluation.report.page import PICTURE_WIDTH
from edgesegnet_ros.evaluation.report.panels import OVERLAY_ALPHA
from edgesegnet_ros.extras import need

VIDEO_NAME = 'overlay.mp4'
RATE_HZ = 10
MOST_FRAMES = 600
"""One minute; longer recordings show every n-th frame."""
BIT_RATE = 800_000
"""Largest bit rate in bit/s: a minute is 6 MB."""
_ENCODERS: tuple[tuple[str, dict[str, str]], ...] = (
    (
        'libx264',
        {
            'preset': 'veryfast',
            'crf': '27',
            'maxrate': str(BIT_RATE),
            'bufsize': str(2 * BIT_RATE),
            'threads': '1',
        },
    ),
    ('libopenh264', {}),
)


class FilmError(EdgeSegNetError):
    """A video that cannot be encoded on this machine."""


class Film:
    """Encodes images one by one; the file is written atomically.

    Args:
        path: An .mp4 file.

    Raises:
        MissingExtra: PyAV is not installed.
        FilmError: Its FFmpeg has no H.264 encoder.
    """

    def __init__(self, path: Path) -> None:
        need('report', ('av',), 'the video')
        import av

        self._size = (0, 0)
        self._frames = 0
        known = [entry for entry in _ENCODERS if entry[0] in av.codecs_available]
        if not known:
            raise FilmError(
                'this PyAV has no H.264 encoder, so there is no video: install the '
                'wheel of PyPI (pip install --force-reinstall av)'
            )
        name, options = known[0]
        self._target = PartialFile(path)
        self._file = av.open(
            str(self._target.partial), 'w', format='mp4', options={'movflags': '+faststart'}
        )
        stream: Any = self._file.add_stream(name, rate=RATE_HZ, options=options)
        stream.pix_fmt = 'yuv420p'
        if not options:
            stream.bit_rate = BIT_RATE
        self._stream = stream

    def add(self, image: np.ndarray) -> None:
        """Encode one image.

        Args:
            image: (H, W, 3) uint8 RGB; the first one gives the size, later ones follow it.

        Raises:
            OSError: The file cannot be written.
        """
        import av

        if not self._frames:
            self._size = _even(image.shape[:2])
            self._stream.height, self._stream.width = self._size
        height, width = self._size
        if image.shape[:2] != self._size:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='rgb24')
        frame.pts, frame.time_base = self._frames, Fraction(1, RATE_HZ)
        for packet in self._stream.encode(frame):
            self._file.mux(packet)
        self._frames += 1

    def close(self, complete: bool = True) -> None:
        """Finish the video.

        Args:
            complete: False removes what was begun, as does a film of no image.
        """
        try:
            if complete and self._frames:
                for packet in self._stream.encode():
                    self._file.mux(packet)
            self._file.close()
            if complete and self._frames:
                self._target.keep()
        finally:
            self._target.discard()


class FilmSink:
    """A FrameSink that writes the overlay video of a replay.

    Args:
        frames_dir: Takes the film.
        classes: Class set with the colours.
        total: Frames to come; unknown, the film ends after MOST_FRAMES.
    """

    name = 'video'

    def __init__(self, frames_dir: Path, classes: ClassSet, total: int | None) -> None:
        self._path = frames_dir / VIDEO_NAME
        # Opened by the first frame: without PyAV a replay continues without a video.
        self._film: Film | None = None
        self._palette = classes.palette
        self.step = max(1, -(-(total or 0) // MOST_FRAMES))
        self.filmed = self._seen = 0

    def on_frame(self, frame: ReplayFrame) -> None:
        """Encode every n-th frame."""
        image, labels = frame.image, frame.labels
        self._film = self._film or Film(self._path)
        if self._seen % self.step == 0 and self.filmed < MOST_FRAMES:
            height, width = image.shape[:2]
            if width > PICTURE_WIDTH:
                size = (PICTURE_WIDTH, max(2, round(height * PICTURE_WIDTH / width)))
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
            self._film.add(overlay(image, labels, self._palette, OVERLAY_ALPHA))
            self.filmed += 1
        self._seen += 1

    def close(self, complete: bool) -> None:
        """See FrameSink."""
        if self._film:
            self._film.close(complete)


def _even(size: tuple[int, ...]) -> tuple[int, int]:
    """4:2:0 subsampling requires even sides."""
    return max(2, size[0] - size[0] % 2), max(2, size[1] - size[1] % 2)

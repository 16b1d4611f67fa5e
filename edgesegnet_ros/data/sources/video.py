"""A video file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import cv2

from edgesegnet_ros.data.file_kind import why_unreadable
from edgesegnet_ros.data.sources.capture import open_capture
from edgesegnet_ros.data.sources.source import (
    PERIOD_NS,
    START_NS,
    Source,
    SourceError,
    SourceFrame,
)


class VideoSource(Source):
    """A video file that OpenCV decodes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        capture = self._open()
        frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        rate_hz = capture.get(cv2.CAP_PROP_FPS)
        # Containers without an index report nonsense, such as a negative count or 1e6 Hz.
        self._period_ns = 1e9 / rate_hz if 0.1 <= rate_hz <= 1000 else PERIOD_NS
        readable, _ = capture.read()
        capture.release()
        if not readable:
            raise SourceError(f'{path}: a video without a frame that OpenCV can decode')
        super().__init__(str(path), frames if frames > 0 else None)

    def _open(self) -> cv2.VideoCapture:
        # Suppress FFmpeg's messages, which would come before ours.
        os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
        capture = open_capture(str(self._path))
        if not capture.isOpened():
            reason = why_unreadable(self._path)
            if reason:
                raise SourceError(f'{self._path}: {reason}')
            raise SourceError(
                f'{self._path}: not a video that OpenCV can read. An input is a folder of '
                'images, a video, a ROS 2 bag (.mcap, .db3 or its folder) or camera:0'
            )
        return capture

    def __iter__(self) -> Iterator[SourceFrame]:
        """See Source."""
        capture = self._open()
        stamp_ns = 0
        try:
            for number in range(10**12):
                readable, image = capture.read()
                if not readable:
                    return
                # The file's own times, which need not be evenly apart; some containers have none.
                reported_ns = int(round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6))
                if number and reported_ns <= stamp_ns:
                    reported_ns = stamp_ns + int(round(self._period_ns))
                stamp_ns = reported_ns
                yield SourceFrame(
                    cv2.cvtColor(image, cv2.COLOR_BGR2RGB), None, START_NS + stamp_ns, str(number)
                )
        finally:
            capture.release()

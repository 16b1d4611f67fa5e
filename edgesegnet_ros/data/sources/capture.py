"""OpenCV's reader of videos and cameras."""

from __future__ import annotations

from typing import Union

import cv2


def open_capture(what: Union[int, str]) -> cv2.VideoCapture:
    """A video file by its path or a camera by its number; see `isOpened`."""
    # OpenCV warns on its own of what cannot be opened; the sentence is ours.
    # The OpenCV of Ubuntu and Debian has no Python binding for the log level.
    log = getattr(cv2.utils, 'logging', None)
    if log is None:
        return cv2.VideoCapture(what)
    level = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(what)
    finally:
        log.setLogLevel(level)

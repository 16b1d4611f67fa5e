"""A camera of this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Dict, Iterator, Optional

import cv2

from edgesegnet_ros.data.sources.capture import open_capture
from edgesegnet_ros.data.sources.source import Source, SourceError, SourceFrame


class CameraSource(Source):
    """A live camera of this machine; the stamp of a frame is its time of arrival."""

    def __init__(self, name: str) -> None:
        device = name[len('camera:') :]
        there = cameras()
        number = int(device) if device.isdigit() else _number(device)
        if number not in there:
            known = ', '.join(f'camera:{i} ({text})' for i, text in sorted(there.items()))
            raise SourceError(
                f'{name}: no such camera; this machine has {known or "none (no /dev/video*)"}'
            )
        capture = open_capture(number)
        gives_pictures = capture.isOpened() and capture.read()[0]
        # The player process opens the camera again.
        capture.release()
        if not gives_pictures:
            raise SourceError(
                f'{name}: /dev/video{number} ({there[number]}) gives no images; another '
                'program may hold it, it may not be a capture device, or this user may lack the '
                'group `video`'
            )
        self._number = number
        super().__init__(name, None, live=True)

    def __iter__(self) -> Iterator[SourceFrame]:
        """See Source."""
        capture = open_capture(self._number)
        try:
            for number in range(10**12):
                readable, image = capture.read()
                if not readable:
                    raise SourceError(f'{self.name}: gave no more images after {number}')
                yield SourceFrame(
                    cv2.cvtColor(image, cv2.COLOR_BGR2RGB), None, time.time_ns(), str(number)
                )
        finally:
            capture.release()


def cameras() -> Dict[int, str]:
    """Video devices of this machine: number -> what the driver calls it (Linux)."""
    found = {}
    for device in Path('/dev').glob('video*'):
        number = _number(str(device))
        if number is not None:
            name = Path('/sys/class/video4linux', device.name, 'name')
            found[number] = name.read_text().strip() if name.is_file() else str(device)
    return found


def _number(device: str) -> Optional[int]:
    digits = Path(device).name[len('video') :]
    return int(digits) if Path(device).name.startswith('video') and digits.isdigit() else None

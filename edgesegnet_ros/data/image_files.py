"""Which files of a folder are images."""

from __future__ import annotations

from pathlib import Path
from typing import List

from edgesegnet_ros.data.file_kind import is_hidden

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp')


def images_in(folder: Path) -> List[Path]:
    """Image files right in a folder, in name order; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path)
    )

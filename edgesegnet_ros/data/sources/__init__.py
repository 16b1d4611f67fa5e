"""Images of a folder, a video, a bag or a camera, frame by frame.

`open_source` recognises the kind of input. One frame at a time is in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.file_kind import is_hidden
from edgesegnet_ros.data.image_files import IMAGE_SUFFIXES, images_in
from edgesegnet_ros.data.sources.bag import BAG_SUFFIXES, BagSource
from edgesegnet_ros.data.sources.camera import CameraSource
from edgesegnet_ros.data.sources.folder import FolderSource
from edgesegnet_ros.data.sources.source import (
    PERIOD_NS,
    START_NS,
    CameraModel,
    Source,
    SourceError,
    SourceFrame,
)
from edgesegnet_ros.data.sources.video import VideoSource

__all__ = [
    'PERIOD_NS',
    'START_NS',
    'CameraModel',
    'Source',
    'SourceError',
    'SourceFrame',
    'open_source',
]


def open_source(
    text: str,
    num_classes: int = 11,
    topic: Optional[str] = None,
    labels_topic: Optional[str] = None,
    tolerant: bool = False,
    labels: bool = True,
    classes: Optional[ClassSet] = None,
) -> Source:
    """Open an input.

    Args:
        text: A folder of images, one image, a video, a ROS 2 bag (folder or file),
            `camera:NUMBER` or `camera:/dev/videoN`.
        num_classes: Number of classes of the labels in a sibling `…annot` folder; this number
            topic: Image topic of a bag; by default the first one.
        labels_topic: Ground truth topic of a bag; by default found by its name.
        labels_topic: A bag's topic of ground truth; found by its name where not given.
        tolerant: Whether images that cannot be read, and what is missing of a damaged bag, are
            skipped with a warning and counted, in place of an error.
        labels: Whether the label images of a folder are looked for.
        classes: Classes of the model, which must fit the labels of a bag; None if unknown.

    SourceError: The input does not exist or cannot be read.
        SourceError: There is nothing there, or nothing that can be read.
        BagError: A bag is damaged, or has no such topic.
    """
    if text.startswith('camera:'):
        return CameraSource(text)
    path = Path(text).expanduser()
    if not path.exists():
        raise SourceError(
            f'{text}: no such file or folder. An input is a folder of images, a video, a ROS 2 '
            'bag (.mcap, .db3 or its folder) or camera:0'
        )
    suffix = path.suffix.lower()
    is_bag = suffix in (*BAG_SUFFIXES, '.bag') or path.name.endswith('.bag.active')
    if is_bag or (path / 'metadata.yaml').is_file():
        return BagSource(path, topic, labels_topic, tolerant, classes)
    if path.is_dir():
        bags = [
            file
            for file in sorted(path.iterdir())
            if file.suffix in BAG_SUFFIXES and not is_hidden(file)
        ]
        if tolerant and bags and not images_in(path):
            return BagSource(path, topic, labels_topic, tolerant, classes)
        if len(bags) == 1 and not images_in(path):
            return BagSource(bags[0], topic, labels_topic, classes=classes)
        if bags and not images_in(path):
            raise SourceError(
                f'{path}: holds {len(bags)} bags ({", ".join(bag.name for bag in bags)}): name one'
            )
        return FolderSource(path, num_classes, None, tolerant, labels)
    if suffix in IMAGE_SUFFIXES:
        return FolderSource(path.parent, num_classes, [path], tolerant, labels)
    return VideoSource(path)

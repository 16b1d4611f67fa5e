"""Images of a folder, a video, a bag or a camera, frame by frame.

`open_source` recognises the kind of input. One frame at a time is in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from edgesegnet_ros import shipped
from edgesegnet_ros.data.classes import ClassSet, load_classes
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
        topic: Image topic of a bag; by default the first one.
        labels_topic: Ground truth topic of a bag; by default found by its name.
        tolerant: Whether to skip unreadable images and the lost parts of a damaged bag with a
            warning and count them. If not, they raise an error.
        labels: Whether to look for the label images of a folder.
        classes: Classes of the labels. The labels in the sibling `…annot` folder of a folder of
            images are read as these classes, and the labels of a bag must fit them. None reads
            the labels of a folder as camvid11, and does not check those of a bag.

    Raises:
        SourceError: The input does not exist or cannot be read.
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
    folder_classes = load_classes(shipped.DEFAULT_CLASSES) if classes is None else classes
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
        return FolderSource(path, folder_classes, None, tolerant, labels)
    if suffix in IMAGE_SUFFIXES:
        return FolderSource(path.parent, folder_classes, [path], tolerant, labels)
    return VideoSource(path)

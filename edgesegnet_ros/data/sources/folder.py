"""The images of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, List, Optional

import cv2

from edgesegnet_ros.data.camvid import labels_folder, read_labels
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.file_kind import why_unreadable
from edgesegnet_ros.data.image_files import IMAGE_SUFFIXES, images_in
from edgesegnet_ros.data.sources.source import (
    PERIOD_NS,
    START_NS,
    Source,
    SourceError,
    SourceFrame,
)


class FolderSource(Source):
    """The image files of a folder, in the order of their names, at ten per second.

    Labels are those of the same name in the sibling folder `<name>annot`, as
    `edgesegnet_ros.data.camvid.read_labels` reads them.
    """

    def __init__(
        self,
        folder: Path,
        classes: ClassSet,
        files: Optional[List[Path]] = None,
        tolerant: bool = False,
        labels: bool = True,
    ) -> None:
        self._tolerant = tolerant
        self._files = images_in(folder) if files is None else files
        if not self._files:
            raise SourceError(
                f'{folder}: holds no image ({", ".join(IMAGE_SUFFIXES)}) and is no ROS 2 bag'
            )
        annotated = labels_folder(folder.resolve())
        self._labels = {path.stem: path for path in images_in(annotated)} if labels else {}
        self._classes = classes
        matched = any(path.stem in self._labels for path in self._files)
        if self._labels and not matched:
            raise SourceError(
                f'{annotated}: no label image there has the name of an image in {folder} '
                f'(as {self._files[0].stem}); rename them, or move that folder away'
            )
        super().__init__(str(folder), len(self._files), has_labels=matched)

    def __iter__(self) -> Iterator[SourceFrame]:
        """See Source."""
        for number, path in enumerate(self._files):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                problem = f'{path}: {why_unreadable(path) or "not an image that OpenCV can read"}'
                if not self._tolerant:
                    raise SourceError(problem)
                self._skip(problem)
                continue
            label_file = self._labels.get(path.stem)
            labels = None if label_file is None else read_labels(label_file, self._classes)
            yield SourceFrame(
                cv2.cvtColor(image, cv2.COLOR_BGR2RGB),
                labels,
                START_NS + number * PERIOD_NS,
                path.name,
            )

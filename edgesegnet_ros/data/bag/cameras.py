"""Finds the cameras of a bag by type, and the labels that belong to each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgesegnet_ros.data.classes import ClassSet

from .errors import BagError
from .ground_truth import candidates, find_labels, is_output, names_labels, objection
from .opening import BagFile, OnProblem, payload
from .topic_reader import COMPRESSED, IMAGE, type_of

_DEPTHS = ('16UC1', '32FC1')
_TRANSPORT = '/compressed'


class Camera(NamedTuple):
    """One camera of a bag.

    Attributes:
        image_topic: Image topic of sensor_msgs/Image or CompressedImage.
        label_topic: Label topic of its ground truth, mono8; an empty string for none.
    """

    image_topic: str
    label_topic: str


class Cameras(NamedTuple):
    """The result of `find_cameras`.

    Attributes:
        cameras: Cameras in the order of the names of their topics.
        notes: Sentences about image topics that were skipped, with the reason.
    """

    cameras: list[Camera]
    notes: list[str]


def find_cameras(
    path: str | Path,
    topics: Sequence[str] = (),
    labels: str | None = None,
    on_problem: OnProblem | None = None,
    classes: ClassSet | None = None,
) -> Cameras:
    """Find the cameras of a bag.

    Args:
        path: Path of the bag.
        topics: Image topics to use; if empty, all topics that look like cameras.
        labels: Topic of the ground truth, for a single camera; None finds it by name, namespace
            and content; an empty string uses none.
        on_problem: See BagFile.
        classes: Classes of the model, which labels must fit; None if unknown.

    Raises:
        BagError: Not a bag, or without such topics.
    """
    file = BagFile(path, on_problem)
    try:
        with file.opened() as reader:
            types = {c.topic: type_of(c) for c in reader.connections}
            found = _wanted(file.path, types, topics) if topics else _all(reader, file.path, types)
            if labels:
                _check_labels(file.path, reader, types, labels, found, classes)
            if labels is not None:
                return _with_labels(found, [labels] * len(found.cameras))
            # With several cameras, labels in another namespace may belong to another camera.
            several = 1 < sum(
                kind in (IMAGE, COMPRESSED) and not names_labels(name) and not is_output(name)
                for name, kind in types.items()
            )
            chosen = []
            for camera in found.cameras:
                named = _likely(camera, candidates(types, camera.image_topic), several)
                truth = find_labels(reader, camera.image_topic, named, classes)
                chosen.append(truth.topic)
                found.notes.extend(f'{file.path}: {note}' for note in truth.notes)
            return _with_labels(found, chosen)
    finally:
        file.close()


def _with_labels(found: Cameras, topics: list[str]) -> Cameras:
    cameras = [
        camera._replace(label_topic=topic)
        for camera, topic in zip(found.cameras, topics, strict=True)
    ]
    return found._replace(cameras=cameras)


def _check_labels(
    path: Path,
    reader: Any,
    types: dict[str, str],
    labels: str,
    found: Cameras,
    classes: ClassSet | None,
) -> None:
    """Raise BagError if the topic that the user names cannot be the ground truth."""
    if types.get(labels) != IMAGE:
        images = sorted(name for name, kind in types.items() if kind == IMAGE)
        raise BagError(
            f'{path}: has no topic of labels {labels}, and no folder has that name; its '
            f'topics of {IMAGE} are {", ".join(images) or "none"}'
        )
    if len(found.cameras) > 1:
        raise BagError(
            f'{path}: --labels {labels}, but there are {len(found.cameras)} cameras '
            f'({", ".join(c.image_topic for c in found.cameras)}): name one with --topic'
        )
    reason = objection(reader, labels, classes)
    if reason:
        raise BagError(f'{path}: {labels} cannot be ground truth: {reason}')


def _wanted(path: Path, types: dict[str, str], topics: Sequence[str]) -> Cameras:
    listing = ', '.join(f'{name} ({kind})' for name, kind in sorted(types.items()))
    for topic in topics:
        if topic in types and types[topic] not in (IMAGE, COMPRESSED):
            raise BagError(
                f'{path}: {topic} is of {types[topic]}; a camera is of {IMAGE} or {COMPRESSED}. '
                f'It has {listing}'
            )
        if topic not in types:
            raise BagError(f'{path}: has no image topic {topic}; it has {listing or "no topics"}')
    return Cameras([Camera(topic, '') for topic in topics], [])


def _all(reader: Any, path: Path, types: dict[str, str]) -> Cameras:
    images = sorted(name for name, kind in types.items() if kind in (IMAGE, COMPRESSED))
    cameras, notes = [], []
    for name in images:
        reason = _no_camera(reader, name, images)
        if reason:
            notes.append(f'{path}: {name} is skipped: {reason}')
        elif not names_labels(name):
            cameras.append(Camera(name, ''))
    if not cameras:
        listing = ', '.join(f'{name} ({kind})' for name, kind in sorted(types.items()))
        raise BagError(
            f'{path}: has no topic of {IMAGE} or {COMPRESSED} that shows a camera; it has '
            f'{listing or "no topics"}' + ('; name one with --topic' if images else '')
        )
    return Cameras(cameras, notes)


def _no_camera(reader: Any, name: str, images: list[str]) -> str:
    """Why an image topic is not that of a camera; empty if it is."""
    if is_output(name):
        return 'an output of a segmentation node'
    if name.endswith(_TRANSPORT) and name[: -len(_TRANSPORT)] in images:
        return f'the same camera as {name[: -len(_TRANSPORT)]}'
    if name.endswith('/compressedDepth'):
        return 'depth'
    connections = [c for c in reader.connections if c.topic == name]
    try:
        for connection, _, data in reader.messages(connections=connections):
            message = reader.deserialize(payload(data), connection)
            encoding = getattr(message, 'encoding', '') or getattr(message, 'format', '')
            return 'depth' if encoding.startswith(_DEPTHS) else ''
    except Exception:  # a damaged first message is reported when all are read
        return ''
    return ''


def _likely(camera: Camera, truths: list[str], several: bool) -> list[str]:
    """Topics in the namespace of the camera; with one camera, followed by all others."""
    base = camera.image_topic
    if base.endswith(_TRANSPORT):
        base = base[: -len(_TRANSPORT)]
    namespace = base.rsplit('/', 1)[0] + '/'
    own = sorted(name for name in truths if name.startswith(namespace))
    others = [] if several else sorted(name for name in truths if name not in own)
    return own + others

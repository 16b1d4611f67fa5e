"""Finds the topic with the ground truth of a camera, by its content and its name.

A topic whose name looks like labels may hold colours, the output of another network at another
size, or other classes. None of these may be scored silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from edgesegnet_ros.data.classes import VOID, ClassSet
from edgesegnet_ros.data.encodings import ImageMessageError, compressed_to_rgb, to_labels

from .opening import payload, reason_of
from .topic_reader import IMAGE, LABEL_INFO, type_of

LABEL_WORDS = ('label', 'ground_truth', 'annot', 'mask')
OUTPUTS = 'segmentation/'
"""Part of the names of the outputs of the node, which are neither input nor ground truth."""
_MOST_VALUES = 8


class Found(NamedTuple):
    """The result of `find_labels`.

    Attributes:
        topic: Topic of the ground truth; empty for none.
        notes: A sentence for each topic that looked like ground truth and is not used.
    """

    topic: str
    notes: list[str]


def names_labels(topic: str) -> bool:
    """Whether the name of a topic looks like labels."""
    return any(word in topic.lower() for word in LABEL_WORDS)


def is_output(topic: str) -> bool:
    """Whether the name of a topic is that of an output of this or another segmentation node."""
    return OUTPUTS in topic or topic.endswith('/overlay')


def candidates(types: dict[str, str], image_topic: str) -> list[str]:
    """Topics that may be ground truth by their name and type.

    Args:
        types: Type of each topic.
        image_topic: Image topic of the camera.
    """
    return [
        name
        for name, kind in types.items()
        if kind == IMAGE and names_labels(name) and not is_output(name) and name != image_topic
    ]


def find_labels(
    reader: Any, image_topic: str, named: Sequence[str], classes: ClassSet | None
) -> Found:
    """The first of the given topics whose first message can be ground truth.

    Args:
        reader: An open TopicReader.
        image_topic: Image topic of the camera; labels have the size of its images.
        named: Topics, the most likely first.
        classes: Classes of the model; None if unknown.
    """
    notes: list[str] = []
    for topic in named:
        reason = objection(reader, topic, classes, image_topic)
        if not reason:
            return Found(topic, notes)
        notes.append(f'{topic} is not taken as ground truth: {reason}')
    return Found('', notes)


def objection(
    reader: Any, topic: str, classes: ClassSet | None, image_topic: str | None = None
) -> str:
    """Why a topic cannot be ground truth; empty if it can, or if it has no message.

    Args:
        reader: An open TopicReader.
        topic: Topic of sensor_msgs/Image.
        classes: Classes of the model; None if unknown.
        image_topic: Image topic of the camera, to refuse labels of another size; None for any.
    """
    try:
        message = _first(reader, topic)
        if message is None:
            return ''
        labels = to_labels(message)
    except ImageMessageError as error:
        return str(error)
    except Exception as error:  # a damaged first message
        return reason_of(error)
    if image_topic is not None:
        size = _size(reader, image_topic)
        if size not in (None, labels.shape):
            assert size is not None
            return (
                f'{labels.shape[1]}x{labels.shape[0]}, but the images are {size[1]}x{size[0]}; '
                f'name it with --labels {topic} to compare at its size'
            )
    if classes is None:
        return ''
    count = len(classes.classes)
    unknown = np.unique(labels[(labels > count) & (labels != VOID)])
    if unknown.size:
        values = ', '.join(map(str, unknown[:_MOST_VALUES].tolist()))
        return f'it holds the values {values}; {classes.name} has the classes 0 to {count - 1}'
    return _other_classes(reader, topic, classes)


def _other_classes(reader: Any, topic: str, classes: ClassSet) -> str:
    """The difference between a topic's label_info and the class file."""
    namespace = topic.rsplit('/', 1)[0] + '/'
    infos = [
        c.topic
        for c in reader.connections
        if type_of(c) == LABEL_INFO and OUTPUTS not in c.topic and c.topic.startswith(namespace)
    ]
    for info in infos:
        try:
            message = _first(reader, info)
        except Exception:  # a damaged label_info is ignored
            continue
        if message is None:
            continue
        names = {entry.class_id: entry.class_name for entry in message.class_map}
        for number, name in sorted(names.items()):
            if number in (len(classes.classes), VOID):
                continue
            known = classes.classes[number].name if number < len(classes.classes) else None
            if known is None or known.strip().lower() != name.strip().lower():
                ours = f'{known!r} in {classes.name}' if known else f'no class of {classes.name}'
                return f'{info} says that {number} is {name!r}, which is {ours}'
    return ''


def _first(reader: Any, topic: str) -> Any:
    connections = [c for c in reader.connections if c.topic == topic]
    for connection, _, data in reader.messages(connections=connections):
        return reader.deserialize(payload(data), connection)
    return None


def _size(reader: Any, topic: str) -> tuple[int, int] | None:
    """Height and width of the first image of a topic; None if it cannot be read."""
    try:
        message = _first(reader, topic)
        if message is None:
            return None
        if hasattr(message, 'format'):
            height, width = compressed_to_rgb(message).shape[:2]
            return height, width
        return message.height, message.width
    except Exception:  # reported when all images are read
        return None

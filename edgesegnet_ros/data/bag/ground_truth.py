"""Which topic of a bag is a camera's ground truth: decided by its content, not its name alone.

A topic whose name says that it holds labels may be coloured, of another network at another size,
or of other classes. None of these may be scored without a word.
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
"""In the names of the node's own outputs: a recording of them is neither input nor truth."""
_MOST_VALUES = 8


class Found(NamedTuple):
    """The result of `find_labels`.

    Attributes:
        topic: Topic of the ground truth; empty for none.
        notes: A sentence for each topic that looked like it and was not taken.
    """

    topic: str
    notes: list[str]


def names_labels(topic: str) -> bool:
    """Whether a topic's name is that of labels."""
    return any(word in topic.lower() for word in LABEL_WORDS)


def is_output(topic: str) -> bool:
    """Whether a topic's name is that of a segmentation node's output, this one's or another's."""
    return OUTPUTS in topic or topic.endswith('/overlay')


def candidates(types: dict[str, str], image_topic: str) -> list[str]:
    """Topics that may be ground truth by their name and type.

    Args:
        types: By topic.
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
    """The first of some topics whose first message can be ground truth.

    Args:
        reader: An open TopicReader.
        image_topic: Image topic of the camera; labels have the size of its images.
        named: Topics, the most likely first.
        classes: Classes of the model; None where they are not known.
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
    """Why a topic cannot be ground truth; empty where it can, or where it has no message.

    Args:
        reader: An open TopicReader.
        topic: Topic of sensor_msgs/Image.
        classes: Classes of the model; None where they are not known.
        image_topic: Image topic of the camera, where labels of another size are refused.
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
        except Exception:  # a damaged one says nothing
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
    """Height and width of a topic's first image; None where it cannot be read."""
    try:
        message = _first(reader, topic)
        if message is None:
            return None
        if hasattr(message, 'format'):
            height, width = compressed_to_rgb(message).shape[:2]
            return height, width
        return message.height, message.width
    except Exception:  # what reads all images says what is wrong with this one
        return None

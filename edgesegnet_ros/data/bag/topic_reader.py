"""Reads single topics of a bag, independently of its other content.

rosbags reads the files. Its AnyReader refuses a whole bag if the definition of any type in it
cannot be parsed, so this module parses only the types that are needed. Files that the readers of
rosbags refuse because of their other content are read by `other_files`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import numpy as np

from .other_files import (
    OTHER_FILES,
    OtherConnection,
    Recorded,
    other_file,
    refuse_missing_pages,
)

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO, LABEL_INFO = 'sensor_msgs/msg/CameraInfo', 'vision_msgs/msg/LabelInfo'
FOXGLOVE = {'RawImage': IMAGE, 'CompressedImage': COMPRESSED}
"""Foxglove's image types, as protobuf or as ROS messages, and the equivalent ROS types."""
LABEL_INFO_TEXT = """std_msgs/Header header
vision_msgs/VisionClass[] class_map
float32 threshold
================================================================================
MSG: vision_msgs/VisionClass
uint16 class_id
string class_name
"""
"""Definition from vision_msgs, which rosbags does not include."""
_REFUSED_FOR_CONTENT = ('Profile is not ros2', 'Serialization format')
"""Parts of the errors of rosbags about complete bags with content that it does not expect."""


class TopicReader:
    """Files of one bag, merged by time of recording. Use it in a with block.

    Args:
        paths: Folders with metadata.yaml, .mcap, .db3 or (ROS 1) .bag files, or substitutes for
            files (see `salvage`).

    Attributes:
        connections: Connections with topic, msgtype and msgcount; see `type_of`.

    Raises:
        BagError: Reading a file requires a package that is missing.
        Exception: Any error of rosbags about a damaged file.
    """

    def __init__(self, paths: Collection[Any]) -> None:
        self._paths = paths
        self._stack = ExitStack()
        self.connections: list[Any] = []
        self._files: list[Any] = []
        self._stores: dict[bool, Any] = {}
        self._decoders: dict[int, Callable[[bytes], Any]] = {}

    def __enter__(self) -> TopicReader:
        """Open every file."""
        with ExitStack() as stack:
            for path in self._paths:
                self._files += _opened(stack, path)
            self.connections = [c for file in self._files for c in file.connections]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        """Close them."""
        self._stack.close()

    def messages(self, connections: Collection[Any]) -> Iterator[Recorded]:
        """Messages of some connections, in the order of their recording."""
        wanted = {id(c) for c in connections}
        generators = []
        for file in self._files:
            own = [c for c in file.connections if id(c) in wanted]
            if own:
                generators.append(file.messages(connections=own))
        yield from heapq.merge(*generators, key=lambda message: message[1])

    def deserialize(self, data: bytes, connection: Any) -> Any:
        """A message of one of the types above, with the fields of its ROS type.

        Raises:
            Exception: Any error of rosbags or the decoder about a damaged message.
        """
        key = id(connection)
        if key not in self._decoders:
            self._decoders[key] = self._decoder(connection)
        return self._decoders[key](data)

    def _decoder(self, connection: Any) -> Callable[[bytes], Any]:
        if isinstance(connection, OtherConnection) and connection.encoding == 'protobuf':
            from mcap_protobuf.decoder import DecoderFactory

            decode = DecoderFactory().decoder_for('protobuf', connection.schema)
            assert decode is not None
            return lambda data: _as_ros(decode(data))
        ros1 = _is_ros1(connection)
        if ros1 not in self._stores:
            self._stores[ros1] = self._store(ros1)
        store = self._stores[ros1]
        read = store.deserialize_ros1 if ros1 else store.deserialize_cdr
        kind = _ros_type(connection.msgtype)
        if kind.startswith('foxglove'):
            return lambda data: _as_ros(read(data, kind))
        return lambda data: read(data, kind)

    def _store(self, ros1: bool) -> Any:
        """The needed types as the bag defines them, and the standard definitions of the others."""
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore

        usual = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
        usual.register(get_types_from_msg(LABEL_INFO_TEXT, LABEL_INFO))
        found = dict(usual.fielddefs)
        for connection in self.connections:
            if _is_ros1(connection) == ros1 and type_of(connection) in NEEDED:
                found.update(_definitions(connection))
        store = get_typestore(Stores.EMPTY)
        try:
            store.register(found)
        except Exception:  # a definition that refers to a missing type
            return usual
        return store


NEEDED = frozenset([IMAGE, COMPRESSED, CAMERA_INFO, LABEL_INFO])


def type_of(connection: Any) -> str:
    """The type of a topic as rosbag2 writes it; Foxglove's image types become those of ROS."""
    kind = _ros_type(connection.msgtype)
    package, _, name = kind.replace('foxglove.', 'foxglove/').replace('/msg/', '/').partition('/')
    return FOXGLOVE.get(name, kind) if package in ('foxglove', 'foxglove_msgs') else kind


def _ros_type(msgtype: str) -> str:
    """Add the `/msg/` that other writers omit."""
    package, _, name = msgtype.partition('/')
    return f'{package}/msg/{name}' if name and '/' not in name else msgtype


def _is_ros1(connection: Any) -> bool:
    if isinstance(connection, OtherConnection):
        return connection.encoding == 'ros1'
    from rosbags.rosbag1 import Reader

    return isinstance(connection.owner, Reader)


def _definitions(connection: Any) -> dict[str, Any]:
    """Types by name, as the bag defines them; empty if the definition cannot be parsed."""
    from rosbags.interfaces import MessageDefinitionFormat
    from rosbags.typesys import get_types_from_idl, get_types_from_msg

    if isinstance(connection, OtherConnection):
        text = connection.schema.data.decode(errors='replace')
        is_msg = connection.schema.encoding in ('ros1msg', 'ros2msg')
        is_idl = connection.schema.encoding in ('ros2idl', 'omgidl')
    else:
        text = connection.msgdef.data
        is_msg = connection.msgdef.format == MessageDefinitionFormat.MSG
        is_idl = connection.msgdef.format == MessageDefinitionFormat.IDL
    try:
        if is_msg:
            return dict(get_types_from_msg(text, _ros_type(connection.msgtype)))
        if is_idl:
            # If there are several parts, each begins with a line that names it.
            parts = [part.partition('\n')[2] for part in text.split('=' * 80 + '\n')[1:]]
            types: dict[str, Any] = {}
            for part in parts or [text]:
                types.update(get_types_from_idl(part))
            return types
    except Exception:  # the parser of the library raises various errors
        pass
    return {}


def _opened(stack: ExitStack, path: Any) -> list[Any]:
    """The reader for a path: rosbags, or another reader if rosbags refuses the content."""
    from rosbags.rosbag1 import Reader as Reader1
    from rosbags.rosbag2 import Reader as Reader2

    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        if file.suffix == '.db3':
            refuse_missing_pages(file)
    try:
        ros1 = str(path).endswith(('.bag', '.bag.active'))
        return [stack.enter_context(Reader1(path) if ros1 else Reader2(path))]
    except KeyError:  # rosbags does not know the encoding of the type definitions
        pass
    except Exception as error:
        if not any(words in str(error) for words in _REFUSED_FOR_CONTENT):
            raise
    readers = [other_file(file) for file in files if file.suffix in OTHER_FILES]
    return [stack.enter_context(reader) for reader in readers]


def _as_ros(message: Any) -> Any:
    """A Foxglove image with the fields of the ROS image."""
    stamp = message.timestamp
    seconds = getattr(stamp, 'seconds', None)
    header = SimpleNamespace(
        stamp=SimpleNamespace(
            sec=stamp.sec if seconds is None else seconds,
            nanosec=stamp.nanosec if seconds is None else stamp.nanos,
        ),
        frame_id=message.frame_id,
    )
    data = np.frombuffer(message.data, np.uint8)
    if hasattr(message, 'format'):
        return SimpleNamespace(header=header, format=message.format, data=data)
    return SimpleNamespace(
        header=header,
        height=message.height,
        width=message.width,
        encoding=message.encoding,
        is_bigendian=0,
        step=message.step,
        data=data,
    )

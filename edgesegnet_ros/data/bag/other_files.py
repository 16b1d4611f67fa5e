"""Reads the images of bag files that rosbags refuses because of their other content.

An MCAP of another profile than ros2 (ROS 1, Foxglove's protobuf, or none) or with JSON channels is
read with the `mcap` package; an SQLite file whose recorder did not know a type, with sqlite3.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from edgesegnet_ros.extras import install

from .errors import BagError

OTHER_FILES = ('.mcap', '.db3')
PROTOBUF_IMAGES = ('foxglove.RawImage', 'foxglove.CompressedImage')
Recorded = tuple[Any, int, bytes]
"""Connection, time of recording in ns, and the serialised message."""


class OtherConnection(NamedTuple):
    """One topic of a file.

    Attributes:
        id: Id in its file.
        topic: Its topic.
        msgtype: The name of its schema.
        msgcount: Number of messages.
        encoding: Encoding of its messages: cdr, ros1, protobuf, json, …
        schema: Its schema, with encoding (ros1msg, ros2msg, ros2idl, protobuf, …) and data.
    """

    id: int
    topic: str
    msgtype: str
    msgcount: int
    encoding: str
    schema: Any


class McapFile:
    """An MCAP file of any profile. Use it in a with block.

    Args:
        path: The file, or an object with `open`.

    Attributes:
        connections: Its channels whose messages can be decoded.
    """

    def __init__(self, path: Any) -> None:
        self._path = path
        self.connections: list[OtherConnection] = []

    def __enter__(self) -> McapFile:
        """Read the index, or the whole file if it has no index.

        Raises:
            BagError: The package `mcap` is missing.
        """
        try:
            from mcap.reader import make_reader
            from mcap.records import Channel, Message, Schema
            from mcap.stream_reader import StreamReader
        except ImportError as error:
            raise BagError(
                f'{self._path}: an MCAP file of another profile than ros2 (ROS 1, or protobuf as '
                f'Foxglove writes it); reading it requires {install("mcap", "mcap_protobuf")}'
            ) from error
        self._stream = self._path.open('rb')
        try:
            self._reader = make_reader(self._stream)
            summary = self._reader.get_summary()
            self._indexed = bool(summary and summary.chunk_indexes)
            if summary and summary.statistics and summary.channels:
                schemas, channels = summary.schemas, summary.channels
                counts = dict(summary.statistics.channel_message_counts)
            else:
                schemas, channels, counts = {}, {}, {}
                self._stream.seek(0)
                for record in StreamReader(self._stream).records:
                    if isinstance(record, Schema):
                        schemas[record.id] = record
                    elif isinstance(record, Channel):
                        channels[record.id] = record
                    elif isinstance(record, Message):
                        counts[record.channel_id] = counts.get(record.channel_id, 0) + 1
                self._stream.seek(0)
        except BaseException:
            self._stream.close()
            raise
        for channel in channels.values():
            schema = schemas.get(channel.schema_id)
            if schema is not None and _decodes(channel.message_encoding, schema):
                self.connections.append(
                    OtherConnection(
                        channel.id,
                        channel.topic,
                        schema.name,
                        counts.get(channel.id, 0),
                        channel.message_encoding,
                        schema,
                    )
                )
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self._stream.close()

    def messages(self, connections: Collection[OtherConnection]) -> Iterator[Recorded]:
        """Messages of some channels, in the order of their recording."""
        by_id = {c.id: c for c in connections}
        # Without an index, sorting would read the whole file into memory.
        for _, channel, message in self._reader.iter_messages(
            topics=[c.topic for c in connections], log_time_order=self._indexed
        ):
            if channel.id in by_id:
                yield by_id[channel.id], message.log_time, message.data


def _decodes(encoding: str, schema: Any) -> bool:
    """Whether messages can be decoded: those of ROS, and the images of Foxglove as protobuf."""
    if encoding == 'protobuf':
        return schema.name in PROTOBUF_IMAGES
    return encoding in ('cdr', 'ros1')


class SqliteFile:
    """An SQLite file of rosbag2. Use it in a with block.

    Args:
        path: Path of the file, which is only read.

    Attributes:
        connections: Its topics whose messages are in CDR.
    """

    def __init__(self, path: Any) -> None:
        self._path = path
        self.connections: list[OtherConnection] = []

    def __enter__(self) -> SqliteFile:
        """Read its topics."""
        self._database = sqlite3.connect(f'file:{self._path}?mode=ro&immutable=1', uri=True)
        try:
            rows = self._database.execute(
                'SELECT id, name, type, (SELECT count(*) FROM messages WHERE topic_id = t.id) '
                "FROM topics t WHERE serialization_format = 'cdr' ORDER BY id"
            ).fetchall()
            schemas = self._schemas()
        except BaseException:
            self._database.close()
            raise
        unknown = SimpleNamespace(encoding='', data=b'')
        self.connections = [
            OtherConnection(number, topic, kind, count, 'cdr', schemas.get(kind, unknown))
            for number, topic, kind, count in rows
        ]
        return self

    def _schemas(self) -> dict[str, Any]:
        tables = self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if ('message_definitions',) not in tables.fetchall():
            return {}
        rows = self._database.execute(
            'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions'
        )
        return {
            kind: SimpleNamespace(encoding=encoding, data=text.encode())
            for kind, encoding, text in rows
        }

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self._database.close()

    def messages(self, connections: Collection[OtherConnection]) -> Iterator[Recorded]:
        """Messages of some topics, in the order of their recording."""
        by_id = {c.id: c for c in connections}
        placeholders = ','.join('?' * len(by_id))
        rows = self._database.execute(
            f'SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN ({placeholders}) '
            'ORDER BY timestamp',
            list(by_id),
        )
        for number, recorded_ns, data in rows:
            yield by_id[number], recorded_ns, data


def other_file(path: Any) -> Any:
    """The reader for a file of one of OTHER_FILES."""
    return McapFile(path) if path.suffix == '.mcap' else SqliteFile(path)


def refuse_missing_pages(path: Path) -> None:
    """Raise for an SQLite file that is shorter than its header says.

    SQLite notices this only when it reads a missing page, and not at all if less than a page is
    missing and nobody reads that one. Source: https://www.sqlite.org/fileformat.html.

    Args:
        path: A .db3 file.

    Raises:
        sqlite3.DatabaseError: The file was cut off.
    """
    with path.open('rb') as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(b'SQLite format 3\0'):
        return  # SQLite itself refuses it.
    page_size, changes, pages, valid_for = struct.unpack('>16xH6xII60xI4x', header)
    # Writers older than SQLite 3.7 do not state the number of pages.
    if valid_for != changes:
        return
    expected = pages * (65536 if page_size == 1 else page_size)
    size = path.stat().st_size
    if size < expected:
        raise sqlite3.DatabaseError(f'it has {size} of {expected} bytes')

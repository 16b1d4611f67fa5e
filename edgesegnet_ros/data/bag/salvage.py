"""Recovery of bags whose recording was cut off, or whose index is missing.

Each function returns a substitute that rosbags reads instead of the file; the bag itself is never
changed. An MCAP is read through a view that ends with its last complete record. SQLite and ROS 1
bags are copied, as far as they can be read, to a temporary folder.
"""

from __future__ import annotations

import bz2
import io
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from .errors import BagError

_MAGIC = b'\x89MCAP0\r\n'
_CHUNK, _DATA_END, _FOOTER_OP = 0x06, 0x0F, 0x02
_FOOTER = b'\x02' + struct.pack('<QQQI', 20, 0, 0, 0) + _MAGIC
_MOST_BYTES = 2**32
"""Largest length of a record; a greater length is taken as damage."""


class SalvagedMcap:
    """The complete records of an MCAP, without its index; rosbags takes it as a path.

    Args:
        path: The file.

    Attributes:
        lost: Number of unusable bytes at the end; 0 for a file that only has no index.

    Raises:
        BagError: The file does not begin as an MCAP.
    """

    suffix = '.mcap'

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open('rb') as file:
            if file.read(8) != _MAGIC:
                raise BagError(f'{path}: not an MCAP file, or empty')
            self._end, self._tail = _whole_records(file)
            self.lost = max(0, path.stat().st_size - self._end - len(self._tail))
            self.lost -= self.lost if self._complete(file) else 0

    def _complete(self, file: BinaryIO) -> bool:
        file.seek(self._end)
        return file.read(1) in (bytes([_DATA_END]), bytes([_FOOTER_OP]))

    def exists(self) -> bool:
        """See pathlib.Path."""
        return self._path.exists()

    def is_dir(self) -> bool:
        """See pathlib.Path."""
        return False

    def open(self, mode: str = 'rb') -> BinaryIO:
        """See pathlib.Path."""
        return io.BufferedReader(_Spliced(self._path.open('rb'), self._end, self._tail + _FOOTER))

    def __str__(self) -> str:
        return str(self._path)


class _Spliced(io.RawIOBase):
    """The first bytes of a file, followed by other bytes."""

    def __init__(self, file: BinaryIO, cut: int, tail: bytes) -> None:
        self._file, self._cut, self._tail, self._position = file, cut, tail, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = (0, self._position, self._cut + len(self._tail))[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position < self._cut:
            self._file.seek(self._position)
            data = self._file.read(min(len(buffer), self._cut - self._position))
        else:
            start = self._position - self._cut
            data = self._tail[start : start + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _whole_records(file: BinaryIO) -> tuple[int, bytes]:
    """The end of the last complete record, and the records of the truncated chunk after it."""
    size = file.seek(0, io.SEEK_END)
    position = len(_MAGIC)
    while True:
        file.seek(position)
        head = file.read(9)
        if len(head) < 9 or head[0] in (_DATA_END, _FOOTER_OP):
            return position, b''
        (length,) = struct.unpack('<Q', head[1:])
        if head[0] == 0 or length > _MOST_BYTES:
            return position, b''
        if position + 9 + length > size:
            return position, _inner_records(file.read()) if head[0] == _CHUNK else b''
        position += 9 + length


def _inner_records(chunk: bytes) -> bytes:
    """The complete records of a truncated chunk, which are valid outside a chunk, too."""
    if len(chunk) < 40:
        return b''
    (name_length,) = struct.unpack_from('<I', chunk, 28)
    name = chunk[32 : 32 + name_length]
    packed = chunk[32 + name_length + 8 :]
    try:
        records = _unpacked(name, packed)
    except Exception:  # any error of the library about a damaged frame
        return b''
    position = 0
    while position + 9 <= len(records):
        (length,) = struct.unpack_from('<Q', records, position + 1)
        if position + 9 + length > len(records):
            break
        position += 9 + length
    return records[:position]


def _unpacked(name: bytes, packed: bytes) -> bytes:
    if name == b'zstd':
        return zstd().ZstdDecompressor().decompress(packed)
    if name == b'lz4':
        from lz4.frame import LZ4FrameDecompressor

        return LZ4FrameDecompressor().decompress(packed)
    return packed if not name else b''


def zstd() -> Any:
    """The zstd module that rosbags uses: that of the standard library from Python 3.14 on."""
    try:
        from compression import zstd as module
    except ImportError:
        from backports import zstd as module
    return module


def merged_sqlite(path: Path, folder: Path) -> Path:
    """Copy an SQLite bag together with its write-ahead log, merged.

    Args:
        path: Path of the .db3 file; its `-wal` is beside it.
        folder: Folder for the copy.

    Raises:
        OSError: There is not enough space for the copy.
        BagError: The database cannot be opened.
    """
    copy = folder / path.name
    shutil.copyfile(path, copy)
    shutil.copyfile(f'{path}-wal', f'{copy}-wal')
    try:
        database = sqlite3.connect(copy)
        try:
            database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
            database.execute('PRAGMA journal_mode=DELETE')
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        raise BagError(f'{path}: its write-ahead log cannot be merged ({error})') from error
    return copy


def salvage_sqlite(path: Path, folder: Path) -> Path:
    """Copy the readable part of a damaged SQLite bag.

    Raises:
        BagError: Nothing can be read.
    """
    copy = folder / path.name
    damaged = sqlite3.connect(f'file:{path}?mode=ro&immutable=1', uri=True)
    whole = sqlite3.connect(copy)
    try:
        # With this, SQLite opens a file that is shorter than its header says.
        damaged.execute('PRAGMA writable_schema=ON')
        tables = list(
            damaged.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL "
                "AND name NOT LIKE 'sqlite_%'"
            )
        )
        if not {'topics', 'messages'} <= {name for name, _ in tables}:
            raise BagError(f'{path}: not the database of a bag, or too damaged to read')
        for name, sql in tables:
            whole.execute(sql)
            _copy_rows(damaged, whole, name)
        whole.execute('CREATE INDEX timestamp_idx ON messages (timestamp ASC)')
        whole.commit()
    except sqlite3.DatabaseError as error:
        raise BagError(f'{path}: nothing of it can be read ({error})') from error
    finally:
        damaged.close()
        whole.close()
    return copy


def _copy_rows(damaged: sqlite3.Connection, whole: sqlite3.Connection, table: str) -> None:
    rows = damaged.execute(f'SELECT * FROM "{table}" NOT INDEXED')
    placeholders = ','.join('?' * len(rows.description))
    while True:
        try:
            row = next(rows, None)
        except sqlite3.DatabaseError:  # the file is truncated here
            return
        if row is None:
            return
        whole.execute(f'INSERT INTO "{table}" VALUES ({placeholders})', row)


class _Record(NamedTuple):
    op: int
    header: Any
    data: bytes


_BAG_CONNECTION, _BAG_MESSAGE, _BAG_CHUNK = 0x07, 0x02, 0x05


def salvage_ros1(path: Path, folder: Path) -> Path:
    """Copy the messages of a ROS 1 bag that was truncated before its index was written.

    Raises:
        BagError: The file does not begin as a ROS 1 bag.
    """
    from rosbags.rosbag1 import Writer

    copy = folder / f'{path.name}.bag'  # rosbags needs this suffix; it may be .active
    with path.open('rb') as file, Writer(copy) as writer:
        if not file.readline(16).startswith(b'#ROSBAG V2.0'):
            raise BagError(f'{path}: not a bag of ROS 1, version 2.0')
        connections: dict[int, Any] = {}
        for record in _messages_of_chunks(file):
            number = record.header.get_uint32('conn')
            if record.op == _BAG_CONNECTION:
                if number not in connections:
                    connections[number] = _add_connection(writer, record)
            elif number in connections:
                writer.write(connections[number], record.header.get_time('time'), record.data)
    return copy


def _add_connection(writer: Any, record: _Record) -> Any:
    from rosbags.rosbag1.reader import Header, normalize

    connection = Header.read(io.BytesIO(struct.pack('<I', len(record.data)) + record.data))
    kind = connection.get_string('type').replace('/msg/', '/').replace('/', '/msg/', 1)
    return writer.add_connection(
        normalize(record.header.get_string('topic')),
        kind,
        msgdef=connection.get_string('message_definition'),
        md5sum=connection.get_string('md5sum'),
        callerid=str(record.header.get_uint32('conn')),
    )


def _messages_of_chunks(file: BinaryIO) -> Iterator[_Record]:
    for record in _records(file):
        if record.op == _BAG_CHUNK:
            kind = record.header.get_string('compression')
            if kind == 'bz2':
                data = bz2.decompress(record.data)
            elif kind == 'lz4':
                from lz4.frame import decompress

                data = decompress(record.data)
            else:
                data = record.data
            yield from _records(io.BytesIO(data))
        elif record.op in (_BAG_CONNECTION, _BAG_MESSAGE):
            yield record


def _records(file: BinaryIO) -> Iterator[_Record]:
    """Records up to the first truncated one; of a truncated chunk, its complete records."""
    from rosbags.rosbag1 import ReaderError
    from rosbags.rosbag1.reader import Header

    while True:
        try:
            header = Header.read(file)
            op = header.get_uint8('op')
            (length,) = struct.unpack('<I', file.read(4))
        except (ReaderError, struct.error):
            return
        data = file.read(length)
        plain_chunk = op == _BAG_CHUNK and header.get('compression') == b'none'
        if len(data) < length and not plain_chunk:
            return
        yield _Record(op, header, data)

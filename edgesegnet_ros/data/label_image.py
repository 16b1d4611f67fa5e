"""Label images as files: the stored values, whatever the colours of a palette.

OpenCV expands a PNG's palette to colours and scales grey values of fewer than eight bits to 0-255,
so that the ids {0, 1, 3} of a Pascal VOC label would come out as colours, and a two-class mask of
one bit as {0, 255}. Here such a file is decoded as plain grey, which leaves the stored values.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Dict, List, Optional

import cv2
import numpy as np

from edgesegnet_ros.data.file_kind import why_unreadable
from edgesegnet_ros.errors import EdgeSegNetError

_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_GREY, _COLORS, _PALETTE = 0, 2, 3
_COLORS_WITH_ALPHA = 6
_OTHER_LOSSLESS = (b'II*\0', b'MM\0*', b'P2', b'P5')
"""TIFF, PGM."""


class LabelImageError(EdgeSegNetError):
    """A file that is not a label image; the message names it and the accepted formats."""


def read_label_image(path: Path, palette_is_color: bool = False) -> np.ndarray:
    """The values of a label image as they are stored.

    Args:
        path: PNG of one channel (ids, 1 to 16 bits), with a palette (the indices are the ids) or
            of colours; also one-channel TIFF or PGM.
        palette_is_color: Whether the colours of a palette are meant, and not its indices: for
            files that are known to hold colours, which a tool may have stored with a palette.

    Returns:
        Ids as (H, W) uint8 or uint16, or colours as (H, W, 3) uint8 RGB.

    Raises:
        LabelImageError: The file cannot be decoded, its format changes values (JPEG, WebP), or
            it has another number of channels.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LabelImageError(f'{path}: cannot be read ({error.strerror or error})') from error
    is_png = data.startswith(_SIGNATURE)
    if not is_png and not data.startswith(_OTHER_LOSSLESS):
        reason = why_unreadable(path) or (
            'a label image is a PNG file (or a one-channel TIFF or PGM); other formats change '
            'values or hide them behind a palette'
        )
        raise LabelImageError(f'{path}: not a label image: {reason}')
    bits, kind = 8, _GREY
    plain = True
    if is_png:
        chunks = _chunks(data)
        if chunks is None:
            raise LabelImageError(f'{path}: the PNG file is cut off or damaged')
        bits, kind = chunks[b'IHDR'][0][8:10]
        plain = kind == _GREY or (kind == _PALETTE and not palette_is_color)
        data = _as_grey(chunks) if plain else data
    values = _decoded(data)
    if values is None:
        raise LabelImageError(f'{path}: not an image that OpenCV can read')
    if values.ndim == 2 and plain and values.dtype in (np.uint8, np.uint16):
        return values // np.uint8(255 // ((1 << bits) - 1)) if bits < 8 else values
    colored = is_png and kind in (_COLORS, _COLORS_WITH_ALPHA, _PALETTE)
    if colored and values.ndim == 3 and values.dtype == np.uint8:
        if values.shape[2] == 3 or (values[..., 3] == 255).all():
            return cv2.cvtColor(np.ascontiguousarray(values[..., :3]), cv2.COLOR_BGR2RGB)
        raise LabelImageError(f'{path}: its colours are partly transparent; labels are opaque')
    channels = 1 if values.ndim == 2 else values.shape[2]
    raise LabelImageError(
        f'{path}: {channels} channels of {values.dtype}; a label image is a PNG file of ids (one '
        'channel or a palette) or of colours (three channels of 8 bits)'
    )


def _decoded(data: bytes) -> Optional[np.ndarray]:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def _chunks(png: bytes) -> Optional[Dict[bytes, List[bytes]]]:
    """Contents of a PNG's chunks by name; None for a file that is cut off or damaged."""
    offset = len(_SIGNATURE)
    found: Dict[bytes, List[bytes]] = {}
    while offset + 12 <= len(png):
        (length,) = struct.unpack_from('>I', png, offset)
        body = png[offset + 4 : offset + 8 + length]
        if png[offset + 8 + length : offset + 12 + length] != _checksum(body):
            return None
        found.setdefault(body[:4], []).append(body[4:])
        offset += 12 + length
    return found if {b'IHDR', b'IDAT', b'IEND'} <= set(found) else None


def _checksum(body: bytes) -> bytes:
    return struct.pack('>I', zlib.crc32(body) & 0xFFFFFFFF)


def _as_grey(chunks: Dict[bytes, List[bytes]]) -> bytes:
    """The same values as a plain grey PNG: no palette, no transparency, no gamma."""
    header = chunks[b'IHDR'][0]
    bodies = [b'IHDR' + header[:9] + bytes([_GREY]) + header[10:]]
    bodies += [b'IDAT' + content for content in chunks[b'IDAT']] + [b'IEND']
    return _SIGNATURE + b''.join(
        struct.pack('>I', len(body) - 4) + body + _checksum(body) for body in bodies
    )

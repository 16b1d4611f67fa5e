"""Checks the size of an image before memory is allocated for it."""

from __future__ import annotations

import struct
from typing import Optional, Tuple, Union

from sensor_msgs.msg import CompressedImage, Image

from edgesegnet_ros.data.encodings import ImageMessageError

_PNG = b'\x89PNG\r\n\x1a\n'
_NO_SIZE = frozenset((0xC4, 0xC8, 0xCC))
"""Markers between SOF0 and SOF15 of a JPEG that do not start a frame: DHT, JPG, DAC."""


def check_size(message: Union[Image, CompressedImage], max_pixels: int) -> None:
    """Refuse an image that claims more pixels than allowed.

    Args:
        message: The image. The size of JPEG and PNG is read from their header; of other formats
            OpenCV refuses more than OPENCV_IO_MAX_IMAGE_PIXELS (2^27 in the node).
        max_pixels: Largest height times width.

    Raises:
        ImageMessageError: It is too large (kind too_large).
    """
    if isinstance(message, CompressedImage):
        size = image_size(message.data)
        if size is None:
            return
        height, width = size
    else:
        height, width = message.height, message.width
    if height * width > max_pixels:
        raise ImageMessageError(
            'too_large',
            f'an image of {width}x{height} pixels; the parameter max_image_pixels allows '
            f'{max_pixels} pixels',
        )


def image_size(data: Union[bytes, memoryview]) -> Optional[Tuple[int, int]]:
    """Height and width of a JPEG or PNG from its header; None for other data.

    Args:
        data: The encoded image, or any object with the buffer protocol.
    """
    view = memoryview(data).cast('B')
    if view[:8] == _PNG and len(view) >= 24:
        width, height = struct.unpack('>II', view[16:24])
        return height, width
    if view[:2] == b'\xff\xd8':
        return _jpeg_size(view)
    return None


def _jpeg_size(view: memoryview) -> Optional[Tuple[int, int]]:
    """Height and width in the first start of frame; segments are skipped by their length."""
    at = 2
    while at + 9 <= len(view):
        if view[at] != 0xFF:
            return None
        marker = view[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            height, width = struct.unpack('>HH', view[at + 5 : at + 9])
            return height, width
        at += 2 + struct.unpack('>H', view[at + 2 : at + 4])[0]
    return None

"""Image messages to arrays and back.

cv_bridge converts colours where it can be imported, which is every stock ROS; elsewhere
rosbags-image does, on the same message. Both are given rows without padding: cv_bridge skews an
image whose step is not a whole number of pixels.
"""

from __future__ import annotations

import array
from types import SimpleNamespace
from typing import Callable, Dict

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from edgesegnet_ros.errors import EdgeSegNetError

try:
    from cv_bridge import CvBridge

    _convert: Callable[[object, str], np.ndarray] = CvBridge().imgmsg_to_cv2
    CONVERTER = 'cv_bridge'
except ImportError:
    from rosbags.image import message_to_cvimage

    _convert = message_to_cvimage

    CONVERTER = 'rosbags-image'

_BAYER = ('rggb', 'bggr', 'gbrg', 'grbg')
BYTES_PER_PIXEL: Dict[str, int] = {
    'rgb8': 3,
    'bgr8': 3,
    'rgba8': 4,
    'bgra8': 4,
    'mono8': 1,
    **{f'bayer_{pattern}8': 1 for pattern in _BAYER},
    **{f'bayer_{pattern}16': 2 for pattern in _BAYER},
    'yuv422': 2,
    'uyvy': 2,
    'yuv422_yuy2': 2,
    'yuyv': 2,
}
"""Encodings of sensor_msgs/image_encodings.hpp that are understood."""
_SAME = {'uyvy': 'yuv422', 'yuyv': 'yuv422_yuy2'}
"""Later names that older libraries do not know."""


class ImageMessageError(EdgeSegNetError):
    """A message that holds no usable image.

    Attributes:
        kind: A short name to count it under: empty, short_data, step, encoding or undecodable.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def to_rgb(message: Image) -> np.ndarray:
    """The image as (height, width, 3) uint8 RGB.

    For an rgb8 image without padding this is a view of the message's own bytes.

    Raises:
        ImageMessageError: Zero-sized, shorter than it says, or of an unknown encoding.
    """
    height, width, step = message.height, message.width, message.step
    encoding = message.encoding
    if height == 0 or width == 0:
        raise ImageMessageError('empty', f'an image of {width}x{height} pixels')
    if encoding not in BYTES_PER_PIXEL:
        raise ImageMessageError(
            'encoding', f'encoding {encoding!r}; known are {", ".join(BYTES_PER_PIXEL)}'
        )
    row = width * BYTES_PER_PIXEL[encoding]
    if step < row:
        raise ImageMessageError(
            'step', f'a step of {step} bytes, but {width} pixels of {encoding} take {row}'
        )
    if len(message.data) < height * step:
        raise ImageMessageError(
            'short_data',
            f'{len(message.data)} bytes of data, but height x step is {height * step}',
        )
    data = np.frombuffer(message.data, np.uint8, height * step).reshape(height, step)
    if step != row:
        data = np.ascontiguousarray(data[:, :row])
    if encoding == 'rgb8':
        return data.reshape(height, width, 3)
    whole = SimpleNamespace(
        height=height,
        width=width,
        step=row,
        encoding=_SAME.get(encoding, encoding),
        is_bigendian=message.is_bigendian,
        data=data.reshape(-1),
    )
    try:
        return _convert(whole, 'rgb8')
    except Exception as error:  # the two libraries raise classes of their own, and OpenCV's
        raise ImageMessageError(
            'undecodable', f'{width}x{height} pixels of {encoding} could not be converted: {error}'
        ) from None


def compressed_to_rgb(message: CompressedImage) -> np.ndarray:
    """A JPEG, PNG or other picture that OpenCV decodes, as (height, width, 3) uint8 RGB.

    Raises:
        ImageMessageError: It cannot be decoded.
    """
    data = np.frombuffer(message.data, np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        raise ImageMessageError(
            'undecodable', f'{data.size} bytes of format {message.format!r} are no whole picture'
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def to_message(image: np.ndarray, encoding: str, header: Header) -> Image:
    """An image message without padding.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        encoding: mono8, rgb8 or bgr8.
        header: Used as it is.
    """
    message = Image()
    message.header = header
    message.height, message.width = image.shape[:2]
    message.encoding = encoding
    message.is_bigendian = 0
    message.step = image.shape[1] * (image.shape[2] if image.ndim == 3 else 1)
    message.data = to_bytes(image)
    return message


def to_bytes(image: np.ndarray) -> array.array:
    """The array's bytes as a uint8[] field takes them at once, on every distribution."""
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(image).data.cast('B'))
    return data

"""Converts arrays to image messages; `edgesegnet_ros.data.encodings` converts them back."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header


def to_message(image: np.ndarray, encoding: str, header: Header) -> Image:
    """Make an image message without padding.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        encoding: mono8, rgb8 or bgr8.
        header: Header of the message.
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
    """The bytes of an array, in a form that a uint8[] field takes without a copy to a list."""
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(image).data.cast('B'))
    return data

"""The encodings of image messages: one table for the node, the replay and the demo.

An image is either converted to the right colours or refused with an error that says why. The
names are those of sensor_msgs/image_encodings.hpp, and `8UC1` and `8UC3`, which cv_bridge's Python
publishes where no encoding is given. A message is anything with the fields of sensor_msgs/Image:
rclpy's own, or what rosbags reads from a bag.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, NamedTuple

import cv2
import numpy as np

from edgesegnet_ros.data.jpeg import damage, is_cut_off
from edgesegnet_ros.errors import EdgeSegNetError


class ImageMessageError(EdgeSegNetError):
    """A message that holds no usable image.

    Attributes:
        kind: A short name to count it under: empty, short_data, long_data, step, encoding,
            corrupt or undecodable.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Encoding(NamedTuple):
    """Conversion of one encoding to RGB.

    Attributes:
        pixel_bytes: Bytes per pixel in a row.
        to_rgb: Converts (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) uint8 or (H, W) uint16 values
            to (H, W, 3) uint8 RGB.
        half_rows: Rows of data for each two rows of the image: 3 where a plane of colours follows.
        assumption: The assumption about an encoding that is ambiguous; empty for the others.
    """

    pixel_bytes: int
    to_rgb: Callable[[np.ndarray], np.ndarray]
    half_rows: int = 2
    assumption: str = ''


def _by(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: cv2.cvtColor(values, code)


def _as_is(values: np.ndarray) -> np.ndarray:
    return values


def _grey(values: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(_eight_bits(values), cv2.COLOR_GRAY2RGB)


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """16 bits, scaled to the full range of 8 bits and rounded."""
    return values if values.dtype == np.uint8 else cv2.convertScaleAbs(values, alpha=1 / 257)


def _demosaicing(code: int) -> Callable[[np.ndarray], np.ndarray]:
    def convert(values: np.ndarray) -> np.ndarray:
        # OpenCV leaves the border black, which is all of such an image.
        if min(values.shape) < 3:
            raise ValueError('a Bayer image has at least 3x3 pixels')
        return _eight_bits(cv2.cvtColor(values, code))

    return convert


# OpenCV names a Bayer pattern by its second row and column.
_BAYER = {
    'rggb': cv2.COLOR_BayerBG2RGB,
    'bggr': cv2.COLOR_BayerRG2RGB,
    'gbrg': cv2.COLOR_BayerGR2RGB,
    'grbg': cv2.COLOR_BayerGB2RGB,
}
_UYVY, _YUYV = Encoding(2, _by(cv2.COLOR_YUV2RGB_UYVY)), Encoding(2, _by(cv2.COLOR_YUV2RGB_YUY2))
ENCODINGS: Dict[str, Encoding] = {
    'rgb8': Encoding(3, _as_is),
    'bgr8': Encoding(3, _by(cv2.COLOR_BGR2RGB)),
    'rgba8': Encoding(4, _by(cv2.COLOR_RGBA2RGB)),
    'bgra8': Encoding(4, _by(cv2.COLOR_BGRA2RGB)),
    'mono8': Encoding(1, _grey),
    'mono16': Encoding(2, _grey),
    **{f'bayer_{name}8': Encoding(1, _demosaicing(code)) for name, code in _BAYER.items()},
    **{f'bayer_{name}16': Encoding(2, _demosaicing(code)) for name, code in _BAYER.items()},
    'yuv422': _UYVY,
    'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV,
    'yuyv': _YUYV,
    'nv12': Encoding(1, _by(cv2.COLOR_YUV2RGB_NV12), 3),
    'nv21': Encoding(1, _by(cv2.COLOR_YUV2RGB_NV21), 3),
    '8UC3': Encoding(
        3,
        _by(cv2.COLOR_BGR2RGB),
        assumption='does not name its colours; read as '
        'bgr8, which is what cv_bridge publishes under this name',
    ),
    '8UC1': Encoding(1, _grey, assumption='does not say what its values are; read as mono8'),
    '16UC1': Encoding(
        2,
        _grey,
        assumption='does not say what its values are; read as mono16 '
        '(a depth image gives no usable labels)',
    ),
}
"""Every supported encoding; all others are refused."""
LABEL_ENCODINGS = ('mono8', '8UC1', 'mono16', '16UC1')
"""Encodings with one channel, for label images."""
_TWO_BYTES = frozenset(['mono16', '16UC1', *(f'bayer_{name}16' for name in _BAYER)])
"""Encodings with 16-bit values, in the byte order that the message states."""


def to_rgb(message: Any) -> np.ndarray:
    """The image of a sensor_msgs/Image.

    Args:
        message: Has height, width, step, encoding, is_bigendian and data.

    Returns:
        (height, width, 3) uint8 RGB. For an rgb8 image without padding this is a view of the
        message's own bytes.

    Raises:
        ImageMessageError: The image is empty, its data is shorter or longer than it says, or
            its encoding is not in ENCODINGS.
    """
    values = _values(message)
    where = f'{message.width}x{message.height} pixels of {message.encoding}'
    try:
        rgb = ENCODINGS[message.encoding].to_rgb(values)
    except (cv2.error, ValueError) as error:
        reason = getattr(error, 'err', None) or str(error)
        raise ImageMessageError(
            'undecodable', f'{where} could not be converted: {reason}'
        ) from None
    if rgb.shape != (message.height, message.width, 3):
        raise ImageMessageError(
            'undecodable', f'{where} became an image of {rgb.shape[1]}x{rgb.shape[0]} pixels'
        )
    return rgb


def assumption_of(message: Any) -> str:
    """A sentence about the assumption for an image with an ambiguous encoding, or nothing.

    Args:
        message: A sensor_msgs/Image or CompressedImage.
    """
    encoding = ENCODINGS.get(getattr(message, 'encoding', ''))
    if encoding is None or not encoding.assumption:
        return ''
    return f'encoding {message.encoding} {encoding.assumption}'


def to_labels(message: Any) -> np.ndarray:
    """The values of a label image.

    Args:
        message: A sensor_msgs/Image of one channel; see LABEL_ENCODINGS.

    Returns:
        (height, width) uint8 or uint16; a copy.

    Raises:
        ImageMessageError: As `to_rgb`, and for an image of several channels.
    """
    if message.encoding not in LABEL_ENCODINGS:
        raise ImageMessageError(
            'encoding',
            f'encoding {message.encoding!r}; label images have one channel '
            f'({", ".join(LABEL_ENCODINGS)})',
        )
    return _values(message).copy()


def _values(message: Any) -> np.ndarray:
    """(H, W) or (H, W, C) uint8, or (H, W) uint16 in this machine's byte order."""
    height, width, step = message.height, message.width, message.step
    if height == 0 or width == 0:
        raise ImageMessageError('empty', f'an image of {width}x{height} pixels')
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        raise ImageMessageError(
            'encoding', f'encoding {message.encoding!r}; known are {", ".join(ENCODINGS)}'
        )
    row = width * encoding.pixel_bytes
    if step < row:
        raise ImageMessageError(
            'step', f'a step of {step} bytes, but {width} pixels of {message.encoding} take {row}'
        )
    rows = height * encoding.half_rows // 2
    expected = rows * step
    if len(message.data) != expected:
        product = 'height x step' + (' x 1.5' if encoding.half_rows == 3 else '')
        short = len(message.data) < expected
        raise ImageMessageError(
            'short_data' if short else 'long_data',
            f'{len(message.data)} bytes of data, but {product} is {expected}'
            + ('' if short else f'; is the encoding {message.encoding} right?'),
        )
    if encoding.half_rows == 3 and (height % 2 or width % 2):
        raise ImageMessageError(
            'undecodable',
            f'{width}x{height} pixels of {message.encoding}: width and height are even numbers',
        )
    data = np.frombuffer(message.data, np.uint8, expected).reshape(rows, step)
    if step != row:
        data = np.ascontiguousarray(data[:, :row])
    if message.encoding in _TWO_BYTES:
        order = '>u2' if message.is_bigendian else '<u2'
        return data.view(order).astype(np.uint16, copy=False)
    return data if encoding.pixel_bytes == 1 else data.reshape(rows, width, -1)


_FORMAT = re.compile(r'\s*([^;]+?)\s*;\s*(\S+)\s+compressed\s*(\S*)\s*')
"""`ENCODING; CODEC compressed TARGET`, as compressed_image_transport writes it."""


def compressed_to_rgb(message: Any, strict: bool = True) -> np.ndarray:
    """The image of a sensor_msgs/CompressedImage: JPEG, PNG or whatever else OpenCV decodes.

    Where the format says that the codec was given a Bayer mosaic as it is (`bayer_rggb8; jpeg
    compressed `), its colours are interpolated after decoding.

    Args:
        message: Has format and data.
        strict: Whether a JPEG image that libjpeg warns of is refused.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        ImageMessageError: The data is empty, damaged or depth, or cannot be decoded.
    """
    data = np.frombuffer(message.data, np.uint8)
    if not data.size:
        raise ImageMessageError('empty', f'0 bytes of format {message.format!r}')
    if 'compressedDepth' in message.format:
        raise ImageMessageError('encoding', f'format {message.format!r}: depth, not colours')
    parsed = _FORMAT.fullmatch(message.format)
    mosaic = parsed is not None and parsed[1].startswith('bayer_') and not parsed[3]
    harm = 'its end is missing' if is_cut_off(data) else ''
    image = None if harm else _decoded(data, mosaic)
    if image is None and not harm:
        raise ImageMessageError(
            'undecodable', f'{data.size} bytes of format {message.format!r} are not an image'
        )
    if strict:
        harm = harm or damage(data)
    if harm:
        raise ImageMessageError(
            'corrupt', f'{data.size} bytes of format {message.format!r} are damaged: {harm}'
        )
    assert image is not None
    if image.ndim == 3:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
    assert parsed is not None
    if parsed[1] not in ENCODINGS:
        raise ImageMessageError(
            'encoding', f'encoding {parsed[1]!r} in the format; known are {", ".join(ENCODINGS)}'
        )
    try:
        return ENCODINGS[parsed[1]].to_rgb(image)
    except (cv2.error, ValueError) as error:
        raise ImageMessageError('undecodable', f'format {message.format!r}: {error}') from None


def _decoded(data: np.ndarray, as_stored: bool) -> Any:
    """(H, W, 3) uint8 BGR; of one channel only where the values are wanted as stored."""
    try:
        if as_stored:
            stored = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
            if stored is not None and stored.ndim == 2:
                return stored
        return cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:
        return None

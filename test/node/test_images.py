"""Camera encodings become the right colours, through whichever library converts them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from harness import image_message
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from edgesegnet_ros.node.images import (
    BYTES_PER_PIXEL,
    ImageMessageError,
    compressed_to_rgb,
    to_message,
    to_rgb,
)

# A smooth picture, so that a Bayer mosaic of it is close to it.
Y, X = np.mgrid[0:32, 0:48].astype(np.float32)
PICTURE = np.stack([40 + 4 * X, 60 + 5 * Y, 200 - 2 * X - 2 * Y], -1).astype(np.uint8)
# Which colour channel the top left 2x2 pixels see, row by row.
MOSAIC = {'rggb': (0, 1, 1, 2), 'bggr': (2, 1, 1, 0), 'gbrg': (1, 2, 0, 1), 'grbg': (1, 0, 2, 1)}


def bayer(pattern, bits=8):
    mosaic = np.empty((32, 48), np.uint8)
    for index, channel in enumerate(MOSAIC[pattern]):
        row, column = divmod(index, 2)
        mosaic[row::2, column::2] = PICTURE[row::2, column::2, channel]
    if bits == 8:
        return mosaic
    return (mosaic.astype('<u2') * 257).view(np.uint8).reshape(32, 48, 2)


def yuv422(order):
    """Packed 4:2:2 of a picture whose pixels come in equal pairs."""
    paired = np.repeat(PICTURE[:, ::2], 2, axis=1)
    red, green, blue = (paired[..., i].astype(np.float32) for i in range(3))
    u = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    v = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    luma = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    packed = np.empty((32, 48, 2), np.float32)
    first, second = (0, 1) if order == 'yuyv' else (1, 0)
    packed[..., first] = luma
    packed[:, ::2, second] = u[:, ::2]
    packed[:, 1::2, second] = v[:, ::2]
    return np.clip(np.rint(packed), 0, 255).astype(np.uint8), paired


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize(
    ('encoding', 'pixels'),
    [
        ('rgb8', PICTURE),
        ('bgr8', PICTURE[..., ::-1]),
        ('rgba8', np.dstack([PICTURE, np.full((32, 48), 9, np.uint8)])),
        ('bgra8', np.dstack([PICTURE[..., ::-1], np.full((32, 48), 9, np.uint8)])),
    ],
)
def test_colours_in_any_order_and_with_padded_rows(encoding, pixels, padding):
    message = image_message(np.ascontiguousarray(pixels), encoding, padding=padding)
    assert np.array_equal(to_rgb(message), PICTURE)


@pytest.mark.parametrize('padding', [0, 5])
def test_grey(padding):
    grey = PICTURE[..., 0].copy()
    rgb = to_rgb(image_message(grey, 'mono8', padding=padding))
    assert all(np.array_equal(rgb[..., channel], grey) for channel in range(3))


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('pattern', sorted(MOSAIC))
def test_bayer(pattern, bits):
    rgb = to_rgb(image_message(bayer(pattern, bits), f'bayer_{pattern}{bits}'))
    inside = (slice(2, -2), slice(2, -2))
    assert np.abs(rgb[inside].astype(int) - PICTURE[inside]).max() <= 8


@pytest.mark.parametrize(
    ('encoding', 'order'),
    [('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')],
)
def test_yuv422(encoding, order):
    packed, expected = yuv422(order)
    rgb = to_rgb(image_message(packed, encoding))
    assert np.abs(rgb.astype(int) - expected).max() <= 6


def test_every_known_encoding_is_tested_here():
    tested = {'rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', 'yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv'}
    tested |= {f'bayer_{pattern}{bits}' for pattern in MOSAIC for bits in (8, 16)}
    assert tested == set(BYTES_PER_PIXEL)


def test_rgb8_is_not_copied():
    message = image_message(PICTURE)
    rgb = to_rgb(message)
    assert np.shares_memory(rgb, np.frombuffer(message.data, np.uint8))


def test_cv_bridge_and_rosbags_image_agree():
    cv_bridge = pytest.importorskip('cv_bridge', reason='SKIPPED: no cv_bridge on this machine')
    rosbags_image = pytest.importorskip('rosbags.image', reason='SKIPPED: no rosbags-image')
    for encoding, pixels in (
        ('bgr8', PICTURE),
        ('bgra8', np.dstack([PICTURE, PICTURE[..., :1]])),
        ('mono8', PICTURE[..., 0].copy()),
        ('bayer_rggb8', bayer('rggb')),
        ('yuv422', yuv422('uyvy')[0]),
        ('yuv422_yuy2', yuv422('yuyv')[0]),
    ):
        message = image_message(pixels, encoding)
        one = cv_bridge.CvBridge().imgmsg_to_cv2(message, 'rgb8')
        assert np.array_equal(one, rosbags_image.message_to_cvimage(message, 'rgb8')), encoding


def test_a_message_made_here_reads_back():
    header = Header(frame_id='camera')
    for encoding, pixels in (('rgb8', PICTURE), ('bgr8', PICTURE), ('mono8', PICTURE[..., 0])):
        message = to_message(pixels, encoding, header)
        assert message.step == 48 * (3 if pixels.ndim == 3 else 1)
        assert bytes(message.data) == pixels.tobytes()
        assert message.header.frame_id == 'camera'


def test_a_truncated_jpeg_is_refused():
    data = cv2.imencode('.jpg', PICTURE)[1].tobytes()
    message = CompressedImage(format='jpeg')
    message.data.frombytes(data[: len(data) // 8])
    with pytest.raises(ImageMessageError, match='no whole picture'):
        compressed_to_rgb(message)

"""Every encoding becomes the right colours; anything else is refused with a reason."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edgesegnet_ros.data import jpeg
from edgesegnet_ros.data.encodings import (
    ENCODINGS,
    ImageMessageError,
    assumption_of,
    compressed_to_rgb,
    to_labels,
    to_rgb,
)

# A smooth picture, so that a Bayer mosaic of it is close to it.
Y, X = np.mgrid[0:32, 0:48].astype(np.float32)
PICTURE = np.stack([40 + 4 * X, 60 + 5 * Y, 200 - 2 * X - 2 * Y], -1).astype(np.uint8)
GREY = PICTURE[..., 0].copy()
ALPHA = np.full((32, 48), 9, np.uint8)
# Which colour channel the top left 2x2 pixels see, row by row.
MOSAIC = {'rggb': (0, 1, 1, 2), 'bggr': (2, 1, 1, 0), 'gbrg': (1, 2, 0, 1), 'grbg': (1, 0, 2, 1)}


def message(pixels, encoding, padding=0, bigendian=False, planes=1.0):
    """What a camera sends; 16-bit pixels are given as uint16."""
    if pixels.dtype == np.uint16:
        pixels = pixels.astype('>u2' if bigendian else '<u2').view(np.uint8)
        pixels = pixels.reshape(pixels.shape[0], -1, 2)
    rows = np.pad(pixels.reshape(pixels.shape[0], -1), ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(
        height=int(pixels.shape[0] / planes),
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(bigendian),
        step=rows.shape[1],
        data=rows.tobytes(),
    )


def bayer(pattern):
    mosaic = np.empty((32, 48), np.uint8)
    for index, channel in enumerate(MOSAIC[pattern]):
        row, column = divmod(index, 2)
        mosaic[row::2, column::2] = PICTURE[row::2, column::2, channel]
    return mosaic


def yuv(picture):
    """Luma and the two colour differences, (H, W) each."""
    red, green, blue = (picture[..., i].astype(np.float32) for i in range(3))
    u = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    v = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    return 16 + 0.257 * red + 0.504 * green + 0.098 * blue, u, v


def packed422(order):
    """Packed 4:2:2 of a picture whose pixels come in equal pairs."""
    paired = np.repeat(PICTURE[:, ::2], 2, axis=1)
    luma, u, v = yuv(paired)
    pixels = np.empty((32, 48, 2), np.float32)
    first, second = (0, 1) if order == 'yuyv' else (1, 0)
    pixels[..., first] = luma
    pixels[:, ::2, second] = u[:, ::2]
    pixels[:, 1::2, second] = v[:, ::2]
    return np.rint(pixels).astype(np.uint8), paired


def planes420(order):
    """A plane of luma and one of colours at half the size, of a picture in equal 2x2 blocks."""
    blocks = np.repeat(np.repeat(PICTURE[::2, ::2], 2, axis=0), 2, axis=1)
    luma, u, v = yuv(blocks)
    colors = np.empty((16, 48), np.float32)
    first, second = (u, v) if order == 'nv12' else (v, u)
    colors[:, ::2], colors[:, 1::2] = first[::2, ::2], second[::2, ::2]
    return np.rint(np.vstack([luma, colors])).astype(np.uint8), blocks


def sixteen(pixels):
    return pixels.astype(np.uint16) * 257


THREE_GREYS = np.dstack([GREY] * 3)
INSIDE = (slice(2, -2), slice(2, -2))
# Encoding: pixels as the camera sends them, the picture they show, how far it may be off.
EXAMPLES = {
    'rgb8': (PICTURE, PICTURE, 0),
    'bgr8': (PICTURE[..., ::-1], PICTURE, 0),
    '8UC3': (PICTURE[..., ::-1], PICTURE, 0),
    'rgba8': (np.dstack([PICTURE, ALPHA]), PICTURE, 0),
    'bgra8': (np.dstack([PICTURE[..., ::-1], ALPHA]), PICTURE, 0),
    'mono8': (GREY, THREE_GREYS, 0),
    '8UC1': (GREY, THREE_GREYS, 0),
    'mono16': (sixteen(GREY), THREE_GREYS, 0),
    '16UC1': (sixteen(GREY), THREE_GREYS, 0),
    'yuv422': (*packed422('uyvy'), 6),
    'uyvy': (*packed422('uyvy'), 6),
    'yuv422_yuy2': (*packed422('yuyv'), 6),
    'yuyv': (*packed422('yuyv'), 6),
    'nv12': (*planes420('nv12'), 6),
    'nv21': (*planes420('nv21'), 6),
    **{f'bayer_{pattern}8': (bayer(pattern), PICTURE, 8) for pattern in MOSAIC},
    **{f'bayer_{pattern}16': (sixteen(bayer(pattern)), PICTURE, 8) for pattern in MOSAIC},
}


def encoded(encoding, **options):
    planes = 1.5 if encoding in ('nv12', 'nv21') else 1.0
    pixels = np.ascontiguousarray(EXAMPLES[encoding][0])
    return message(pixels, encoding, planes=planes, **options)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_the_right_colours(encoding, padding):
    rgb = to_rgb(encoded(encoding, padding=padding))
    _, expected, tolerance = EXAMPLES[encoding]
    area = INSIDE if encoding.startswith('bayer') else ...
    assert rgb.shape == PICTURE.shape and rgb.dtype == np.uint8
    assert np.abs(rgb[area].astype(int) - expected[area]).max() <= tolerance


@pytest.mark.parametrize('encoding', ['mono16', '16UC1', 'bayer_grbg16'])
def test_sixteen_bits_in_either_byte_order(encoding):
    little, big = encoded(encoding), encoded(encoding, bigendian=True, padding=3)
    assert little.data != big.data
    np.testing.assert_array_equal(to_rgb(little), to_rgb(big))


def test_rgb8_is_not_copied():
    image = encoded('rgb8')
    assert np.shares_memory(to_rgb(image), np.frombuffer(image.data, np.uint8))


def test_assumptions_are_reported():
    told = {name for name in ENCODINGS if assumption_of(encoded(name))}
    assert told == {'8UC1', '8UC3', '16UC1'}
    assert 'read as bgr8' in assumption_of(encoded('8UC3'))


def changed(like='rgb8', **values):
    image = encoded(like)
    for name, value in values.items():
        setattr(image, name, value)
    return image


@pytest.mark.parametrize(
    ('image', 'kind', 'sentence'),
    [
        (changed(height=0), 'empty', '48x0 pixels'),
        (changed(data=b''), 'short_data', '0 bytes of data, but height x step is 4608'),
        (changed(data=bytes(4607)), 'short_data', '4607 bytes'),
        (changed(data=bytes(4609)), 'long_data', 'is the encoding rgb8 right'),
        (changed('nv12', encoding='mono8'), 'long_data', '2304 bytes of data, but .* is 1536'),
        (changed('mono8', encoding='nv12'), 'short_data', 'height x step x 1.5 is 2304'),
        (changed(step=100), 'step', '48 pixels of rgb8 take 144'),
        (changed('nv12', width=47), 'undecodable', 'even'),
        (message(bayer('rggb')[:2, :2], 'bayer_rggb8'), 'undecodable', 'at least 3x3'),
        (message(packed422('yuyv')[0][:, :7], 'yuyv'), 'undecodable', 'could not be converted'),
        *[
            (changed(encoding=name), 'encoding', f"encoding '{name}'; known are rgb8")
            for name in ('rgb16', 'bgr16', '32FC1', '8UC4', 'nv24', '', 'RGB8', 'jpeg')
        ],
    ],
)
def test_impossible_values_are_refused(image, kind, sentence):
    with pytest.raises(ImageMessageError, match=sentence) as refused:
        to_rgb(image)
    assert refused.value.kind == kind


def test_labels_have_one_channel():
    np.testing.assert_array_equal(to_labels(encoded('mono8')), GREY)
    np.testing.assert_array_equal(to_labels(encoded('16UC1', bigendian=True)), sixteen(GREY))
    with pytest.raises(ImageMessageError, match="encoding 'rgb8'; label images have one channel"):
        to_labels(encoded('rgb8'))


def compressed(pixels, format_, suffix='.png'):
    return SimpleNamespace(format=format_, data=cv2.imencode(suffix, pixels)[1].tobytes())


def test_compressed_images():
    bgr = PICTURE[..., ::-1]
    for format_ in ('png', 'rgb8; png compressed bgr8', 'bayer_rggb8; png compressed bgr8', ''):
        np.testing.assert_array_equal(compressed_to_rgb(compressed(bgr, format_)), PICTURE)
    rgb = compressed_to_rgb(compressed(bgr, 'jpeg', '.jpg'))
    assert np.abs(rgb.astype(int) - PICTURE).mean() < 4
    rgb = compressed_to_rgb(compressed(GREY, 'mono8; png compressed '))
    np.testing.assert_array_equal(rgb, THREE_GREYS)


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_a_compressed_mosaic_becomes_colours(suffix):
    codec = {'.png': 'png', '.jpg': 'jpeg'}[suffix]
    image = compressed(bayer('rggb'), f'bayer_rggb8; {codec} compressed ', suffix)
    rgb = compressed_to_rgb(image)
    off = np.abs(rgb[INSIDE].astype(int) - PICTURE[INSIDE])
    assert off.max() <= 8 if suffix == '.png' else off.mean() < 12


JPEG = cv2.imencode('.jpg', PICTURE)[1].tobytes()


@pytest.mark.parametrize(
    ('data', 'format_', 'kind'),
    [
        (b'', 'jpeg', 'empty'),
        (JPEG[: len(JPEG) // 8], 'jpeg', 'undecodable'),
        (JPEG[: -len(JPEG) // 4], 'jpeg', 'corrupt'),
        (b'nothing', 'jpeg', 'undecodable'),
        (b'\0' * 64, '32FC1; compressedDepth png', 'encoding'),
        (compressed(GREY, '').data, 'bayer_rgbw8; png compressed ', 'encoding'),
    ],
    ids=['no-bytes', 'an-eighth', 'three-quarters', 'no-image', 'depth', 'unknown-mosaic'],
)
def test_compressed_images_that_are_refused(data, format_, kind):
    with pytest.raises(ImageMessageError) as refused:
        compressed_to_rgb(SimpleNamespace(format=format_, data=data))
    assert refused.value.kind == kind


def test_damage_within_a_jpeg_is_found_where_libjpeg_warns(monkeypatch):
    pytest.importorskip('simplejpeg', reason='SKIPPED FOR WANT OF simplejpeg')
    rows, columns = np.mgrid[0:96, 0:128]
    picture = (rows * columns % 251).astype(np.uint8)
    whole = cv2.imencode('.jpg', picture)[1].tobytes()
    third = len(whole) // 3
    zeroed = whole[:third] + bytes(third) + whole[2 * third :]
    flips = np.random.default_rng(0)
    begin = whole.rfind(b'\xff\xda') + 10
    flipped = []
    for _ in range(40):
        data = bytearray(whole)
        data[flips.integers(begin, len(whole) - 2)] ^= 1 << flips.integers(8)
        flipped.append(bytes(data))

    def refusals(images, strict=True):
        count = 0
        for data in images:
            try:
                compressed_to_rgb(SimpleNamespace(format='jpeg', data=data), strict)
            except ImageMessageError as error:
                assert error.kind == 'corrupt'
                count += 1
        return count

    assert refusals([whole]) == 0 and refusals([zeroed]) == 1
    # The others gave data that is valid, and is another image.
    assert 5 < refusals(flipped) < 40
    assert refusals([zeroed], strict=False) == 0
    assert not jpeg.missing_checker()
    monkeypatch.setitem(sys.modules, 'simplejpeg', None)
    monkeypatch.setattr(jpeg, 'is_there', lambda module: False)
    assert refusals([zeroed]) == 0 and 'pip install simplejpeg' in jpeg.missing_checker()
    assert refusals([whole[:third]]) == 1


@pytest.mark.parametrize(
    'options', [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_OPTIMIZE, 1)]
)
def test_a_complete_jpeg_is_not_refused(options):
    flat = np.zeros((64, 64, 3), np.uint8)
    for picture in (PICTURE, GREY, flat):
        data = cv2.imencode('.jpg', picture, options)[1].tobytes()
        assert not jpeg.damage(np.frombuffer(data, np.uint8))


def test_a_jpeg_followed_by_padding_is_complete():
    rgb = compressed_to_rgb(SimpleNamespace(format='jpeg', data=JPEG + bytes(512)))
    assert rgb.shape == PICTURE.shape

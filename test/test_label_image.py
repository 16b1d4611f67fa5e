"""Label images: what is read is what was stored, whatever a palette or a bit depth shows."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from edgesegnet_ros.data.camvid import CamVidError, read_labels
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.label_image import LabelImageError, read_label_image

CAMVID11 = load_classes('camvid11')
IDS = np.array([[0, 1, 3, 2], [3, 0, 1, 1]], np.uint8)
# The first four colours of Pascal VOC's palette; three of them are also CamVid's.
VOC = bytes([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])


def png(rows, bits, kind, **chunks):
    """A PNG written by hand: OpenCV writes no palette, and no fewer than eight bits."""

    def chunk(name, content):
        body = name.encode() + content
        return struct.pack('>I', len(content)) + body + struct.pack('>I', zlib.crc32(body))

    def packed(row):
        text = ''.join(f'{value:0{bits}b}' for value in row)
        return b'\0' + int(text.ljust(-(-len(text) // 8) * 8, '0'), 2).to_bytes(
            -(-len(text) // 8), 'big'
        )

    height, width = rows.shape
    header = struct.pack('>IIBBBBB', width, height, bits, kind, 0, 0, 0)
    data = zlib.compress(b''.join(packed(row.tolist()) for row in rows))
    parts = [('IHDR', header), *chunks.items(), ('IDAT', data), ('IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunk(*part) for part in parts)


@pytest.mark.parametrize('bits', [2, 4, 8])
@pytest.mark.parametrize('extra', [{}, {'tRNS': b'\0'}], ids=['opaque', 'transparent'])
def test_a_palette_image_is_its_indices(tmp_path, bits, extra):
    file = tmp_path / 'a.png'
    file.write_bytes(png(IDS, bits, 3, PLTE=VOC, **extra))
    np.testing.assert_array_equal(read_label_image(file), IDS)
    np.testing.assert_array_equal(read_labels(file, CAMVID11), IDS)


@pytest.mark.parametrize('bits', [2, 4, 8])
def test_grey_of_few_bits_is_not_scaled(tmp_path, bits):
    file = tmp_path / 'a.png'
    file.write_bytes(png(IDS, bits, 0))
    np.testing.assert_array_equal(read_label_image(file), IDS)


def test_two_classes_in_one_bit(tmp_path):
    file = tmp_path / 'a.png'
    file.write_bytes(png(IDS & 1, 1, 0))
    np.testing.assert_array_equal(read_label_image(file), IDS & 1)


def test_sixteen_bits_are_kept(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), IDS.astype(np.uint16) * 300)
    assert read_label_image(tmp_path / 'a.png').max() == 900
    with pytest.raises(CamVidError, match=r'unknown label values \[300, 600, 900\]'):
        read_labels(tmp_path / 'a.png', CAMVID11)
    cv2.imwrite(str(tmp_path / 'b.png'), IDS.astype(np.uint16))
    np.testing.assert_array_equal(read_labels(tmp_path / 'b.png', CAMVID11), IDS)


def test_colours_stay_colours(tmp_path):
    colors = np.frombuffer(VOC, np.uint8).reshape(4, 3)[IDS]
    cv2.imwrite(str(tmp_path / 'a.png'), colors[..., ::-1])
    np.testing.assert_array_equal(read_label_image(tmp_path / 'a.png'), colors)
    # A name that ends in _L says that CamVid's colours are meant, even with a palette.
    file = tmp_path / 'a_L.png'
    file.write_bytes(png(IDS & 1, 8, 3, PLTE=VOC))
    np.testing.assert_array_equal(read_labels(file, CAMVID11), np.where(IDS & 1, 1, 255))


@pytest.mark.parametrize(
    ('name', 'content', 'sentence'),
    [
        ('a.png', b'', 'it is empty'),
        ('a.png', b'version https://git-lfs.github.com/spec/v1\noid sha256:0\n', 'git lfs pull'),
        ('a.png', png(IDS, 8, 3, PLTE=VOC)[:70], 'cut off or damaged'),
        ('a.png', png(IDS, 8, 0).replace(b'IDAT', b'IDAU'), 'cut off or damaged'),
        ('a.jpg', cv2.imencode('.jpg', IDS)[1].tobytes(), 'change values'),
        ('a.png', cv2.imencode('.png', np.dstack([IDS] * 4))[1].tobytes(), 'transparent'),
        ('a.tif', cv2.imencode('.tif', np.dstack([IDS] * 3))[1].tobytes(), '3 channels of uint8'),
    ],
    ids=['empty', 'pointer', 'cut', 'damaged', 'jpeg', 'alpha', 'tiff-colours'],
)
def test_an_invalid_label_image_is_refused(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LabelImageError, match=sentence):
        read_label_image(tmp_path / name)

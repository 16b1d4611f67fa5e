"""Images that a camera, a network or an attacker could send."""

from __future__ import annotations

import array
import struct
import zlib

import cv2
import numpy as np
import pytest
from faults import covers
from harness import image_message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image

from edgesegnet_ros.data.encodings import ENCODINGS
from edgesegnet_ros.node import worker as worker_module

GREY = np.full((48, 64, 3), 128, np.uint8)
PROPERTY = settings(
    max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def changed(**fields) -> Image:
    message = image_message(GREY)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def still_segments(node) -> None:
    """Nothing is lost, and the next good image comes out."""
    node.wait(node.settled, 'all frames to be accounted for')
    before = node.counts['out']
    node.send(image_message(GREY, stamp=7))
    node.wait(lambda: node.counts['out'] == before + 1, 'the next good image')


def png_bomb(side: int) -> bytes:
    """A PNG that claims side x side pixels and compresses them to almost nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    header = struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * 64))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', rows)


def jpeg(pixels=GREY) -> bytes:
    return cv2.imencode('.jpg', pixels)[1].tobytes()


def huge_jpeg() -> bytes:
    data = bytearray(jpeg())
    at = data.index(b'\xff\xc0')
    data[at + 5 : at + 9] = struct.pack('>HH', 60000, 60000)
    return bytes(data)


def noise_jpeg(whole: bool) -> bytes:
    """A JPEG whose second third is zeros, or that ends before it."""
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64), np.uint8)
    data = cv2.imencode('.jpg', pixels)[1].tobytes()
    third = len(data) // 3
    return data[:third] + (bytes(third) + data[2 * third :] if whole else b'')


def negative_stamp() -> Image:
    message = image_message(GREY)
    message.header.stamp.sec = -5
    return message


UNUSABLE = {
    'zero-width': ('empty', lambda: changed(width=0)),
    'zero-height': ('empty', lambda: changed(height=0)),
    'unknown-encoding': ('encoding', lambda: changed(encoding='rgb7')),
    'huge-encoding-name': ('encoding', lambda: changed(encoding='x' * 5_000_000)),
    'short-step': ('step', lambda: changed(step=10)),
    'short-data': ('short_data', lambda: changed(data=array.array('B', bytes(100)))),
    'no-data': ('short_data', lambda: changed(data=array.array('B'))),
    'absurd-size': ('too_large', lambda: changed(width=2**31, height=2**31)),
    'negative-stamp': ('stamp', negative_stamp),
    'compressed-on-raw': ('empty', lambda: Image()),
}


@pytest.mark.parametrize('name', UNUSABLE)
def test_an_unusable_image_is_counted_and_named(shared, name):
    covers(name)
    kind, make = UNUSABLE[name]
    shared.node._warned_at.clear()
    before = shared.counts[f'bad_{kind}']
    shared.send(make())
    shared.wait(lambda: shared.counts[f'bad_{kind}'] == before + 1, f'a bad {kind}')
    said = shared.wait(lambda: [s for s in shared.said if 'unusable image' in s], 'a warning')[-1]
    assert len(said) < 500
    still_segments(shared)


COMPRESSED = {
    'png-bomb': ('too_large', lambda: png_bomb(32000)),
    'jpeg-bomb': ('too_large', huge_jpeg),
    'truncated-jpeg': ('corrupt', lambda: noise_jpeg(whole=False)),
    'damaged-jpeg': ('corrupt', lambda: noise_jpeg(whole=True)),
    'no-image': ('undecodable', lambda: b'these are no pixels'),
    'empty-compressed': ('empty', lambda: b''),
}


@pytest.mark.parametrize('name', COMPRESSED)
def test_an_unusable_compressed_image_is_counted_and_named(shared, name):
    covers(name)
    kind, make = COMPRESSED[name]
    before = shared.counts[f'bad_{kind}']
    message = CompressedImage(format='jpeg', data=array.array('B', make()))
    shared.send(message)
    shared.wait(lambda: shared.counts[f'bad_{kind}'] == before + 1, f'a bad {kind}')
    still_segments(shared)


def test_any_header_size_step_encoding_and_data(shared):
    covers('any-image')
    small = st.one_of(st.integers(0, 70), st.integers(0, 2**32 - 1))

    @PROPERTY
    @given(
        st.tuples(small, small, small),
        st.one_of(st.sampled_from(sorted(ENCODINGS)), st.text(max_size=12)),
        st.binary(max_size=5000),
        st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**32 - 1)),
        st.integers(0, 255),
    )
    def each(size, encoding, data, stamp, big_endian):
        message = Image(encoding=encoding, data=array.array('B', data), is_bigendian=big_endian)
        message.height, message.width, message.step = size
        message.header.stamp.sec, message.header.stamp.nanosec = stamp
        shared.send(message)
        shared.wait(shared.settled, f'an account of {message.height}x{message.width} {encoding}')

    each()
    still_segments(shared)
    assert shared.node.escaped == 0


def test_any_bytes_as_a_compressed_image(shared):
    covers('any-compressed')
    originals = [jpeg(), cv2.imencode('.png', GREY)[1].tobytes()]

    @PROPERTY
    @given(st.sampled_from(originals), st.data())
    def each(original, data):
        changed_bytes = bytearray(original)
        for _ in range(data.draw(st.integers(0, 6))):
            at = data.draw(st.integers(0, len(original) - 1))
            changed_bytes[at] = data.draw(st.integers(0, 255))
        end = data.draw(st.integers(0, len(original)))
        message = CompressedImage(data=array.array('B', bytes(changed_bytes[:end])))
        message.header.stamp.sec = 1
        shared.send(message)
        shared.wait(shared.settled, 'an account')

    each()
    still_segments(shared)
    assert shared.node.escaped == 0


def test_memory_that_an_image_does_not_find(shared, monkeypatch):
    covers('out-of-memory')

    def no_memory(message):
        raise MemoryError

    monkeypatch.setattr(worker_module, 'to_rgb', no_memory)
    before = shared.counts['bad_memory']
    shared.send(image_message(GREY))
    shared.wait(lambda: shared.counts['bad_memory'] == before + 1, 'the image to be blamed')
    monkeypatch.undo()
    still_segments(shared)


def test_a_library_that_raises_an_unexpected_exception(shared, monkeypatch):
    covers('converter-bug')

    def surprise(message):
        raise AttributeError('inside the library')

    monkeypatch.setattr(worker_module, 'to_rgb', surprise)
    before = shared.counts['bad_undecodable']
    shared.send(image_message(GREY))
    shared.wait(lambda: shared.counts['bad_undecodable'] == before + 1, 'the image to be blamed')
    monkeypatch.undo()
    still_segments(shared)


def test_two_cameras_of_different_sizes_on_one_topic(shared):
    covers('two-sizes')
    shared.node._warned_at.clear()
    shared.said.clear()
    shared.report()
    for number in range(10):
        before = shared.counts['out']
        shared.send(image_message(GREY if number % 2 else GREY[:32], stamp=number + 1))
        shared.wait(lambda before=before: shared.counts['out'] > before, 'its mask')
        if number > 3:
            shared.report()
    said = [report.status[0].message for report in shared.reports]
    assert any('the size of images changed' in message for message in said)
    assert sum('images changed' in said for said in shared.said) == 1
    still_segments(shared)


def test_images_that_come_faster_than_they_are_segmented(shared):
    covers('overload')
    for number in range(200):
        shared.node._on_image(image_message(GREY, stamp=number + 1))
    shared.wait(shared.settled, 'received = published + dropped')
    assert shared.counts['replaced'] > 0
    still_segments(shared)

"""A street recorded in every encoding of colour scores as it does in rgb8."""

from __future__ import annotations

import numpy as np
import pytest
from replay_bags import IMAGE, message, replay, write
from test_encodings import yuv

from edgesegnet_ros.data.encodings import ENCODINGS
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.evaluation.replay import command_options

FRAMES = 1
AS_SHIPPED = ('--engine', 'torch', '--precision', 'fp32', '--num-threads', '1', '--no-flow')
AS_SHIPPED += ('--no-confidence', '--no-pictures', '--no-video', '--no-page', '--no-label-maps')


def packed(rgb, first, second):
    """4:2:2: `first` and `second` are the places of luma and colour in a pixel's two bytes."""
    luma, u, v = yuv(rgb)
    out = np.empty((*luma.shape, 2), np.float32)
    out[..., first] = luma
    out[:, ::2, second] = (u[:, ::2] + u[:, 1::2]) / 2
    out[:, 1::2, second] = (v[:, ::2] + v[:, 1::2]) / 2
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def planar(rgb, swapped):
    luma, u, v = yuv(rgb)
    height, width = luma.shape
    small = [c.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for c in (u, v)]
    colors = np.dstack(small[::-1] if swapped else small).reshape(height // 2, width)
    return np.clip(np.rint(np.vstack([luma, colors])), 0, 255).astype(np.uint8)


ALPHA = np.full((180, 240, 1), 255, np.uint8)
ENCODERS = {
    'rgb8': lambda rgb: rgb,
    'bgr8': lambda rgb: rgb[..., ::-1],
    '8UC3': lambda rgb: rgb[..., ::-1],
    'rgba8': lambda rgb: np.dstack([rgb, ALPHA]),
    'bgra8': lambda rgb: np.dstack([rgb[..., ::-1], ALPHA]),
    **{name: lambda rgb: packed(rgb, 1, 0) for name in ('yuv422', 'uyvy')},
    **{name: lambda rgb: packed(rgb, 0, 1) for name in ('yuv422_yuy2', 'yuyv')},
    'nv12': lambda rgb: planar(rgb, False),
    'nv21': lambda rgb: planar(rgb, True),
}


@pytest.fixture(scope='module')
def scores(tmp_path_factory):
    """Pixel accuracy by encoding: one bag with a camera for each."""
    folder = tmp_path_factory.mktemp('encodings')
    street, messages = Street(7, (180, 240)), []
    for n in range(FRAMES):
        frame, stamp = street.frame(10 * n), 10**9 * (n + 1)
        for encoding, encode in ENCODERS.items():
            image = message(stamp, np.ascontiguousarray(encode(frame.image)), encoding)
            image.height = 180  # a plane of colours is none of its rows
            messages.append((f'/camera_{encoding}/image', IMAGE, stamp, image))
            labels = message(stamp, frame.labels, 'mono8')
            messages.append((f'/camera_{encoding}/labels', IMAGE, stamp, labels))
    bag = write(folder / 'bag', messages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_options, 'BARE_FRAMES', 0)  # the engine alone is not timed
        result = replay(bag, out=folder / 'out', quick=AS_SHIPPED)
    assert result['frames_out'] == FRAMES * len(ENCODERS)
    assert [p['kind'] for p in result['problems']] == ['assumed_encoding']
    return {part['topic'].split('/')[1][7:]: part['pixel_accuracy'] for part in result['parts']}


def test_every_encoding_of_colour_is_here():
    gray = {'mono8', 'mono16', '8UC1', '16UC1'}
    assert set(ENCODERS) == {n for n in ENCODINGS if n not in gray and 'bayer' not in n}


def test_a_street_scores_the_same_in_every_encoding(scores):
    assert set(scores) == set(ENCODERS) and scores['rgb8'] > 0.5
    off = {name: round(100 * abs(score - scores['rgb8']), 2) for name, score in scores.items()}
    assert max(off.values()) <= 0.5, off

"""`edgesegnet data render` and `data to-bag`: what they write is read back equal."""

from __future__ import annotations

import argparse
import json
import shutil

import cv2
import numpy as np
import pytest

pytest.importorskip('rosbags')

from edgesegnet_ros.data import command
from edgesegnet_ros.data.bag import read_frames
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.errors import EdgeSegNetError


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


def test_data_render(tmp_path):
    out, results = tmp_path / 'street', tmp_path / 'out.json'
    assert (
        run(
            'render',
            '--seed',
            4,
            '--frames',
            2,
            '--size',
            '48x64',
            '--rate',
            5,
            '--out',
            out,
            '--json',
            results,
        )
        == 0
    )
    frames = list(read_frames(out))
    np.testing.assert_array_equal(frames[1].image, Street(4, (48, 64)).frame(1, 5.0).image)
    assert frames[1].stamp_ns - frames[0].stamp_ns == 200_000_000
    result = json.loads(results.read_text())
    assert (result['frames'], result['seed'], result['size']) == (2, 4, [48, 64])
    with pytest.raises(EdgeSegNetError, match='--force'):
        run('render', '--frames', 1, '--size', '48x64', '--out', out)


def test_data_render_images_then_to_bag(tmp_path):
    images, out = tmp_path / 'val', tmp_path / 'bag'
    assert (
        run(
            'render',
            '--seed',
            4,
            '--frames',
            2,
            '--size',
            '48x64',
            '--out',
            images,
            '--format',
            'images',
        )
        == 0
    )
    street = Street(4, (48, 64))
    labels = cv2.imread(str(tmp_path / 'valannot' / '000001.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(labels, street.frame(1).labels)
    labels[:5] = 11  # CamVid's void
    cv2.imwrite(str(tmp_path / 'valannot' / '000001.png'), labels)
    assert run('to-bag', images, '--out', out, '--storage', 'sqlite3') == 0
    frames = list(read_frames(out))
    np.testing.assert_array_equal(frames[1].image, street.frame(1).image)
    assert (frames[1].labels[:5] == 255).all()
    np.testing.assert_array_equal(frames[1].labels[5:], labels[5:])
    assert frames[1].stamp_ns - frames[0].stamp_ns == 10**9
    (tmp_path / 'valannot' / '000001.png').unlink()
    with pytest.raises(EdgeSegNetError, match=r'no labels for 1 of 2 images, .*000001\.png'):
        run('to-bag', images, '--out', out, '--force')
    shutil.rmtree(tmp_path / 'valannot')
    assert run('to-bag', images, '--out', out, '--force') == 0
    assert next(read_frames(out)).labels is None
    (images / '000000.png').write_bytes(b'broken')
    with pytest.raises(EdgeSegNetError, match=r'000000\.png: not an image'):
        run('to-bag', images, '--out', tmp_path / 'other')
    assert not (tmp_path / 'other').exists()


@pytest.mark.parametrize(
    'words',
    [
        ['--size', '48'],
        ['--size', '8x64'],
        ['--frames', '0'],
        ['--rate', '0'],
        ['--rate', 'nan'],
        ['--seed', '-1'],
        ['--format', 'gif'],
        ['--storage', 'zip'],
    ],
)
def test_wrong_options_are_refused(words, tmp_path):
    with pytest.raises(SystemExit) as caught:
        run('render', '--out', tmp_path / 'x', *words)
    assert caught.value.code == 2
    assert not (tmp_path / 'x').exists()

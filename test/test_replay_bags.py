"""Replay over bags as they are: storages, compression, cameras, damage; each figure by value."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import struct

import cv2
import numpy as np
import pytest

pytest.importorskip('rosbags')

from replay_bags import (
    IMAGE,
    SIZE,
    TYPES,
    frames,
    kinds,
    message,
    picture,
    replay,
    truth,
    write,
)

from edgesegnet_ros import cli
from edgesegnet_ros.evaluation.replay.label_maps import LabelMaps
from edgesegnet_ros.evaluation.replay.result import ReplayResult


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """What an undamaged bag of nine frames gives."""
    folder = tmp_path_factory.mktemp('whole')
    return replay(write(folder / 'bag', frames(9)), out=folder / 'out')


def label_maps(result: dict) -> list[np.ndarray]:
    from pathlib import Path

    maps = LabelMaps(Path(result['folder'], result['label_maps']))
    return [each.labels for each in maps]


def test_figures_by_hand(whole):
    assert (whole['frames_in'], whole['frames_out'], whole['dropped']) == (9, 9, 0)
    assert whole['problems'] == [] and whole['frames_scored'] == 9
    maps = label_maps(whole)
    digest = hashlib.sha256()
    for labels in maps:
        digest.update(struct.pack('<II', *labels.shape) + labels.tobytes())
    assert whole['labels_sha256'] == digest.hexdigest()
    right = sum(int((labels == n % 11).sum()) for n, labels in enumerate(maps))
    assert whole['pixel_accuracy'] == pytest.approx(right / (9 * 48 * 64))
    shares = np.bincount(np.concatenate([m.ravel() for m in maps]), minlength=11) / (9 * 48 * 64)
    assert list(whole['fractions'].values()) == pytest.approx(shares.tolist())
    assert sum(whole['confidence_histogram']) == 9 * 48 * 64
    assert 0 <= whole['ece'] <= 1 and 0 < whole['mean_confidence'] <= 1
    assert len(whole['series']['t_s']) == 9
    assert whole['series']['t_s'] == pytest.approx([n / 10 for n in range(9)])
    assert whole['duration_s'] == pytest.approx(0.8)
    assert set(whole['latency_ms']) == {'p50', 'p95', 'p99', 'mean', 'max'}
    assert whole['provenance']['engine']['engine'] == 'torch'
    assert len(whole['provenance']['weights']['sha256']) == 64
    assert whole['engine_share'] > 0 and whole['bare_rate_hz'] > 0


def test_two_runs_are_bit_identical(whole, tmp_path):
    again = replay(write(tmp_path / 'bag', frames(9)), out=tmp_path / 'out')
    assert again['labels_sha256'] == whole['labels_sha256']
    for name in (
        'pixel_accuracy',
        'miou',
        'iou',
        'confusion',
        'ece',
        'temporal_consistency',
        'flicker',
        'fractions',
        'confidence_histogram',
        'tallies',
    ):
        assert again[name] == whole[name], name


@pytest.mark.parametrize(
    'storage,compression',
    [
        ('sqlite3', None),
        ('mcap', 'message'),
        ('sqlite3', 'file'),
        ('mcap', 'storage'),
    ],
)
def test_storages_and_compressions_are_one(whole, tmp_path, storage, compression):
    bag = write(tmp_path / 'bag', frames(9), storage, compression)
    result = replay(bag, '--no-flow', '--no-confidence', out=tmp_path / 'out')
    assert result['labels_sha256'] == whole['labels_sha256'] and result['problems'] == []
    assert result['temporal_consistency'] is None and result['costs_s']['flow'] == 0.0
    assert result['ece'] is None and result['confidence_histogram'] is None


def test_ros_1_and_compressed_images(whole, tmp_path):
    from rosbags.rosbag1 import Writer

    types = __import__('rosbags.typesys', fromlist=['get_typestore'])
    store = types.get_typestore(types.Stores.ROS1_NOETIC)
    kind = 'sensor_msgs/msg/CompressedImage'
    with Writer(tmp_path / 'old.bag') as writer:
        topic = writer.add_connection('/camera/image/compressed', kind, typestore=store)
        for n in range(9):
            png = cv2.imencode('.png', picture(n)[..., ::-1])[1].ravel()
            time = store.types['builtin_interfaces/msg/Time'](1, n * 10**8)
            header = store.types['std_msgs/msg/Header'](n, time, 'front')
            body = store.types[kind](header, 'rgb8; png compressed bgr8', png)
            writer.write(topic, 10**9 + n * 10**8, store.serialize_ros1(body, kind))
    bag = tmp_path / 'results.mcap'
    left = tmp_path / '.results.partial'  # by a process that was killed
    left.mkdir()
    (left / 'metadata.yaml').touch()
    result = replay(tmp_path / 'old.bag', '--no-flow', '--write-bag', bag, out=tmp_path / 'out')
    assert result['labels_sha256'] == whole['labels_sha256']
    assert result['pixel_accuracy'] is None and result['topic'] == '/camera/image/compressed'
    assert not left.exists()
    again = replay(bag, '--no-flow', out=tmp_path / 'again')  # its own outputs are no cameras
    assert again['labels_sha256'] == whole['labels_sha256']
    assert 'an output of a segmentation node' in ' '.join(again['notes'])
    # Cut off before its index, as a robot that lost its power leaves it.
    data = (tmp_path / 'old.bag').read_bytes()
    (tmp_path / 'cut.bag').write_bytes(data[:-600])
    cut = replay(tmp_path / 'cut.bag', '--no-flow', out=tmp_path / 'cut', status=1)
    assert kinds(cut) == ['truncated'] and cut['labels_sha256'] == whole['labels_sha256']


def test_split_without_metadata(whole, tmp_path):
    folder = tmp_path / 'drive'
    folder.mkdir()
    for part in range(3):
        one = write(tmp_path / f'part{part}', frames(3, 3 * part))
        (one / f'part{part}.mcap').rename(folder / f'drive_{part}.mcap')
    result = replay(folder, '--no-flow', out=tmp_path / 'out')
    assert result['labels_sha256'] == whole['labels_sha256']
    assert kinds(result) == ['no_index'] and result['frames_in'] == 9


def test_a_missing_part_is_named(tmp_path):
    """metadata.yaml of two files, of which one was not copied."""
    bag = write(tmp_path / 'drive', frames(4))
    told = (bag / 'metadata.yaml').read_text()
    (bag / 'metadata.yaml').write_text(
        told.replace('relative_file_paths:', 'relative_file_paths:\n  - drive_0.mcap').replace(
            'message_count: 4', 'message_count: 7'
        )
    )
    result = replay(bag, '--no-flow', out=tmp_path / 'out', status=1)
    assert kinds(result) == ['truncated', 'truncated'] and result['frames_out'] == 4
    assert 'drive_0.mcap' in result['problems'][0]['what']
    assert result['frames_in'] == 7 and result['dropped'] == result['problems'][1]['frames'] == 3


def test_types_as_other_recorders_spell_them(whole, tmp_path):
    bag = write(tmp_path / 'bag', frames(9), 'sqlite3') / 'bag.db3'
    with sqlite3.connect(bag) as database:
        database.execute(
            "UPDATE topics SET type = replace(type, '/msg/', '/'), type_description_hash = ''"
        )
        database.execute(
            "UPDATE message_definitions SET topic_type = replace(topic_type, '/msg/', '/')"
        )
    database.close()
    result = replay(bag, out=tmp_path / 'out')
    assert result['labels_sha256'] == whole['labels_sha256']
    assert result['confusion'] == whole['confusion'] and result['problems'] == []


def test_an_mcap_without_an_index(whole, tmp_path):
    bag = write(tmp_path / 'bag', frames(9))
    data = (bag / 'bag.mcap').read_bytes()
    (summary,) = struct.unpack('<Q', data[-28:-20])
    footer = b'\x02' + struct.pack('<QQQI', 20, 0, 0, 0) + b'\x89MCAP0\r\n'
    (tmp_path / 'x.mcap').write_bytes(data[:summary] + footer)
    result = replay(tmp_path / 'x.mcap', '--no-flow', out=tmp_path / 'out')
    assert result['labels_sha256'] == whole['labels_sha256'] and kinds(result) == ['no_index']


def large(count=40):
    """More than a chunk, or a page, of an MCAP or a database."""
    return frames(count, size=(96, 128))


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_truncated_bag_is_read_to_its_end_and_reported(tmp_path, storage):
    bag = write(tmp_path / 'bag', large(), storage)
    whole = replay(bag, '--no-flow', out=tmp_path / 'whole')
    file = next(path for path in bag.iterdir() if path.suffix != '.yaml')
    os.truncate(file, int(file.stat().st_size * 0.6))
    result = replay(bag, '--no-flow', out=tmp_path / 'out', status=1)
    out = result['frames_out']
    assert 15 < out < 30 and result['frames_in'] == 40 and result['dropped'] == 40 - out
    assert result['drops'] == {'unreadable': 40 - out}
    assert set(kinds(result)) == {'truncated'}
    told = ' '.join(problem['what'] for problem in result['problems'])
    assert f'{40 - out} of the 40 images that the bag announces could not be read' in told
    for ours, theirs in zip(label_maps(result), label_maps(whole)[:out], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # The file alone does not know how many there were.
    os.rename(file, tmp_path / file.name)
    alone = replay(tmp_path / file.name, '--no-flow', out=tmp_path / 'alone', status=1)
    assert alone['frames_in'] == alone['frames_out'] == out
    assert kinds(alone) == ['truncated'] and 'cut off' in alone['problems'][0]['what']


def test_nothing_left_is_a_sentence(tmp_path, capsys):
    (tmp_path / 'x.mcap').write_bytes(b'\x89MCAP0\r\n')
    (tmp_path / 'y.db3').write_bytes(b'not a database' * 99)
    (tmp_path / 'z.bag').write_bytes(b'#ROSBAG V2.0\n')
    for name, said in (('x.mcap', []), ('y.db3', []), ('z.bag', ['truncated'])):
        result = replay(tmp_path / name, out=tmp_path / 'out', status=1)
        assert kinds(result) == [*said, 'unreadable'] and result['frames_in'] == 0
        assert result['pixel_accuracy'] is None and result['latency_ms'] is None
        assert name in capsys.readouterr().err
    assert cli.main(['replay', str(tmp_path / 'none'), '--out', str(tmp_path)]) == 2
    assert 'no such file or folder' in capsys.readouterr().err


def test_a_truncated_bag_without_images_is_reported_as_truncated(tmp_path):
    """Its cameras may have been in what is lost."""
    text = TYPES.types['std_msgs/msg/String']('hello' * 99)
    bag = write(
        tmp_path / 'bag', [('/chatter', 'std_msgs/msg/String', n, text) for n in range(3000)]
    )
    data = (bag / 'bag.mcap').read_bytes()
    (tmp_path / 'cut.mcap').write_bytes(data[: len(data) * 8 // 10])
    result = replay(tmp_path / 'cut.mcap', out=tmp_path / 'out', status=1)
    assert kinds(result) == ['truncated', 'unreadable']
    assert '/chatter' in result['problems'][1]['what'] and result['labels_sha256'] is None


def test_no_images_and_other_types(tmp_path):
    empty = write(tmp_path / 'empty', [])
    text = TYPES.types['std_msgs/msg/String']('hello')
    with_text = write(tmp_path / 'text', [('/chatter', 'std_msgs/msg/String', 1, text)])
    for bag in (empty, with_text):
        result = replay(bag, out=tmp_path / 'out', status=1)
        assert kinds(result) == ['unreadable']
        assert 'has no topic of sensor_msgs/msg/Image' in result['problems'][0]['what']
    result = replay(with_text, '--topic', '/chatter', out=tmp_path / 'out', status=1)
    assert '/chatter is of std_msgs/msg/String' in result['problems'][0]['what']
    with sqlite3.connect(write(tmp_path / 'none', frames(2), 'sqlite3') / 'none.db3') as database:
        database.execute('DELETE FROM messages')
    database.close()
    result = replay(tmp_path / 'none' / 'none.db3', out=tmp_path / 'out', status=1)
    assert kinds(result) == ['no_images'] and result['frames_in'] == result['frames_out'] == 0
    assert result['rate_hz'] is None and result['temporal_consistency'] is None


def test_messages_that_cannot_be_used_are_counted(tmp_path):
    messages = frames(6)
    short = message(1_200_000_000, picture(2))
    short.data = short.data[:50].copy()
    messages[4] = (*messages[4][:3], short)
    result = replay(write(tmp_path / 'bag', messages), out=tmp_path / 'out', status=1)
    assert (result['frames_in'], result['frames_out'], result['frames_scored']) == (6, 5, 5)
    assert kinds(result) == ['bad_image'] and 'message 2' in result['problems'][0]['where']
    assert result['problems'][0]['frames'] == 1 and result['drops'] == {'unreadable': 1}
    assert [each.index for each in LabelMaps(tmp_path / 'out' / result['label_maps'])] == [
        0,
        1,
        3,
        4,
        5,
    ]


def test_unusual_stamps_and_sizes_are_evaluated_and_reported(tmp_path):
    stamps = [10, 20, 30, 25, 40, 0, 60]
    sizes = [SIZE] * 4 + [(32, 32)] * 3
    messages = [
        ('/image', IMAGE, (n + 1) * 10, message(stamp, picture(n, size)))
        for n, (stamp, size) in enumerate(zip(stamps, sizes, strict=True))
    ]
    messages[5] = ('/image', IMAGE, 50, messages[5][3])
    result = replay(write(tmp_path / 'bag', messages), out=tmp_path / 'out')
    assert result['frames_out'] == 7 and result['dropped'] == 0
    found = {p['kind']: (p['frames'], p['where']) for p in result['problems']}
    assert {kind: count for kind, (count, _) in found.items()} == {
        'out_of_order': 1,
        'resolution_changes': 1,
        'no_stamp': 1,
    }
    assert 'image 3' in found['out_of_order'][1] and 'image 4' in found['resolution_changes'][1]
    assert [each.labels.shape for each in LabelMaps(tmp_path / 'out' / result['label_maps'])] == (
        sizes
    )
    assert result['tallies']['pairs_skipped'] == 2 and result['consistency_pairs'] == 4


def test_cameras_have_their_own_figures(whole, tmp_path):
    depth = [('/depth/image', IMAGE, 5, message(5, np.zeros((4, 4), np.uint16), '16UC1'))]
    messages = frames(9) + frames(4, 20, topic='/rear', labels=False) + depth
    messages[-1][3].step, messages[-1][3].data = 8, np.zeros(32, np.uint8)
    bag = write(tmp_path / 'bag', sorted(messages, key=lambda each: each[2]))
    result = replay(bag, out=tmp_path / 'out')
    front, rear = result['parts']
    assert (front['topic'], rear['topic']) == ('/camera/image', '/rear/image')
    assert front['labels_sha256'] == whole['labels_sha256']
    assert front['pixel_accuracy'] == whole['pixel_accuracy'] == result['pixel_accuracy']
    assert rear['pixel_accuracy'] is None and rear['frames_out'] == 4
    assert result['frames_out'] == 13 and result['topic'] is None
    both = (front['labels_sha256'] + rear['labels_sha256']).encode()
    assert result['labels_sha256'] == hashlib.sha256(both).hexdigest()
    assert any('/depth/image is skipped: depth' in note for note in result['notes'])
    rear_result = ReplayResult.read(tmp_path / 'out' / rear['result'])
    assert rear_result.frames.frames_out == 4 and rear_result.source.labels_from is None
    one = replay(bag, '--topic', '/rear/image', out=tmp_path / 'one')
    assert one['labels_sha256'] == rear['labels_sha256']


def test_labels_in_a_folder(whole, tmp_path):
    bag = write(tmp_path / 'bag', frames(9, labels=False))
    for style, name in {
        'ns': lambda n: f'{10**18 + n}',
        'number': lambda n: f'frame_{n:04d}',
        'seconds': lambda n: f'label-1.{n}' if False else f'{n}',
    }.items():
        folder = tmp_path / style
        folder.mkdir()
        for n in range(9):
            cv2.imwrite(str(folder / f'{name(n)}.png'), truth(n))
        if style == 'ns':
            continue
        result = replay(bag, '--labels', folder, '--no-flow', out=tmp_path / 'out')
        assert result['pixel_accuracy'] == whole['pixel_accuracy']
        assert result['confusion'] == whole['confusion'] and result['frames_scored'] == 9
    result = replay(bag, '--labels', tmp_path / 'ns', '--no-flow', out=tmp_path / 'out', status=1)
    assert kinds(result) == ['labels_unmatched'] and result['miou'] is None
    assert result['frames_out'] == 9 and 'no label of' in result['problems'][0]['what']


def test_few_labels_are_reported(tmp_path):
    messages = [m for n, m in enumerate(frames(6)) if m[0].endswith('image') or n == 5]
    result = replay(write(tmp_path / 'bag', messages), '--no-flow', out=tmp_path / 'out')
    assert result['frames_scored'] == 1 and result['frames_out'] == 6
    assert sum(map(sum, result['confusion'])) == 48 * 64


def test_disagreement_with_itself_is_none(whole, tmp_path):
    bag = write(tmp_path / 'bag', frames(3))
    result = replay(
        bag,
        '--against',
        'edgesegnet-camvid11,torch,fp32',
        '--unlabeled-below',
        '0.3',
        out=tmp_path / 'out',
    )
    unlabelled = result['fractions'].get('unlabelled', 0.0)
    assert result['disagreement']['pixels'] == pytest.approx(unlabelled)
    assert result['costs_s']['against'] > 0


def test_gates(tmp_path, capsys):
    bag = write(tmp_path / 'bag', frames(2))
    assert replay(bag, '--fail-if', 'frames_out<2', out=tmp_path / 'out')['frames_out'] == 2
    replay(bag, '--fail-if', 'frames_out>=2', out=tmp_path / 'out', status=1)
    assert 'frames_out>=2 fired' in capsys.readouterr().err
    replay(bag, '--fail-if', 'age_ms.p95>1', out=tmp_path / 'out', status=2)
    with pytest.raises(SystemExit) as ended:
        replay(bag, '--fail-if', 'nonsense', out=tmp_path / 'out')
    assert ended.value.code == 2

"""Replay and evaluate give the same figures: on the street, and on CamVid turned into a bag."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rosbags')

from replay_bags import QUICK, RULES, frames, replay, rule_words, write, written

from edgesegnet_ros import cli

SAME = ('--engine', 'torch', '--precision', 'fp32', '--num-threads', '1')


def check(folder: Path, bag: Path, size: str) -> None:
    """Both commands on one folder in CamVid's layout."""
    file = bag.with_suffix('.json')
    assert (
        cli.main(
            [
                'evaluate',
                '--data',
                str(folder),
                '--split',
                'val',
                *SAME,
                '--input-size',
                size,
                '--json',
                str(file),
            ]
        )
        == 0
    )
    expected = json.loads(file.read_text())
    assert cli.main(['data', 'to-bag', str(folder / 'val'), '--out', str(bag)]) == 0
    got = replay(
        bag,
        out=bag.with_suffix('.out'),
        quick=(
            *SAME,
            '--input-size',
            size,
            '--no-pictures',
            '--no-video',
            '--no-page',
            '--no-flow',
        ),
    )
    assert got['frames_scored'] == expected['images'] > 0
    assert got['pixel_accuracy'] == expected['pixel_accuracy']
    assert got['miou'] == expected['miou'] and got['iou'] == expected['iou']
    assert got['ece'] == pytest.approx(expected['ece'], abs=1e-9)


def test_on_the_street(tmp_path):
    for split in ('train', 'val', 'test'):
        assert (
            cli.main(
                [
                    'data',
                    'render',
                    '--seed',
                    '7',
                    '--frames',
                    '3',
                    '--size',
                    '96x128',
                    '--format',
                    'images',
                    '--out',
                    str(tmp_path / 'street' / split),
                ]
            )
            == 0
        )
    check(tmp_path / 'street', tmp_path / 'bag', '64x64')


def test_on_camvid(camvid, tmp_path):
    """A handful of its images: the copies stay in the temporary folder."""
    for split in ('train', 'val', 'test'):
        for path in sorted((camvid / split).glob('*.png'))[:5]:
            for folder, source in (
                (split, path),
                (split + 'annot', camvid / (split + 'annot') / path.name),
            ):
                (tmp_path / 'camvid' / folder).mkdir(parents=True, exist_ok=True)
                shutil.copy(source, tmp_path / 'camvid' / folder)
    check(tmp_path / 'camvid', tmp_path / 'bag', '128x128')


def test_the_bag_of_a_street_replays_as_it_was_rendered(tmp_path):
    assert (
        cli.main(
            [
                'data',
                'render',
                '--seed',
                '7',
                '--frames',
                '4',
                '--size',
                '96x128',
                '--out',
                str(tmp_path / 'street'),
            ]
        )
        == 0
    )
    got = replay(
        tmp_path / 'street', '--write-bag', tmp_path / 'results', out=tmp_path / 'out', quick=QUICK
    )
    assert got['frames_scored'] == 4 and got['problems'] == []
    from rosbags.highlevel import AnyReader

    with AnyReader([tmp_path / 'results']) as reader:
        counts = {c.topic: (c.msgcount, c.msgtype) for c in reader.connections}
        assert counts == {
            '/camera/image': (4, 'sensor_msgs/msg/Image'),
            '/camera/camera_info': (4, 'sensor_msgs/msg/CameraInfo'),
            '/camera/segmentation/mask': (4, 'sensor_msgs/msg/Image'),
            '/camera/segmentation/confidence': (4, 'sensor_msgs/msg/Image'),
            '/camera/segmentation/label_info': (1, 'vision_msgs/msg/LabelInfo'),
            '/camera/segmentation/class_masks': (4, 'edgesegnet_ros/msg/ClassMasks'),
        }
        latched = next(c for c in reader.connections if c.topic.endswith('label_info'))
        assert latched.ext.offered_qos_profiles[0].durability.name == 'TRANSIENT_LOCAL'
        found: dict = {}
        for connection, _, data in reader.messages():
            body = reader.deserialize(data, connection.msgtype)
            found.setdefault(connection.topic.rsplit('/', 1)[1], []).append(body)
    names = {entry.class_id: entry.class_name for entry in found['label_info'][0].class_map}
    assert names[0] == 'sky' and len(names) == 11
    for image, mask, confidence, groups in zip(
        found['image'], found['mask'], found['confidence'], found['class_masks'], strict=True
    ):
        assert image.header == mask.header == confidence.header == groups.header
        assert (mask.encoding, mask.step, mask.width) == ('mono8', 128, 128)
        labels = mask.data.reshape(96, 128)
        for group in groups.masks:
            inside = group.mask.data.reshape(96, 128) == 255
            expected = (labels[..., None] == group.class_ids).any(-1)
            assert (inside == expected).all()
            assert group.coverage == pytest.approx(expected.mean())


def test_masks_of_groups_follow_the_rules_that_the_node_has(tmp_path):
    bag = write(tmp_path / 'bag', frames(2))
    options = ('--no-flow', '--no-label-maps', '--unlabeled-below', 0.35, *rule_words())
    replay(bag, *options, '--write-bag', tmp_path / 'results', out=tmp_path / 'out')
    found = written(tmp_path / 'results')
    for stamp, together in found['class_masks'].items():
        labels = found['mask'][stamp].data
        confidence = found['confidence'][stamp].data / 255.0
        groups = {group.name: group for group in together.masks}
        assert set(RULES) < set(groups)
        for name, group in groups.items():
            inside, threshold = RULES.get(name, (False, 0.0))
            uncertain = (labels == 255) | (confidence < threshold)
            assert uncertain.any() and not uncertain.all()
            expected = np.where(uncertain, inside, np.isin(labels, group.class_ids))
            assert np.array_equal(group.mask.data == 255, expected), name


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['--min-confidence', 'drivable=2'], '--min-confidence drivable=2: GROUP=VALUE'),
        (['--min-confidence', 'drivable'], '--min-confidence drivable: GROUP=VALUE'),
        (['--min-confidence', 'drivable=nan'], '--min-confidence drivable=nan: GROUP=VALUE'),
        (['--min-confidence', 'roads=0.5'], "no group 'roads'; there are drivable"),
        (['--unlabeled-inside', 'roads'], "no group 'roads'; there are drivable"),
        (['--min-confidence', 'drivable=0.5', '--no-confidence'], 'leave --no-confidence out'),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(tmp_path, capsys, words, said):
    bag = write(tmp_path / 'bag', frames(1))
    given = ['replay', str(bag), '--out', str(tmp_path), '--write-bag', str(tmp_path / 'results')]
    assert cli.main([*given, *words]) == 2
    assert said in capsys.readouterr().err
    assert cli.main([*given[:-2], '--unlabeled-inside', 'drivable']) == 2
    assert 'are written by --write-bag and --rerun' in capsys.readouterr().err


def test_types_are_those_of_the_messages():
    """The definitions in a bag of results are the package's own .msg files."""
    from edgesegnet_ros.evaluation.replay.result_bag import DEFINITIONS

    root = Path(__file__).parents[1]
    for name, text in DEFINITIONS.items():
        package, _, kind = name.split('/')
        folder = root / 'msg' if package == 'edgesegnet_ros' else root / 'wheels' / package / 'msg'
        lines = (folder / f'{kind}.msg').read_text().splitlines()
        fields = [line.strip() for line in lines if line.strip() and not line.startswith('#')]
        theirs = [field.split() for field in fields]
        ours = [field.split() for field in text.splitlines()]
        assert [f[1] for f in ours] == [f[1] for f in theirs]
        assert [f[0].split('/')[-1] for f in ours] == [f[0].split('/')[-1] for f in theirs]

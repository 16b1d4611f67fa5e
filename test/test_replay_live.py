"""Replay against the real node: drops, age and jitter, and the figures of what came out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip('rosbags')
pytest.importorskip('rclpy')

from replay_bags import QUICK, RULES, frames, kinds, replay, rule_words, write, written

from edgesegnet_ros.evaluation.replay.label_maps import LabelMaps

pytestmark = pytest.mark.node


def test_live_replay_equals_a_run_on_a_robot(tmp_path):
    """Frames come faster than the node goes: some are dropped, all are accounted for.

    They come for a fifth of a second: the node may learn of the player later than it of the node.
    Inference takes several times as long as the 5 ms between two frames on any CPU's one core.
    """
    bag = write(tmp_path / 'bag', frames(40, size=(96, 128)))
    options = ('--no-flow', '--input-size', '128x128', *rule_words())
    results = {name: tmp_path / f'{name}_results' for name in ('offline', 'live')}
    offline = replay(bag, '--write-bag', results['offline'], *options, out=tmp_path / 'offline')
    live = replay(
        bag,
        '--live',
        '--rate',
        20,
        '--write-bag',
        results['live'],
        *options,
        out=tmp_path / 'live',
    )
    assert live['mode'] == 'live' and live['labels_sha256'] is None
    assert live['frames_in'] == 40 and live['dropped'] > 0
    assert live['dropped'] == 40 - live['frames_out'] == sum(live['drops'].values())
    assert live['frames_scored'] == live['frames_out']
    assert kinds(live) == ['dropped']
    # Percentiles of different sets: the node's of all it sent, the ages of what arrived.
    assert live['age_ms']['p50'] > 0 and live['latency_ms']['p50'] > 0
    assert live['provenance']['engine']['engine'] == 'torch'
    assert not [*tmp_path.rglob('masks.zip'), *tmp_path.rglob('confidence.zip')]
    (parameters,) = tmp_path.rglob('live/parameters.yaml')
    given = yaml.safe_load(parameters.read_text())['/**']['ros__parameters']
    for group, (inside, threshold) in RULES.items():
        assert given.get(f'group.{group}.unlabeled', 'outside') == ('outside', 'inside')[inside]
        assert given.get(f'group.{group}.min_confidence', 0.0) == threshold

    def maps(result):
        found = LabelMaps(Path(result['folder'], result['label_maps']))
        return {each.stamp_ns: each.labels for each in found}

    theirs, ours = maps(offline), maps(live)
    assert len(theirs) == 40 and len(ours) == live['frames_out']
    # The middleware may lose any frame before the node, the last one, too.
    if 'unaccounted' not in live['drops']:
        assert max(ours) == max(theirs), 'nothing is newer than the last frame'
    for stamp, labels in ours.items():
        np.testing.assert_array_equal(labels, theirs[stamp])
    groups, of_live = (written(results[name])['class_masks'] for name in ('offline', 'live'))
    assert set(of_live) == set(ours)
    for stamp, together in of_live.items():
        for one, other in zip(together.masks, groups[stamp].masks, strict=True):
            assert one.name == other.name and one.coverage == other.coverage
            np.testing.assert_array_equal(one.mask.data, other.mask.data)


def test_a_node_that_cannot_start_reports_the_reason(tmp_path, capsys):
    bag = write(tmp_path / 'bag', frames(2))
    from edgesegnet_ros import cli

    words = [word if word != 'fp32' else 'fp16' for word in QUICK]  # emulated on a CPU: refused
    status = cli.main(
        [
            'replay',
            str(bag),
            '--live',
            *words,
            '--device',
            'cuda:63',
            '--out',
            str(tmp_path / 'out'),
        ]
    )
    assert status == 1 and 'cuda:63' in capsys.readouterr().err
    assert not list((tmp_path / 'out').rglob('replay.json'))

"""Replay against the real node: drops, age and jitter, and the figures of what came out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rosbags')
pytest.importorskip('rclpy')

from replay_bags import QUICK, frames, kinds, replay, write

from edgesegnet_ros.evaluation.replay.label_maps import LabelMaps

pytestmark = pytest.mark.node


def test_live_sees_what_a_robot_would(tmp_path):
    """Frames come faster than the node goes: some are dropped, all are accounted for.

    They come for a fifth of a second: the node may learn of the player later than it of the node.
    Inference takes several times as long as the 5 ms between two frames on any CPU's one core.
    """
    bag = write(tmp_path / 'bag', frames(40, size=(96, 128)))
    options = ('--no-flow', '--input-size', '128x128')
    offline = replay(bag, *options, out=tmp_path / 'offline')
    live = replay(bag, '--live', '--rate', 20, *options, out=tmp_path / 'live')
    assert live['mode'] == 'live' and live['labels_sha256'] is None
    assert live['frames_in'] == 40 and live['dropped'] > 0
    assert live['dropped'] == 40 - live['frames_out'] == sum(live['drops'].values())
    assert live['frames_scored'] == live['frames_out']
    assert kinds(live) == ['dropped']
    # Percentiles of different sets: the node's of all it sent, the ages of what arrived.
    assert live['age_ms']['p50'] > 0 and live['latency_ms']['p50'] > 0
    assert live['provenance']['engine']['engine'] == 'torch'
    assert not list(tmp_path.rglob('masks.zip'))

    def maps(result):
        found = LabelMaps(Path(result['folder'], result['label_maps']))
        return {each.stamp_ns: each.labels for each in found}

    theirs, ours = maps(offline), maps(live)
    assert len(theirs) == 40 and len(ours) == live['frames_out']
    assert max(ours) == max(theirs), 'nothing is newer than the last frame, so it is segmented'
    for stamp, labels in ours.items():
        np.testing.assert_array_equal(labels, theirs[stamp])


def test_a_node_that_cannot_start_says_why(tmp_path, capsys):
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

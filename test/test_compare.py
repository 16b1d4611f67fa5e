"""`edgesegnet replay --compare`: pixels and classes by hand, and what cannot be compared."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from edgesegnet_ros import cli
from edgesegnet_ros.evaluation.replay.compare import compare, figures
from edgesegnet_ros.evaluation.replay.label_maps import LABEL_MAPS_NAME, LabelMapWriter
from edgesegnet_ros.evaluation.replay.result import RESULT_NAME, ReplayError, ReplayResult
from edgesegnet_ros.evaluation.replay.tallies import Tallies

NAMES = ['road', 'car', 'tree']
BEFORE = dict(
    bags=['/drives/monday.mcap'],
    topic='/camera/image',
    labels_from='/labels',
    frames_in=3,
    frames_out=3,
    frames_scored=3,
    labels_sha256='a',
    latency_ms={'p50': 20.0, 'p95': 40.0, 'p99': 41.0},
    classes=NAMES,
    colors={n: [9 * i, 99, 200] for i, n in enumerate(NAMES)},
    pixel_accuracy=0.9,
    miou=0.6,
    iou={'road': 0.9, 'car': 0.3, 'tree': None},
    provenance={'weights': {'sha256': 'one'}, 'engine': {'engine': 'torch', 'precision': 'fp32'}},
)
AFTER = dict(
    BEFORE,
    labels_sha256='b',
    latency_ms={'p50': 10.0, 'p95': 30.0, 'p99': 31.0},
    miou=0.65,
    iou={'road': 0.9, 'car': 0.4, 'tree': None},
    provenance={'weights': {'sha256': 'two'}, 'engine': {'engine': 'torch', 'precision': 'fp32'}},
)


def kept(folder: Path, result: dict, maps: dict[int, np.ndarray], start: int = 10) -> Path:
    """A result on disk, as a replay leaves it."""
    folder.mkdir()
    writer = LabelMapWriter(folder / LABEL_MAPS_NAME)
    for index, labels in maps.items():
        writer.add(index, start + index, labels)
    writer.close(True)
    written = dict(result, label_maps=LABEL_MAPS_NAME, folder=str(folder))
    ReplayResult.from_values(written).write(folder / RESULT_NAME)
    return folder


def road(cars: int = 0) -> np.ndarray:
    labels = np.zeros((4, 10), np.uint8)
    labels.flat[:cars] = 1
    return labels


@pytest.fixture
def both(tmp_path):
    return (
        kept(tmp_path / 'a', BEFORE, {0: road(), 1: road(4), 2: road(10)}),
        kept(tmp_path / 'b', AFTER, {0: road(), 1: road(2), 3: road()}),
    )


def test_by_hand(both):
    told = figures(compare(*both))
    # Frames 0 and 1 are in both: 80 pixels, of which 2 cars of frame 1 became road.
    assert told['frames_compared'] == 2 and told['frames_equal'] == 1
    assert told['frames_left_out'] == 2 and told['labels_equal'] is False
    assert told['pixels_changed'] == pytest.approx(2 / 80)
    assert told['transitions'][1] == [2, 2, 0, 0]
    assert told['classes']['car']['changed'] == 0.5 and told['classes']['road']['changed'] == 0.0
    assert told['classes']['tree']['changed'] is None
    assert told['classes']['car']['iou']['change'] == pytest.approx(0.1)
    assert told['classes']['tree']['iou'] == {'a': None, 'b': None, 'change': None}
    assert told['figures']['latency_ms.p95'] == {'a': 40.0, 'b': 30.0, 'change': -10.0}
    assert told['most_changed'] == [
        {'bag': 'monday.mcap /camera/image', 'index': 1, 'changed': pytest.approx(0.05)}
    ]
    assert told['made_differently'] == {'weights.sha256': ['one', 'two']}


def test_the_command_writes_text_json_and_page_and_judges_gates(both, tmp_path, capsys):
    words = ['replay', '--compare', *map(str, both), '--out', str(tmp_path / 'c')]
    assert (
        cli.main(
            [*words, '--fail-if', 'classes.car.iou.change<0', '--json', str(tmp_path / 'c.json')]
        )
        == 0
    )
    text = capsys.readouterr().out
    assert '2.50' in text and 'mIoU rose by 5.00 points' in text and 'weights.sha256' in text
    told = json.loads((tmp_path / 'c/compare.json').read_text())
    assert told == json.loads((tmp_path / 'c.json').read_text())
    page = Path(told['report']).read_text()
    assert 'What changed' in page and page.count('<img src="data:') == 3
    assert cli.main([*words, '--fail-if', 'pixels_changed>0.01']) == 1
    assert 'pixels_changed>0.01 fired' in capsys.readouterr().out
    assert cli.main([*words, '--fail-if', 'classes.tree.iou.change<0']) == 2


def test_a_run_compared_with_itself(both):
    told = figures(compare(both[0], both[0] / RESULT_NAME))
    assert told['pixels_changed'] == 0.0 and told['labels_equal'] is True
    assert told['most_changed'] == [] and told['made_differently'] == {}


def test_merged_results_are_compared_bag_by_bag(both, tmp_path):
    tops = []
    for name, camera_result in zip('ab', both, strict=True):
        part = {
            'bag': '/drives/monday.mcap',
            'topic': '/camera/image',
            'result': f'../{camera_result.name}/{RESULT_NAME}',
        }
        top = tmp_path / f'top-{name}'
        top.mkdir()
        written = dict(BEFORE, parts=[part], folder=str(top))
        ReplayResult.from_values(written).write(top / RESULT_NAME)
        tops.append(top)
    assert figures(compare(*tops))['pixels_changed'] == pytest.approx(2 / 80)


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        ({'bags': ['/drives/tuesday.mcap']}, 'different bags or topics'),
        ({'topic': '/right/image'}, 'different bags or topics'),
        ({'classes': ['road', 'car', 'bush']}, 'classes that differ cannot be compared'),
        ({'labels_from': None}, 'only one of the two was scored against labels'),
    ],
)
def test_results_that_cannot_be_compared_are_refused(change, sentence, both, tmp_path, capsys):
    other = kept(tmp_path / 'other', dict(AFTER, **change), {0: road()})
    out = tmp_path / 'out'
    assert cli.main(['replay', '--compare', str(both[0]), str(other), '--out', str(out)]) == 2
    assert sentence in capsys.readouterr().err
    assert not out.exists()


def test_another_recording_of_the_same_name(both, tmp_path):
    other = kept(tmp_path / 'other', AFTER, {0: road()}, start=99)
    with pytest.raises(ReplayError, match='different recordings of the same name'):
        compare(both[0], other)


def test_without_label_maps_the_figures_are_compared_alone(both, tmp_path):
    (both[1] / LABEL_MAPS_NAME).unlink()
    told = figures(compare(*both))
    assert told['pixels_changed'] is None and told['transitions'] is None
    assert told['figures']['miou']['change'] == pytest.approx(0.05)


def test_a_folder_that_is_not_a_result_is_refused(tmp_path, capsys):
    (tmp_path / 'x.json').write_text('{}')
    words = ['replay', '--compare', str(tmp_path / 'x.json'), str(tmp_path / 'none')]
    assert cli.main(words) == 2 and 'no result of' in capsys.readouterr().err


def test_the_keys_of_the_json_and_what_is_read_from_them():
    """Other programs read these names; a result that is written and read is the same."""
    sums = Tallies.empty(3)
    sums.masks.add(road(4), None)
    values = dict(
        BEFORE,
        drops={'unreadable': 1},
        frames_in=4,
        bare_rate_hz=50.0,
        rate_hz=40.0,
        disagreement={
            'with': 'other',
            'engine': 'torch',
            'precision': 'fp32',
            'pixels': 0.25,
            'per_class': {},
        },
        problems=[{'kind': 'truncated', 'where': 'a', 'what': 'b', 'frames': 1}],
        tallies=sums.to_json(),
    )
    result = ReplayResult.from_values(values)
    told = json.loads(result.to_json())
    assert told.keys() == {'format'} | set(KEYS.split())
    assert told['dropped'] == 1 and told['engine_share'] == 0.8
    assert {name: told[name] for name in values} == values
    assert ReplayResult.from_json(result.to_json()).to_json() == result.to_json()
    # Workers send their results through a pipe, which requires the same of them as copying.
    assert copy.deepcopy(result).to_json() == result.to_json()


KEYS = """
mode bags topic labels_from frames_in frames_out dropped drops frames_scored labels_sha256
latency_ms rate_hz bare_rate_hz engine_share stages_ms costs_s age_ms jitter_ms duration_s wall_s
classes colors pixel_accuracy miou iou confusion ece temporal_consistency consistency_pairs
consistency_coverage flicker fractions confidence_histogram mean_confidence disagreement series
problems notes provenance report label_maps frames_dir result_bag folder parts tallies times
"""

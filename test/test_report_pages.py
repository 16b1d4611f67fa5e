"""The pages in a real browser: pictures decode, the film plays, nothing is asked of a network."""

from __future__ import annotations

import re

import browser
import numpy as np
import pytest

from edgesegnet_ros.atomic_file import WriteError
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.evaluation.evaluate_page import write_evaluate_report
from edgesegnet_ros.evaluation.measure import WorstImage
from edgesegnet_ros.evaluation.provenance import software
from edgesegnet_ros.evaluation.replay.film import Film
from edgesegnet_ros.evaluation.replay.frames import ReplayFrame
from edgesegnet_ros.evaluation.replay.kept_frames import (
    SAMPLE,
    WORST,
    open_sinks,
    read_frames,
    video_of,
)
from edgesegnet_ros.evaluation.replay.replay_page import sentences, write_replay_report
from edgesegnet_ros.evaluation.replay.result import ReplayResult

FRAMES = 30
CLASSES = load_classes('camvid11')
NAMES = [entry.name for entry in CLASSES.classes]
ORIGIN = {
    'command': ['edgesegnet', 'replay', 'a b.mcap'],
    'started': '2026-01-02T03:04:05+00:00',
    'software': software(),
    'weights': {'name': 'm', 'file': 'm.safetensors', 'sha256': 'ab12'},
    'classes': {'name': 'camvid11'},
    'machine': {'cpu': 'a <processor>', 'cpus': 2},
    'engine': {'engine': 'torch', 'precision': 'fp32', 'device': 'cpu', 'threads': 2},
    'options': {'flow': True},
}


@pytest.fixture(scope='module')
def frame():
    """One rendered picture and its labels."""
    return Street(3, (120, 160)).frame(0)


def handed_on(frame, index: int) -> ReplayFrame:
    """The picture, with labels that are the worse the later the frame."""
    labels = np.where(frame.labels == 255, 1, frame.labels).astype(np.uint8)
    labels[: 3 * index] = 3
    return ReplayFrame(
        index,
        10**9 + index,
        frame.image,
        labels,
        truth=frame.labels,
        pixel_accuracy=1.0 - index / FRAMES,
    )


@pytest.fixture(scope='module')
def frames_dir(frame, tmp_path_factory):
    """What the sinks leave of a replay."""
    folder = tmp_path_factory.mktemp('frames')
    sinks = open_sinks(folder, CLASSES, True, True, FRAMES)
    assert [sink.name for sink in sinks] == ['pictures', 'video']
    for index in range(FRAMES):
        for sink in sinks:
            sink.on_frame(handed_on(frame, index))
    for sink in sinks:
        sink.close(True)
    return folder


def found(**values) -> ReplayResult:
    return ReplayResult.from_values(values)


@pytest.fixture(scope='module')
def result():
    """A replay's figures, all kinds of them."""
    times = [0.1 * i for i in range(FRAMES)]
    confusion = (np.eye(11, 12, dtype=int) * 90 + 1).tolist()
    spans = {'p50': 20.0, 'p95': 30.0, 'p99': 40.0, 'mean': 22.0, 'max': 50.0}
    return found(
        bags=['/drives/a.mcap'],
        topic='/image',
        labels_from='/labels',
        frames_in=FRAMES + 2,
        frames_out=FRAMES,
        drops={'unreadable': 2},
        frames_scored=FRAMES,
        latency_ms=spans,
        rate_hz=40.0,
        bare_rate_hz=42.0,
        stages_ms={'infer': spans},
        costs_s={'flow': 1.5, 'video': 0.0},
        classes=NAMES,
        colors={entry.name: list(entry.color) for entry in CLASSES.classes},
        pixel_accuracy=0.912,
        miou=0.61,
        iou={**dict.fromkeys(NAMES, 0.8), 'pole': 0.2, 'sign': None},
        confusion=confusion,
        ece=0.031,
        temporal_consistency=0.97,
        consistency_pairs=29,
        flicker=dict.fromkeys(NAMES, 0.02),
        confidence_histogram=list(range(256)),
        series={
            't_s': times,
            'latency_ms': [20.0] * FRAMES,
            'latency_max_ms': [None] * FRAMES,
            'consistency': [None] + [0.97] * (FRAMES - 1),
            'fractions': {name: [1 / 11] * FRAMES for name in NAMES},
        },
        problems=[
            {
                'kind': 'truncated',
                'where': 'a.mcap',
                'what': 'The file ends early: 2 images <are> lost.',
                'frames': 2,
            }
        ],
        provenance=ORIGIN,
    )


@pytest.fixture(scope='module')
def replay_page(result, frames_dir, tmp_path_factory):
    return write_replay_report(result, frames_dir, tmp_path_factory.mktemp('page') / 'replay.html')


@pytest.fixture(scope='module')
def evaluate_page(frame, tmp_path_factory):
    bins = [
        {
            'low': i / 15,
            'high': (i + 1) / 15,
            'share': 1 / 15,
            'confidence': (i + 0.5) / 15,
            'accuracy': (i + 0.4) / 15,
        }
        for i in range(15)
    ]
    figures = {
        'model': 'm',
        'split': 'val',
        'classes': 'camvid11',
        'images': 2,
        'input_size': [64, 64],
        'resize_mode': 'stretch',
        'engine': 'torch',
        'precision': 'fp32',
        'pixel_accuracy': 0.9,
        'miou': 0.5,
        'iou': dict.fromkeys(NAMES, 0.5),
        'ece': 0.05,
        'pixels': dict.fromkeys(NAMES, 101),
        'confusion': (np.eye(11, dtype=int) * 90).tolist(),
        'unlabeled': [11] * 11,
        'provenance': ORIGIN,
        'calibration': {
            'temperature': 1.2,
            'bins': 15,
            'diagram': bins,
            'fit': None,
            'logits': {'ece_before': 0.1, 'ece_after': 0.05, 'diagram_before': bins},
        },
    }
    wrong = np.full_like(frame.labels, 4)
    worst = [WorstImage(0.9, 'x.png', frame.image, frame.labels, wrong)]
    return write_evaluate_report(
        figures, CLASSES, worst, tmp_path_factory.mktemp('page') / 'evaluate.html'
    )


@pytest.fixture(scope='module')
def profile(tmp_path_factory):
    """A folder for the browser; without one what needs it is skipped, and says so."""
    if browser.find() is None:
        pytest.skip('SKIPPED FOR WANT OF A BROWSER: apt-get install chromium')
    return tmp_path_factory.mktemp('browser')


def test_the_replays_page_in_a_browser(replay_page, profile):
    seen = browser.look(replay_page, profile)
    assert seen.console == [] and seen.figures['requests'] == []
    assert seen.figures['pictures'] == [160] * 4 * (WORST + SAMPLE)
    assert len(seen.figures['plots']) == 5 and min(seen.figures['plots']) > 100
    film = seen.figures['video']
    assert film['error'] is None and film['state'] >= 2 and film['width'] == 160
    assert film['seconds'] == pytest.approx(FRAMES / 10, abs=0.15)
    assert film['at'] > 0, 'it plays'


def test_the_evaluations_page_on_a_phone(evaluate_page, profile):
    # Chromium makes no window narrower than 500 pixels.
    seen = browser.look(evaluate_page, profile, width=500)
    assert seen.console == [] and seen.figures['requests'] == []
    assert seen.figures['pictures'] == [160] * 4 and len(seen.figures['plots']) == 2
    assert seen.figures['video'] is None
    assert seen.figures['overflow'] <= 0, 'nothing is wider than the window'


def test_content_of_a_page(replay_page):
    html = replay_page.read_text()
    for text in (
        'Read this first: 1 problem',
        'images &lt;are&gt; lost',
        'a &lt;processor&gt;',
        'edgesegnet replay &#39;a b.mcap&#39;',
        'SHA-256 ab12',
        f'torch {software()["torch"]}',
        'p99',
    ):
        assert text in html, text
    # Addresses are data or places in the page; only names of XML dialects look like others.
    assert not re.findall(r'(?:src|href|action)="(?!data:|#)[^"]*"', html)
    assert set(re.findall(r'https?://[^"\s<]+', html)) <= {
        'http://www.w3.org/1999/xlink',
        'http://www.w3.org/2000/svg',
    }
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_the_verdicts_state_what_the_figures_cover(result):
    said = ' '.join(sentences(result))
    assert '2 of 32 frames were not segmented (2 unreadable)' in said
    assert '91 of 100 labelled pixels' in said and 'Weak (IoU below 40' in said
    assert 'Not in these images, so not in the mIoU: sign' in said


def test_the_worst_and_an_even_sample_are_kept(frames_dir):
    frames = read_frames(frames_dir)
    assert [f.index for f in frames if f.kind == 'worst'] == [29, 28, 27, 26, 25, 24]
    sample = [f.index for f in frames if f.kind == 'sample']
    assert len(sample) == SAMPLE and np.ptp(np.diff(sample)) <= 1
    for kept in frames:
        assert [view['label'] for view in kept.views] == [
            'camera image',
            'ground truth',
            'prediction',
            'errors',
        ]
        assert all((frames_dir / view['file']).is_file() for view in kept.views)
    assert video_of(frames_dir).stat().st_size < 1_000_000


def test_a_sample_of_unknown_length_stays_small_and_even(frame, tmp_path):
    (sink,) = open_sinks(tmp_path, CLASSES, True, False, None)
    for index in range(40):
        sink.on_frame(handed_on(frame, index % FRAMES))
    sink.close(True)
    assert len([f for f in read_frames(tmp_path) if f.kind == 'sample']) == SAMPLE


def test_incomplete_output_is_removed(frame, tmp_path):
    for sink in open_sinks(tmp_path, CLASSES, True, True, 5):
        sink.on_frame(handed_on(frame, 0))
        sink.close(False)
    assert list(tmp_path.iterdir()) == []


def test_pictures_without_an_index_are_removed(frame, tmp_path):
    """As where the disk fills: what says which frames they are could not be written."""
    (tmp_path / 'frames.json').mkdir()
    (sink,) = open_sinks(tmp_path, CLASSES, True, False, 1)
    sink.on_frame(handed_on(frame, 0))
    with pytest.raises(WriteError, match='cannot be written'):
        sink.close(True)
    assert [path.name for path in tmp_path.iterdir()] == ['frames.json']


def test_odd_sizes_that_change_are_filmed(tmp_path):
    film = Film(tmp_path / 'f.mp4')
    for height, width in ((45, 61), (60, 80), (45, 61)):
        film.add(np.zeros((height, width, 3), np.uint8))
    film.close()
    import av

    with av.open(str(tmp_path / 'f.mp4')) as file:
        shapes = [(f.height, f.width) for f in file.decode(video=0)]
    assert shapes == [(44, 60)] * 3


def test_a_page_of_next_to_nothing(tmp_path):
    empty = found(frames_in=3, bags=['a'], classes=NAMES)
    page = write_replay_report(empty, None, tmp_path / 'p.html').read_text()
    assert 'nothing to judge' in page and '<video' not in page
    parts = [
        {'bag': bag, 'frames_out': 2, 'miou': miou, 'problems': 0}
        for bag, miou in (('a', 0.9), ('b', 0.1))
    ]
    live = found(
        mode='live',
        bags=['a', 'b'],
        frames_in=4,
        frames_out=4,
        age_ms={'p95': 9.0},
        classes=NAMES,
        parts=parts,
    )
    page = write_replay_report(live, None, tmp_path / 'q.html').read_text()
    assert 'Replay of 2 bags' in page and page.index('>b<') < page.index('>a<'), 'the worst first'


def test_a_page_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    from edgesegnet_ros import atomic_file

    page = tmp_path / 'p.html'
    page.write_text('before')

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(atomic_file.os, 'replace', full)
    with pytest.raises(atomic_file.WriteError, match='No space left'):
        write_replay_report(found(bags=['a'], classes=NAMES), None, page)
    assert page.read_text() == 'before' and len(list(tmp_path.iterdir())) == 1

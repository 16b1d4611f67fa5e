"""`edgesegnet view`: recordings are read back and compared by value, the page is looked at."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rerun', reason='SKIPPED FOR WANT OF rerun-sdk (extra view)')

import browser
from rerun_files import read

from edgesegnet_ros import cli
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.masks import Group, group_mask
from edgesegnet_ros.data.sources import START_NS, open_source
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines import open_engine
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.view import viewer
from edgesegnet_ros.view.camera_log import CameraLog, layout, open_recording

FRAMES = 3
SIZE = (96, 128)
QUICK = ('--engine', 'torch', '--precision', 'fp32', '--num-threads', '1', '--input-size', '64x64')


@pytest.fixture(scope='module')
def street(tmp_path_factory) -> Path:
    """A folder of images of the demo's street, with its true labels beside it."""
    folder = tmp_path_factory.mktemp('street') / 'images'
    words = ('--format', 'images', '--seed', '7', '--frames', str(FRAMES), '--size', '96x128')
    assert cli.main(['data', 'render', *words, '--out', str(folder)]) == 0
    return folder


@pytest.fixture(scope='module')
def recorded(street) -> dict:
    file = street.parent / 'street.rrd'
    told = street.parent / 'view.json'
    words = ['--input', str(street), '--save', str(file), '--lossless', '--json', str(told)]
    assert cli.main(['view', *words, *QUICK]) == 0
    assert json.loads(told.read_text()) == {'frames': FRAMES, 'saved': str(file)}
    assert [path.name for path in file.parent.glob('*.rrd*')] == [file.name]
    return read(file)


def test_the_demo_street_is_recorded_by_value(street, recorded):
    request = EngineRequest(engine='torch', precision='fp32', num_threads=1, input_size=(64, 64))
    model = open_engine(request)
    segmenter = Segmenter(model.engine)
    for number, frame in enumerate(open_source(str(street))):
        stamp = START_NS + number * 10**8
        expected = segmenter.segment(frame.image, confidence=True)
        for entity, value in (
            ('image', frame.image),
            ('labels', expected.labels),
            ('confidence', expected.confidence),
            ('truth', frame.labels),
            ('wrong', (expected.labels != frame.labels) & (frame.labels != 255)),
            (
                'masks/drivable',
                group_mask(expected.labels, Group(model.classes.groups['drivable'])) > 0,
            ),
        ):
            np.testing.assert_array_equal(recorded[f'camera/{entity}'][stamp], value, entity)
        assert recorded['camera/frames/segmented'][stamp] == [number + 1]
        assert recorded['camera/latency/infer'][stamp][0] > 0
    assert len(recorded['camera/labels']) == FRAMES + 1, 'and the names of the classes'


def test_class_names_and_colours_go_with_the_labels(recorded):
    (context,) = recorded['camera/labels'][-1]
    names = {entry['class_id']: entry['class_description']['info'] for entry in context}
    for entry in load_classes('camvid11').classes:
        red, green, blue = entry.color
        assert names[entry.id]['label'] == entry.name
        assert names[entry.id]['color'] == (red << 24) + (green << 16) + (blue << 8) + 255
    assert names[255]['label'] == 'unlabelled'
    assert 'torch' in recorded['camera/engine'][-1][0]


def test_images_are_jpeg_unless_lossless_is_requested(tmp_path):
    recording = open_recording(tmp_path / 'x.rrd')
    image = Street(7, SIZE).frame(0).image
    CameraLog(recording, 'front/left', load_classes('camvid11')).frame(10**18, image)
    recording.send_blueprint(layout(['front/left'], {'front/left': ['drivable']}))
    recording.flush()
    recording.disconnect()
    blob = bytes(read(tmp_path / 'x.rrd')['front/left/image'][10**18][0])
    assert blob.startswith(b'\xff\xd8') and len(blob) < image.size / 4


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        ((), 'there is no display to open a window on: give --web'),
        (('--input', '/none'), '/none: no such file or folder'),
        (('--web', '--save', 'x.rrd'), 'give one of them'),
        (('--save', 'x.bag'), 'the name of a recording ends in .rrd'),
        (('--bind', '0.0.0.0'), '--bind and --port belong to --web'),
        (('--topic', '/image'), '--topic and --labels belong to --input'),
        (('--node', '/a', '--input', 'x'), 'give one of them'),
        (('--frames', '0'), 'at least 1'),
        (('--classes', '/none.yaml'), '/none.yaml'),
    ],
)
def test_a_usage_error_is_a_sentence_and_status_2(words, sentence, capsys, monkeypatch):
    pytest.importorskip('rclpy')
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    assert cli.main(['view', *words]) == 2
    assert sentence in capsys.readouterr().err


def free_pair() -> int:
    """A port that is free, as is the next."""
    while True:
        port = viewer.free_port()
        try:
            viewer.web(viewer.LOCAL, port)
        except viewer.ViewerError:
            continue
        return port


def test_a_port_in_use_is_named(street):
    import socket

    with socket.socket() as taken:
        taken.bind((viewer.LOCAL, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(viewer.ViewerError, match=f'cannot listen on port {port}'):
            viewer.web(viewer.LOCAL, port)


@pytest.fixture(scope='module')
def page(street):
    """The command that serves the street as a page, the page's address, and its port."""
    port = free_pair()
    words = ['view', '--web', '--port', str(port), '--input', str(street), *QUICK]
    program = 'import signal, sys; from edgesegnet_ros import cli; '
    # A terminal is what keeps the page up after the last frame.
    program += 'sys.stdout.isatty = lambda: True; sys.exit(cli.main(sys.argv[1:]))'
    process = subprocess.Popen(
        [sys.executable, '-c', program, *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONUNBUFFERED': '1'},
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if 'all frames are sent' in line:
            break
    address = next(line.split()[1] for line in lines if line.startswith('open http'))
    yield process, address, port
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    assert process.wait(30) in (0, 130)


@pytest.mark.skipif(not browser.find(), reason='SKIPPED FOR WANT OF Chromium')
def test_the_page_draws_the_labels_in_the_colours_of_their_classes(page, tmp_path):
    _, address, _ = page
    # The panel of the true labels is opaque, so that its colours are those of the class file.
    colors = [e.color for e in load_classes('camvid11').classes if e.name in ('road', 'building')]

    def seen(shot: np.ndarray) -> bool:
        far = [np.abs(shot.astype(int) - color).max(-1) for color in colors]
        return min(int((each <= 3).sum()) for each in far) > 500

    shown = browser.drawn(f'{address}&renderer=webgl', tmp_path, seen, timeout_s=200)
    if shown is None:
        pytest.skip('SKIPPED FOR WANT OF WebGL in this Chromium')
    assert shown


def test_the_page_listens_on_this_machine_alone_and_ends_with_the_command(page):
    import psutil

    process, address, port = page
    assert address.startswith(f'http://127.0.0.1:{port}/?url=')
    connection = http.client.HTTPConnection(viewer.LOCAL, port, timeout=20)
    connection.request('GET', address.partition(str(port))[2])
    assert b'<html' in connection.getresponse().read().lower()
    connection.close()
    # From Python 3.14 on, the lock of tqdm starts Python's resource tracker as well.
    children = psutil.Process(process.pid).children()
    (child,) = (each for each in children if '--serve-web' in each.cmdline())
    listening = {each.laddr for each in child.net_connections() if each.status == 'LISTEN'}
    assert {(each.ip, each.port) for each in listening} == {
        ('127.0.0.1', port),
        ('127.0.0.1', port + 1),
    }
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in (0, 130)
    end = time.monotonic() + 20
    while child.is_running() and time.monotonic() < end:
        time.sleep(0.05)
    assert not child.is_running(), 'the viewer outlives the command'


def test_a_replay_is_recorded_with_truth_and_disagreement(tmp_path, capsys):
    pytest.importorskip('rosbags')
    import torch
    from replay_bags import SIZE as BAG_SIZE
    from replay_bags import frames, replay, truth, write

    from edgesegnet_ros.evaluation.replay.label_maps import LabelMaps
    from edgesegnet_ros.network.registry import build_network
    from edgesegnet_ros.network.weights import WeightsInfo, save_weights

    bag = write(tmp_path / 'bag', frames(2))
    file = tmp_path / 'drive.rrd'
    second = tmp_path / 'second.safetensors'
    torch.manual_seed(0)
    save_weights(second, build_network('edgesegnet', 11), WeightsInfo('camvid11', 11, (32, 32)))
    against = ('--against', f'{second},torch,fp32')
    told = replay(bag, '--no-flow', '--rerun', file, *against, out=tmp_path / 'out')
    found = read(file)
    maps = list(LabelMaps(Path(told['folder'], told['label_maps'])))
    assert len(maps) == 2
    for number, each in enumerate(maps):
        expected = truth(number, BAG_SIZE)
        labels = found['camera/image/labels'][each.stamp_ns]
        np.testing.assert_array_equal(labels, each.labels)
        np.testing.assert_array_equal(found['camera/image/truth'][each.stamp_ns], expected)
        wrong = found['camera/image/wrong'][each.stamp_ns]
        np.testing.assert_array_equal(wrong, labels != expected)
    alone = replay(bag, '--no-flow', '--model', second, out=tmp_path / 'alone')
    seconds = list(LabelMaps(Path(alone['folder'], alone['label_maps'])))
    differing = 0
    for first, second in zip(maps, seconds, strict=True):
        other = found['camera/image/other'][first.stamp_ns]
        np.testing.assert_array_equal(other, second.labels)
        differ = found['camera/image/disagree'][first.stamp_ns]
        np.testing.assert_array_equal(differ, first.labels != second.labels)
        differing += int(differ.sum())
    assert 0 < differing == round(told['disagreement']['pixels'] * 2 * first.labels.size)
    other = write(tmp_path / 'other', frames(2))
    assert cli.main(['replay', str(bag), str(other), '--rerun', str(file)]) == 2
    assert 'records one bag' in capsys.readouterr().err

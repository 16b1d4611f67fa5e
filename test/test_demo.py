"""The demo as a user runs it: real processes over DDS, and what it leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
import torch

pytest.importorskip('rclpy')

from test_bag_player import TIMEOUT_S, picture, wait

from edgesegnet_ros import shipped
from edgesegnet_ros.cli import main
from edgesegnet_ros.data.bag import ImageFrame, write_image_bag
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.sources import open_source
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.demo.domain import free_domain, ros_environment
from edgesegnet_ros.demo.sheet import compose
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo, save_weights

INPUT_SIZE = (96, 96)


@pytest.fixture(scope='session')
def weights(tmp_path_factory) -> Path:
    """The shipped model, or one of chance where none is shipped."""
    try:
        return shipped.find('models', 'edgesegnet-camvid11')
    except shipped.ShippedFileError:
        torch.manual_seed(1)
        path = tmp_path_factory.mktemp('model') / 'chance.safetensors'
        save_weights(
            path, build_network('edgesegnet', 11), WeightsInfo('camvid11', 11, (256, 256))
        )
        return path


@pytest.fixture(scope='session')
def another_design(tmp_path_factory) -> Path:
    """Random weights of a design that is not EdgeSegNet, whose classes each win somewhere."""
    torch.manual_seed(1)
    model = build_network('unet-slim', 11).eval()
    pixels = torch.from_numpy(Street(7, INPUT_SIZE).frame(0).image).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        logits = model.coarse_logits((pixels - 0.45) / 0.22)
        mean, spread = logits.mean((0, 2, 3)), logits.std((0, 2, 3))
        model.head.weight *= (3 / spread)[:, None, None, None]
        model.head.bias.copy_((model.head.bias - mean) * 3 / spread)
    path = tmp_path_factory.mktemp('design') / 'slim.safetensors'
    save_weights(path, model, WeightsInfo('camvid11', 11, (256, 256)))
    return path


@pytest.fixture(scope='session')
def street() -> list[ImageFrame]:
    drawn = (Street(7, (120, 160)).frame(i) for i in range(3))
    return [ImageFrame(f.image, f.labels, f.stamp_ns) for f in drawn]


def demo(*arguments: object, out: Path, weights: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        demo_command(*arguments, out=out, weights=weights),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def demo_command(*arguments: object, out: Path, weights: Path) -> list[str]:
    return [
        sys.executable,
        '-m',
        'edgesegnet_ros.cli',
        'demo',
        *map(str, arguments),
        '--model',
        str(weights),
        '--input-size',
        f'{INPUT_SIZE[0]}x{INPUT_SIZE[1]}',
        '--engine',
        'torch',
        '--precision',
        'fp32',
        '--out',
        str(out),
    ]


def expected_accuracy(frames: list[ImageFrame], weights: Path) -> tuple[float, float]:
    """Pixel accuracy and mIoU by NumPy, without DDS and without the scores of the package."""
    from edgesegnet_ros.engines import open_engine
    from edgesegnet_ros.engines.request import EngineRequest
    from edgesegnet_ros.engines.segmenter import Segmenter

    request = EngineRequest(str(weights), engine='torch', precision='fp32', input_size=INPUT_SIZE)
    segmenter = Segmenter(open_engine(request).engine)
    guess = np.concatenate([segmenter.segment(f.image).labels.flatten() for f in frames])
    truth = np.concatenate([f.labels.ravel() for f in frames])
    guess, truth = guess[truth != 255], truth[truth != 255]
    ious = []
    for number in range(11):
        union = ((guess == number) | (truth == number)).sum()
        if union:
            ious.append(((guess == number) & (truth == number)).sum() / union)
    return float((guess == truth).mean()), float(np.mean(ious))


def checked_summary(result: subprocess.CompletedProcess, out: Path, frames: int) -> dict:
    assert result.returncode == 0, result.stdout + result.stderr
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['frames_in'] == summary['frames_out'] == frames
    assert summary['dropped'] == 0
    assert 0 < summary['latency_ms']['p50'] <= summary['latency_ms']['p95']
    assert summary['latency_ms']['p95'] <= summary['latency_ms']['p99'] < 60_000
    assert (summary['engine'], summary['precision']) == ('torch', 'fp32')
    assert summary['input_size'] == list(INPUT_SIZE)
    sheet = cv2.imread(summary['overlay'])
    assert Path(summary['overlay']) == out / 'overlay.png' and sheet.shape[1] == 1640
    assert f'{frames} frames in, {frames} out; latency p50' in result.stdout
    assert not leftovers(out)
    return summary


def leftovers(out: Path) -> list[str]:
    """Command lines of the node's executables that still have to do with this run."""
    found = []
    for process in psutil.process_iter(['cmdline']):
        words = process.info['cmdline'] or []
        if any('edgesegnet_ros.node.' in word for word in words) and any(
            str(out) in word for word in words
        ):
            found.append(' '.join(words))
    return found


@pytest.mark.node
def test_demo_of_a_labelled_folder_matches_the_ground_truth(tmp_path, street, weights):
    for folder in ('drive', 'driveannot'):
        (tmp_path / folder).mkdir()
    for i, frame in enumerate(street):
        labels = np.where(frame.labels == 5, 11, frame.labels)
        cv2.imwrite(str(tmp_path / f'drive/{i}.png'), frame.image[..., ::-1])
        cv2.imwrite(str(tmp_path / f'driveannot/{i}.png'), labels)
    out = tmp_path / 'out'
    written = ['--json', tmp_path / 'f.json', '--film', tmp_path / 'f.webp']
    result = demo(tmp_path / 'drive', *written, out=out, weights=weights)
    summary = checked_summary(result, out, 3)
    check_film(tmp_path / 'f.webp', street, summary)
    assert not (out / 'frames').exists()
    assert json.loads((tmp_path / 'f.json').read_text()) == summary
    # Void (here the trees) is not counted.
    voided = [f._replace(labels=np.where(f.labels == 5, 255, f.labels)) for f in street]
    accuracy, miou = expected_accuracy(voided, weights)
    assert summary['frames_scored'] == 3
    assert summary['pixel_accuracy'] == pytest.approx(accuracy, abs=1e-3)
    assert summary['miou'] == pytest.approx(miou, abs=1e-3)
    assert f'pixel accuracy {100 * summary["pixel_accuracy"]:.1f} %' in result.stdout


def check_film(path: Path, street: list[ImageFrame], summary: dict) -> None:
    """Each frame shows the image on the left, and on the right the same with class colours."""
    from PIL import Image

    film = Image.open(path)
    assert film.n_frames == 3 == summary['film']['frames']
    assert path.stat().st_size == summary['film']['bytes'] < 2_000_000
    for number, frame in enumerate(street):
        film.seek(number)
        shown = np.asarray(film.convert('RGB')).astype(int)
        assert film.info['duration'] == 100 and shown.shape[1] == 804
        left, right = shown[:300, :400], shown[:300, 404:]
        expected = cv2.resize(frame.image, (400, 300), interpolation=cv2.INTER_AREA)
        assert np.abs(left - expected).mean() < 12 < np.abs(right - expected).mean()


@pytest.mark.node
def test_demo_without_input_renders_a_street_and_keeps_it(tmp_path, weights):
    out = tmp_path / 'out'
    summary = checked_summary(demo('--frames', '2', out=out, weights=weights), out, 2)
    (clip,) = out.glob('street-7-2-*')
    before = clip.stat().st_mtime_ns
    frames = [ImageFrame(f.image, f.labels, f.stamp_ns) for f in open_source(str(clip))]
    np.testing.assert_array_equal(frames[1].labels, Street(7).frame(1).labels)
    accuracy, _ = expected_accuracy(frames, weights)
    assert summary['pixel_accuracy'] == pytest.approx(accuracy, abs=1e-3)
    again = demo('--input', clip, '--frames', '1', out=out, weights=weights)
    checked_summary(again, out, 1)
    assert clip.stat().st_mtime_ns == before


@pytest.mark.node
def test_demo_of_an_sqlite_bag_and_of_a_video(tmp_path, street, another_design):
    weights = another_design
    write_image_bag(tmp_path / 'bag', street, storage='sqlite3')
    out = tmp_path / 'out'
    summary = checked_summary(demo(tmp_path / 'bag', out=out, weights=weights), out, 3)
    accuracy, _ = expected_accuracy(street, weights)
    assert summary['pixel_accuracy'] == pytest.approx(accuracy, abs=1e-3)

    video = tmp_path / 'drive.avi'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (160, 120))
    for frame in street:
        writer.write(frame.image[..., ::-1])
    writer.release()
    result = demo(video, '--frames', '2', out=out, weights=weights)
    summary = checked_summary(result, out, 2)
    assert summary['pixel_accuracy'] is None and summary['miou'] is None
    assert 'accuracy' not in result.stdout


@pytest.mark.node
def test_demo_scores_camvid_as_evaluation_does(tmp_path, camvid, weights):
    out = tmp_path / 'out'
    result = demo(camvid / 'test', '--frames', '4', out=out, weights=weights)
    summary = checked_summary(result, out, 4)
    source = open_source(str(camvid / 'test'))
    frames = [ImageFrame(f.image, f.labels, f.stamp_ns) for f, _ in zip(source, range(4))]
    accuracy, miou = expected_accuracy(frames, weights)
    assert source.total == 233
    assert summary['pixel_accuracy'] == pytest.approx(accuracy, abs=1e-3)
    assert summary['miou'] == pytest.approx(miou, abs=1e-3)


@pytest.fixture
def long_drive(tmp_path) -> Path:
    """A minute of pictures at their own pace."""
    (tmp_path / 'long').mkdir()
    for i in range(600):
        cv2.imwrite(str(tmp_path / f'long/{i:03d}.png'), picture(i % 3))
    return tmp_path / 'long'


def processes_of(demo_process: subprocess.Popen) -> dict[str, psutil.Process]:
    """Executable -> process, of a running demo's children."""
    found = {}
    for child in psutil.Process(demo_process.pid).children():
        # The demo also asks other programs, which may have ended since they were listed.
        with suppress(psutil.NoSuchProcess):
            name = next((w for w in child.cmdline() if w.startswith('edgesegnet_ros.node.')), None)
            if name:
                found[name.rpartition('.')[2]] = child
    return found


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.node
@pytest.mark.parametrize('how', ['interrupt', 'terminate', 'kill the node', 'kill the demo'])
def test_no_process_outlives_the_demo(tmp_path, long_drive, weights, how):
    out = tmp_path / 'out'
    command = demo_command(long_drive, '--rate', '1', out=out, weights=weights)
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        wait(lambda: 'bag_player' in processes_of(running), 'the player')
        children = processes_of(running)
        assert set(children) == {'segmentation_node', 'collector', 'bag_player'}
        if how == 'kill the node':
            children['segmentation_node'].kill()
        elif how == 'kill the demo':
            running.kill()
        else:
            running.send_signal(signal.SIGINT if how == 'interrupt' else signal.SIGTERM)
        output, errors = running.communicate(timeout=60)
    finally:
        running.kill()
    wait(lambda: not any(map(alive, children.values())), 'the children to end', 30)
    status = {'interrupt': 130, 'terminate': 143, 'kill the node': 1, 'kill the demo': -9}[how]
    assert running.returncode == status, output + errors
    assert 'Traceback' not in errors
    if how == 'kill the node':
        assert 'segmentation_node was killed by signal 9. Its last lines' in errors
        assert 'active: waiting for images' in errors


def test_demo_refuses_invalid_weights_before_it_starts(tmp_path, street):
    write_image_bag(tmp_path / 'bag', street)
    broken = tmp_path / 'broken.safetensors'
    broken.write_bytes(b'\0' * 100)
    result = demo(tmp_path / 'bag', out=tmp_path / 'out', weights=broken)
    assert result.returncode == 2
    assert f'{broken}: not a whole safetensors file' in result.stderr
    assert 'Traceback' not in result.stderr
    assert not leftovers(tmp_path / 'out')


@pytest.mark.parametrize(
    'arguments, sentence',
    [
        (['/no/such'], '/no/such: no such file or folder'),
        (['camera:99'], 'camera:99: no such camera; this machine has'),
        (['{tmp}', '--input', '{tmp}'], 'two inputs'),
        (['{tmp}'], 'holds no image'),
        (['--frames', '0'], '--frames 0: at least 1'),
        (['--seed', '-1'], '--seed -1: 0 or more'),
        (['--input-size', '100x100'], 'height and width are multiples of 16'),
        (['--classes', 'nothing'], "named 'nothing'"),
        (['--model', '/no/such.safetensors'], '/no/such.safetensors: no such weights file'),
        (['--domain', '233'], '--domain 233: 0 to 232'),
    ],
)
def test_a_usage_error_is_a_sentence_and_status_2(tmp_path, capsys, weights, arguments, sentence):
    arguments = [word.format(tmp=tmp_path) for word in arguments]
    if '--model' not in arguments:
        arguments += ['--model', str(weights)]
    assert main(['demo', *arguments, '--out', str(tmp_path / 'out')]) == 2
    error = capsys.readouterr().err
    assert sentence in error and 'Traceback' not in error


def test_sheet_shows_each_panel_and_tints_the_group():
    classes = load_classes('camvid11')
    image = np.full((60, 80, 3), 100, np.uint8)
    mask = np.full((60, 80), 3, np.uint8)
    mask[:, :40] = 0
    pictures = {
        'image': image,
        'mask': mask,
        'overlay': image,
        'group_drivable': (mask == 3).astype(np.uint8) * 255,
    }
    without = compose(pictures, classes, 'title', 'figures')
    with_labels = compose({**pictures, 'labels': mask}, classes, 'title', 'figures')
    void = compose({**pictures, 'labels': np.full_like(mask, 255)}, classes, 'title', 'figures')
    assert without.shape[1] == with_labels.shape[1] == 1640
    np.testing.assert_array_equal(void, without)
    road, sky = np.array(classes.palette[3]), np.array(classes.palette[0])
    for color in (road, sky):
        # Prediction and legend, and with labels the ground truth as well.
        count = [int((s == color).all(2).sum()) for s in (without, with_labels)]
        assert count[0] > 10_000 and count[1] > 10_000
    # In the drivable panel, the right half is green and the left half dark grey.
    row = without[-200].astype(int)
    assert (row[:500] == 35).all(1).sum() > 400
    red, green, blue = row[1000:].T
    assert ((green > red + 40) & (green > blue + 40)).sum() > 400


def test_a_domain_in_use_is_not_chosen(monkeypatch):
    import socket

    from edgesegnet_ros.demo import domain

    first = free_domain()
    second = next(d for d in iter(free_domain, None) if d != first)
    monkeypatch.setattr(domain, 'DOMAINS', (first, second))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(('', 7400 + 250 * first + 10))
        assert {free_domain() for _ in range(20)} == {second}


def test_environment_keeps_the_users_profiles(monkeypatch):
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', '/mine.xml')
    environment = ros_environment(5)
    assert environment['FASTDDS_DEFAULT_PROFILES_FILE'] == '/mine.xml'
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' not in environment
    assert environment['ROS_DOMAIN_ID'] == '5'
    monkeypatch.delenv('FASTDDS_DEFAULT_PROFILES_FILE')
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    assert ros_environment(5)['FASTRTPS_DEFAULT_PROFILES_FILE'].endswith('config/fastdds.xml')
    assert issubclass(shipped.ShippedFileError, EdgeSegNetError)

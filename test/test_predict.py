"""`edgesegnet predict`: what it writes is what the segmenter finds, for every kind of input."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edgesegnet_ros import cli
from edgesegnet_ros.data.bag import ImageFrame, write_image_bag
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.overlay import overlay
from edgesegnet_ros.data.sources import open_source
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines import open_engine
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.prediction import command

SMALL = ['--engine', 'torch', '--precision', 'fp32', '--input-size', '64x96']


@pytest.fixture(scope='module')
def model():
    return open_engine(EngineRequest(engine='torch', precision='fp32', input_size=(64, 96)))


@pytest.fixture
def segmenter(model):
    return Segmenter(model.engine)


@pytest.fixture
def opened(model, monkeypatch):
    """One engine for the tests that are not about opening one."""
    monkeypatch.setattr('edgesegnet_ros.engines.open_engine', lambda request: model)


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """Three frames of a street as files of several formats."""
    folder = tmp_path_factory.mktemp('drive')
    for number, name in enumerate(('a.png', 'b.JPG', 'c.webp')):
        frame = Street(number, (72, 96)).frame(0)
        cv2.imwrite(str(folder / name), frame.image[..., ::-1])
    return folder


def predict(*words, status=0):
    assert cli.main(['predict', *SMALL, *map(str, words)]) == status


def lines(folder):
    return [json.loads(line) for line in (folder / 'frames.jsonl').read_text().splitlines()]


def test_a_folder_of_images_by_value(images, segmenter, tmp_path, capsys):
    predict(images, '--out', tmp_path / 'out', '--json', tmp_path / 'summary.json')
    classes = load_classes('camvid11')
    told = lines(tmp_path / 'out')
    assert [line['frame'] for line in told] == ['a.png', 'b.JPG', 'c.webp']
    for line, name in zip(told, ('a', 'b', 'c'), strict=True):
        image = cv2.imread(str(images / line['frame']))[..., ::-1]
        expected = segmenter.segment(np.ascontiguousarray(image), True)
        ids = cv2.imread(str(tmp_path / f'out/labels/{name}.png'), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(ids, expected.labels)
        colors = cv2.imread(str(tmp_path / f'out/colors/{name}.png'))[..., ::-1]
        np.testing.assert_array_equal(colors, classes.palette[expected.labels])
        shown = cv2.imread(str(tmp_path / f'out/overlays/{name}.png'))[..., ::-1]
        drawn = overlay(image, expected.labels, classes.palette, 0.5)
        np.testing.assert_array_equal(shown, drawn)
        road = (expected.labels == 3).mean()
        assert line['share']['road'] == pytest.approx(road, abs=1e-6)
        assert line['labels'] == f'labels/{name}.png' and line['width'] == 96
        assert line['confidence'] == pytest.approx(expected.confidence.mean() / 255, abs=1e-4)
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['inputs'][0]['frames'] == 3 and summary['engine'] == 'torch'
    assert '3 frames segmented' in capsys.readouterr().out


def test_a_bag_a_video_and_an_image_at_once_with_a_film(images, segmenter, opened, tmp_path):
    av = pytest.importorskip('av')
    street = Street(4, (72, 96))
    frames = [street.frame(number) for number in range(3)]
    write_image_bag(tmp_path / 'bag', [ImageFrame(f.image, None, f.stamp_ns) for f in frames])
    writer = cv2.VideoWriter(
        str(tmp_path / 'v.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10, (96, 72)
    )
    for frame in frames:
        writer.write(frame.image[..., ::-1])
    writer.release()
    inputs = [tmp_path / 'bag', tmp_path / 'v.avi', images / 'a.png']
    predict(*inputs, '--out', tmp_path / 'out', '--write', 'labels', 'film', '--frames', 2)
    assert [len(lines(tmp_path / 'out' / name)) for name in ('bag', 'v', 'a')] == [2, 2, 1]
    for number in range(2):
        path = tmp_path / f'out/bag/labels/{number:06d}.png'
        ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(ids, segmenter.segment(frames[number].image).labels)
    assert not (tmp_path / 'out/bag/overlays').exists()
    with av.open(str(tmp_path / 'out/v/overlay.mp4')) as film:
        assert sum(1 for _ in film.decode(video=0)) == 2


def test_every_second_image_of_a_folder_and_the_images_themselves(images, opened, tmp_path):
    predict(images, '--out', tmp_path / 'out', '--write', 'images', '--every', 2)
    assert [line['frame'] for line in lines(tmp_path / 'out')] == ['a.png', 'c.webp']
    written = cv2.imread(str(tmp_path / 'out/images/c.png'))
    np.testing.assert_array_equal(written, cv2.imread(str(images / 'c.webp')))


def test_an_image_that_cannot_be_read_is_counted_and_named(
    images, opened, tmp_path, caplog, capsys
):
    for path in images.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / 'b.JPG').write_bytes(b'')
    predict(tmp_path, '--out', tmp_path / 'out', '--write', 'labels', status=1)
    assert [line['frame'] for line in lines(tmp_path / 'out')] == ['a.png', 'c.webp']
    assert '2 frames segmented (1 could not be read)' in capsys.readouterr().out
    assert 'b.JPG: it is empty' in caplog.text


def test_pixels_of_low_confidence_are_unlabelled(images, opened, tmp_path):
    predict(images / 'a.png', '--out', tmp_path, '--unlabeled-below', 1.0, '--write', 'labels')
    ids = cv2.imread(str(tmp_path / 'labels/a.png'), cv2.IMREAD_UNCHANGED)
    assert (ids == 255).any() and lines(tmp_path)[0]['unlabeled'] == pytest.approx(
        (ids == 255).mean(), abs=1e-6
    )


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['nowhere', '--out', '{out}'], 'nowhere: no such file or folder'),
        (['{images}', '--out', '{out}', '--frames', '0'], '--frames 0: at least 1'),
        (['{images}', '--out', '{out}', '--unlabeled-below', '2'], '--unlabeled-below 2: 0 to 1'),
        (['{images}', '--out', '{out}', '--every', '0'], '--every 0: at least 1'),
        (['{images}', '--out', '{out}', '--view'], '--view needs a display'),
        (['{images}', '--out', '{out}', '--model', 'none'], "is named 'none'"),
        (['{images}', 'camera:9', '--out', '{out}'], 'camera:9: no such camera'),
    ],
)
def test_usage_errors_are_reported_before_anything_is_written(
    images, tmp_path, capsys, monkeypatch, words, sentence
):
    monkeypatch.delenv('DISPLAY', raising=False)
    out = tmp_path / 'out'
    predict(*(word.format(images=images, out=out) for word in words), status=2)
    assert sentence in capsys.readouterr().err and not out.exists()


def test_results_are_never_mixed_with_older_ones(images, tmp_path, capsys):
    (tmp_path / 'frames.jsonl').write_text('{}\n')
    predict(images, '--out', tmp_path, status=2)
    assert 'holds the results of an earlier run' in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        predict(images, '--out', '/proc/x')
    assert ended.value.code == 2 and 'nothing can be written in /proc' in capsys.readouterr().err


def test_ctrl_c_ends_a_camera_and_keeps_what_was_segmented(images, opened, tmp_path, monkeypatch):
    class Camera:
        name, total, live, skipped = 'camera:0', None, True, 0

        def __iter__(self):
            yield from open_source(str(images / 'a.png'))
            raise KeyboardInterrupt

    monkeypatch.setattr('edgesegnet_ros.data.sources.open_source', lambda *_, **__: Camera())
    predict('camera:0', '--out', tmp_path, '--write', 'labels')
    assert len(lines(tmp_path)) == 1


def test_the_window_shows_each_overlay_and_closing_it_ends(images, opened, tmp_path, monkeypatch):
    shown = []

    class Photo:
        def __init__(self, data, format):  # noqa: A002
            header, rest = data[:15].split(b' 255 ')[0].split(), data
            width, height = int(header[1]), int(header[2])
            pixels = np.frombuffer(rest[-3 * width * height :], np.uint8)
            shown.append(pixels.reshape(height, width, 3))

    class Root:
        def title(self, _):
            pass

        def protocol(self, _, close):
            self.close = close

        def bind(self, *_):
            pass

        def update(self):
            if len(shown) == 2:
                self.close()

        def destroy(self):
            shown.append('destroyed')

    label = SimpleNamespace(pack=lambda: None, configure=lambda image: None)
    tk = SimpleNamespace(Tk=Root, Label=lambda _: label, PhotoImage=Photo, TclError=OSError)
    monkeypatch.setitem(sys.modules, 'tkinter', tk)
    monkeypatch.setenv('DISPLAY', ':9')
    predict(images, '--out', tmp_path, '--view', '--write', 'overlays')
    assert len(lines(tmp_path)) == 2 and shown[-1] == 'destroyed'
    written = cv2.imread(str(tmp_path / 'overlays/a.png'))[..., ::-1]
    np.testing.assert_array_equal(shown[0], written)


def test_folders_of_several_inputs_have_different_names(tmp_path):
    found = command._folders(tmp_path, ['x/drive.mp4', 'y/drive.avi', 'camera:0'])
    assert [folder.name for folder in found] == ['drive', 'drive_2', 'camera_0']

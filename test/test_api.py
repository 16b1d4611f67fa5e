"""The Python interface, and `edgesegnet cache`."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from edgesegnet_ros import Segmenter, cli
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines.request import EngineError

SIZE = (64, 96)


@pytest.fixture(scope='module')
def segmenter():
    options = {'engine': 'torch', 'precision': 'fp32', 'device': 'cpu', 'num_threads': 1}
    with Segmenter.open('edgesegnet-camvid11', input_size=SIZE, **options) as opened:
        yield opened


@pytest.fixture(scope='module')
def image():
    return Street(7, (72, 120)).frame(3).image


def test_labels_confidence_and_groups(segmenter, image):
    labels = segmenter(image)
    assert labels.shape == image.shape[:2] and labels.dtype == np.uint8
    kept = labels.copy()
    assert len(np.unique(segmenter(image[:, ::-1]))) > 1
    assert np.array_equal(labels, kept)  # the result is the caller's
    result = segmenter.segment(image)
    assert np.array_equal(result.labels, labels) and result.confidence.shape == labels.shape
    masks = segmenter.masks(labels)
    ids = segmenter.classes.groups['drivable']
    assert np.array_equal(masks['drivable'], np.isin(labels, ids)) and masks['drivable'].any()
    assert segmenter.description.engine == 'torch' and segmenter.input_size == SIZE


def test_uncertain_pixels_fall_to_the_side_that_is_asked_for(segmenter, image):
    labels, confidence = segmenter.segment(image)
    uncertain = confidence / 255.0 < 0.7
    assert uncertain.any() and not uncertain.all()
    thresholds = {'drivable': 0.7, 'dynamic': 0.7}
    masks = segmenter.masks(
        labels, confidence, min_confidence=thresholds, unlabeled_inside=['dynamic']
    )
    drivable, dynamic, walkable = (
        np.isin(labels, segmenter.classes.groups[name])
        for name in ('drivable', 'dynamic', 'walkable')
    )
    assert np.array_equal(masks['drivable'], drivable & ~uncertain)
    assert np.array_equal(masks['dynamic'], dynamic | uncertain)
    assert np.array_equal(masks['walkable'], walkable)
    for arguments, named, sentence in (
        ((labels,), thresholds, 'needs the confidence'),
        ((labels, confidence[1:]), thresholds, 'shape'),
        ((labels, confidence), {'sea': 0.5}, "no group 'sea'"),
        ((labels, confidence), {'drivable': 1.5}, 'from 0 to 1'),
    ):
        with pytest.raises(ValueError, match=sentence):
            segmenter.masks(*arguments, min_confidence=named)


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (lambda image: image.astype(np.float32), r'not float32: scale values to 0-255'),
        (lambda image: image[..., 0], r'not an array of shape \(72, 120\)'),
        (lambda image: image.transpose(2, 0, 1), r'channels come last, use .transpose'),
        (lambda image: np.dstack([image, image[..., :1]]), r'drop the fourth channel'),
        (lambda image: image[:0], r'not an array of shape \(0, 120, 3\)'),
        (lambda image: image.tolist(), r'not a list: use numpy.asarray'),
    ],
)
def test_an_invalid_image_is_a_value_error(segmenter, image, change, sentence):
    for call in (segmenter, segmenter.segment):
        with pytest.raises(
            ValueError, match=r'expected an \(H, W, 3\) uint8 RGB array.*' + sentence
        ):
            call(change(image))


def test_inputs_that_cannot_be_opened():
    with pytest.raises(
        ValueError, match="resize_mode is one of auto, stretch, letterbox, not 'crop'"
    ):
        Segmenter.open(resize_mode='crop')
    with pytest.raises(TypeError, match='precission'):
        Segmenter.open(precission='fp32')
    with pytest.raises(ValueError, match='unlabeled_below is from 0 to 1'):
        Segmenter(None, unlabeled_below=7.0)


def test_threads_take_turns(segmenter, image):
    expected = [segmenter(picture) for picture in (image, image[:, ::-1])]
    wrong = []

    def work(number):
        for _ in range(5):
            picture = image if number else image[:, ::-1]
            if not np.array_equal(segmenter(picture), expected[0 if number else 1]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_closed_segmenter(image):
    opened = Segmenter.open(
        engine='torch', precision='fp32', device='cpu', input_size=(32, 32), num_threads=1
    )
    opened.close()
    with pytest.raises(EngineError, match='the engine is closed'):
        opened(image)


@pytest.fixture
def built(tmp_path):
    """A cache with one engine of ONNX Runtime, and something of the user's."""
    pytest.importorskip('onnxruntime')
    from edgesegnet_ros.engines.image_sets import ImageSet
    from edgesegnet_ros.engines.proving import proved_engine
    from edgesegnet_ros.engines.recipe import recipe_for
    from edgesegnet_ros.engines.registry import back_end
    from edgesegnet_ros.engines.request import EngineRequest

    request = EngineRequest(precision='fp32', input_size=(32, 32), num_threads=1)
    street = ImageSet('one street', (), 5, 1)
    found = back_end('onnxruntime')
    proved_engine(found, recipe_for(request), tmp_path, street).engine.close()
    (tmp_path / 'notes.txt').write_text('mine')
    return tmp_path


def command(folder, *words):
    told = folder / 'told' / 'told.json'
    words = ['cache', *words, '--engine-cache', str(folder), '--json', str(told)]
    return cli.main(words), json.loads(told.read_text())['engines']


def test_engines_are_listed_verified_and_pruned(built, capsys):
    status, (row,) = command(built, 'verify')
    assert status == 0 and row['state'] == 'can be used'
    assert (row['engine'], row['precision'], row['input_size']) == ('onnxruntime', 'fp32', '32x32')
    assert row['bytes'] > 1e6
    (file,) = built.glob('*.onnx')
    status, (row,) = command(built, 'prune')
    assert row['state'] == 'can be used' and file.exists()
    status, (row,) = command(built, 'prune', '--older-than', '0', '--dry-run')
    assert row['state'] == 'would be removed' and file.exists()
    file.write_bytes(file.read_bytes()[:1000])
    (built / f'{file.stem}.partial7').write_bytes(b'left by a kill')
    assert command(built)[1][0]['state'] == 'can be used'  # a list reads no engine file
    status, (row,) = command(built, 'verify')
    assert status == 1 and 'its engine file is truncated or another one' in row['state']
    status, (row,) = command(built, 'prune')
    assert status == 0 and row['state'] == 'removed'
    assert sorted(path.name for path in built.iterdir()) == ['notes.txt', 'told']
    assert '1 engines' in capsys.readouterr().out


def test_an_engine_that_is_being_built_is_not_pruned(built):
    import fcntl

    (lock,) = built.glob('*.lock')
    with lock.open('r+') as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (row,) = command(built, 'prune', '--all')[1]
    assert row['state'] == 'kept, because another process is using it' and list(
        built.glob('*.onnx')
    )


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['--engine-cache', '/nowhere'], '/nowhere: no such folder of engines'),
        (['prune', '--older-than', '-1'], '--older-than -1.0: 0 or more'),
        (
            ['verify', '--all'],
            '`edgesegnet cache verify` removes nothing',
        ),
    ],
)
def test_wrong_use(words, sentence, capsys):
    assert cli.main(['cache', *words]) == 2
    assert sentence in capsys.readouterr().err

"""What needs a CUDA GPU: the torch engine on it, a training step, resuming, and bench.

Without a GPU every test here is skipped, and says so.
"""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import torch

from edgesegnet_ros import cli
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines import open_engine
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.engines.segmenter import Segmenter

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(),
        reason='SKIPPED FOR WANT OF A GPU: torch sees no CUDA device',
    ),
]
SIZES = [(256, 256), (368, 480)]
AGREEMENT = {'fp32': 0.9999, 'fp16': 0.99, 'bf16': 0.99}


def segment(request, image):
    loaded = open_engine(request)
    done = Segmenter(loaded.engine).segment(image, confidence=True)
    result = done.labels.copy(), done.confidence.copy()
    loaded.engine.close()
    return result


@pytest.fixture(scope='module')
def image():
    return Street(7, (360, 480)).frame(20).image


@pytest.fixture(scope='module', params=SIZES, ids=['256x256', '368x480'])
def size(request):
    return request.param


@pytest.fixture(scope='module')
def reference(size, image):
    request = EngineRequest(engine='torch', precision='fp32', device='cpu', input_size=size)
    return segment(request, image)


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'bf16'])
def test_labels_and_confidence_are_those_of_fp32_on_the_cpu(size, reference, image, precision):
    request = EngineRequest(engine='torch', precision=precision, device='cuda', input_size=size)
    labels, confidence = segment(request, image)
    assert (labels == reference[0]).mean() >= AGREEMENT[precision]
    assert np.abs(confidence.astype(int) - reference[1]).mean() < (1 if precision == 'fp32' else 3)


def test_two_engines_at_once(image):
    """Two threads, each with an engine, also while the other one captures its graph."""
    request = EngineRequest(engine='torch', precision='fp16', device='cuda')
    results: list[list[np.ndarray]] = [[], []]

    def work(number: int) -> None:
        segmenter = Segmenter(open_engine(request).engine)
        for index in range(50):
            picture = image if (index + number) % 2 else image[:, ::-1]
            done = segmenter.segment(np.ascontiguousarray(picture), confidence=index % 3 == 0)
            results[number].append(done.labels.copy())

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for first, second in zip(results[0][:-1], results[1][1:], strict=True):
        assert np.array_equal(first, second)
    assert len(results[0]) == 50 and not np.array_equal(results[0][0], results[0][1])


def test_images_of_many_sizes(image):
    import cv2

    gpu = Segmenter(open_engine(EngineRequest(engine='torch', device='cuda')).engine)
    plain = EngineRequest(engine='torch', precision='fp32', device='cpu')
    reference = Segmenter(open_engine(plain).engine)
    for size in ((480, 360), (64, 48), (1280, 720), (333, 777), (480, 360)):
        picture = cv2.resize(image, size)
        found, expected = gpu.segment(picture).labels, reference.segment(picture).labels
        assert found.shape == size[::-1] and (found == expected).mean() >= 0.98


def test_an_engine_takes_little_more_than_its_graph():
    """At most 1.5 times the bare graph, which is replayed without any copy."""
    from edgesegnet_ros.evaluation.bench.timing import time_frames

    engine = open_engine(EngineRequest(engine='torch', precision='fp16', device='cuda')).engine
    trip = engine._trips[False]

    def bare(image, labels):
        with torch.cuda.stream(trip._stream):
            trip._compute()
        trip._stream.synchronize()

    times, failed = time_frames([bare, engine.infer], (256, 256), 100)
    graph, whole = np.median(times, axis=1)
    assert not failed and whole <= 1.5 * graph and whole < 2.0, (graph, whole)


def train(tmp_path, data, epochs, *more):
    words = ['train', '--data', str(data), '--out', str(tmp_path), '--epochs', str(epochs)]
    words += ['--batch', '2', '--input-size', '64x64', '--crop', '64x64', '--rendered', '0']
    return cli.main([*words, '--device', 'cuda', *more])


@pytest.fixture
def camvid_of_streets(tmp_path):
    import cv2

    from edgesegnet_ros.data.camvid import SPLITS

    data = tmp_path / 'camvid'
    for number, split in enumerate(SPLITS):
        for folder in (data / split, data / f'{split}annot'):
            folder.mkdir(parents=True)
        street = Street(number, (72, 96))
        for index in range(4):
            frame = street.frame(10 * index)
            name = f'0001TP_{index:06d}.png'
            cv2.imwrite(str(data / split / name), frame.image[..., ::-1])
            cv2.imwrite(str(data / f'{split}annot' / name), frame.labels)
    return data


def test_a_training_step_and_resuming(tmp_path, camvid_of_streets):
    out = tmp_path / 'run'
    assert train(out, camvid_of_streets, 1) == 0
    report = tmp_path / 'run.json'
    assert train(out, camvid_of_streets, 2, '--json', str(report)) == 0
    assert json.loads(report.read_text())


def test_bench_compares_with_the_gpus_own_peak(tmp_path):
    report = tmp_path / 'bench.json'
    words = ['bench', '--device', 'cuda', '--input-size', '256x256', '--frames', '10']
    words += ['--networks', 'edgesegnet', '--engines', 'eager,torch', '--out', str(tmp_path)]
    assert cli.main([*words, '--json', str(report)]) == 0
    figures = json.loads(report.read_text())
    assert {peak['device_type'] for peak in figures['peaks']} == {'cuda'}
    assert all(0.0 < row['peak_share'] <= 1.0 for row in figures['rows'])

"""Engines give the reference's labels, and say what they cannot do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgesegnet_ros import shipped
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines import cpu, open_engine, pytorch
from edgesegnet_ros.engines.eager import EagerReference
from edgesegnet_ros.engines.request import EngineError, EngineRequest
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.upsampling import upsample
from edgesegnet_ros.network.weights import WeightsInfo, load_weights, save_weights

SIZE = (128, 160)


@pytest.fixture(scope='module')
def picture():
    return Street(7, SIZE).frame(3).image


@pytest.fixture(scope='module')
def engine():
    request = EngineRequest(engine='torch', input_size=SIZE, precision='fp32', device='cpu')
    return open_engine(request).engine


def test_labels_are_those_of_the_network_as_written(engine, picture):
    model, info = load_weights(shipped.find('models', 'edgesegnet-camvid11'))
    expected, labels = np.empty(SIZE, np.uint8), np.empty(SIZE, np.uint8)
    EagerReference(model, info, SIZE).infer(picture, expected)
    engine.infer(picture, labels)
    assert (labels == expected).mean() > 0.9999
    assert len(np.unique(labels)) > 3


def test_confidence_is_the_winners_probability(engine, picture):
    model, info = load_weights(shipped.find('models', 'edgesegnet-camvid11'))
    labels, confidence = np.empty(SIZE, np.uint8), np.empty(SIZE, np.uint8)
    engine.infer(picture, labels, confidence)
    mean = torch.tensor(info.mean).reshape(1, 3, 1, 1)
    std = torch.tensor(info.std).reshape(1, 3, 1, 1)
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        logits = upsample(model.coarse_logits((pixels - mean) / std), 4) / info.temperature
    expected = torch.softmax(logits, 1).amax(1)[0].numpy() * 255
    assert np.abs(confidence - expected).max() < 1.0


def test_temperature_softens(tmp_path, picture):
    torch.manual_seed(0)
    model = build_network('edgesegnet', 11)
    found = []
    for temperature in (0.05, 5.0):
        path = tmp_path / f'{temperature}.safetensors'
        save_weights(path, model, WeightsInfo('camvid11', 11, SIZE, temperature=temperature))
        engine = open_engine(EngineRequest(str(path), engine='torch', input_size=SIZE)).engine
        labels, confidence = np.empty(SIZE, np.uint8), np.empty(SIZE, np.uint8)
        engine.infer(picture, labels, confidence)
        found.append((labels, confidence.mean()))
    assert np.array_equal(found[0][0], found[1][0]) and found[0][1] > found[1][1]


def test_another_size_than_that_of_the_training_is_reported(tmp_path, caplog):
    path = tmp_path / 'weights.safetensors'
    save_weights(path, build_network('edgesegnet', 11), WeightsInfo('camvid11', 11, SIZE))
    request = EngineRequest(str(path), engine='torch', input_size=SIZE)
    open_engine(request)
    assert not caplog.records
    for _ in range(2):
        open_engine(request._replace(input_size=(64, 96)))
    (record,) = caplog.records
    assert record.levelname == 'WARNING'
    assert 'weights.safetensors was trained for an input of 128x160; at 64x96' in record.message


def test_unlabelled_pixels_have_no_confidence(engine, picture):
    segmenter = Segmenter(engine)
    plain = segmenter.segment(picture, confidence=True)
    certain, labels = plain.confidence.copy(), plain.labels.copy()
    some = segmenter.segment(picture, confidence=True, unlabeled_below=0.6)
    below = certain < 0.6 * 255
    assert below.any() and not below.all()
    assert np.array_equal(some.labels, np.where(below, 255, labels))
    assert np.array_equal(some.confidence, np.where(below, 0, certain))


def test_buffers_are_used_again(engine, picture):
    segmenter = Segmenter(engine)
    first = segmenter.segment(picture).labels
    assert segmenter.segment(picture).labels is first


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        ({'input_size': (250, 256)}, 'multiples of 16, the nearest is 256x256'),
        ({'classes': 'camvid32'}, 'camvid32 has 32 classes'),
        ({'device': 'cuda:77'}, "'cuda:77' is not there"),
        ({'device': 'tpu'}, "'tpu' is unknown"),
        ({'engine': 'torch', 'precision': 'int8', 'device': 'cpu'}, 'fp32, bf16 or fp16'),
        ({'model': 'edgesegnet-camvid12'}, 'there are edgesegnet-camvid11'),
    ],
)
def test_an_unavailable_engine_is_reported(change, sentence):
    with pytest.raises(Exception, match=sentence) as refused:
        open_engine(EngineRequest()._replace(**change))
    assert type(refused.value).__name__.endswith('Error')
    assert not isinstance(refused.value, (ValueError, RuntimeError))


@pytest.mark.parametrize(
    ('flags', 'bf16', 'fastest'),
    [('avx2 fma', False, 'fp32'), ('avx2 avx512f avx512_bf16', True, 'bf16')],
)
def test_precision_is_what_the_cpu_really_has(tmp_path, monkeypatch, flags, bf16, fastest):
    cpuinfo = tmp_path / 'cpuinfo'
    cpuinfo.write_text(f'processor : 0\nmodel name : Some CPU\nflags : {flags}\n')
    assert cpu.has_bf16(cpuinfo) is bf16 and cpu.name(cpuinfo) == 'Some CPU'
    monkeypatch.setattr(pytorch.cpu, 'has_bf16', lambda: bf16)
    device = torch.device('cpu')
    assert pytorch.choose_precision('auto', device)[0] == fastest
    if not bf16:
        with pytest.raises(EngineError, match='would be emulated'):
            pytorch.choose_precision('bf16', device)


def test_never_more_threads_than_cores(monkeypatch, caplog):
    from edgesegnet_ros.engines import recipe

    monkeypatch.setattr(cpu, 'cores', lambda: 3)
    recipe._warn_of_the_threads.cache_clear()
    assert [recipe.threads_of(number) for number in (0, 2, 1024)] == [3, 2, 3]
    assert 'num_threads is 1024, but this process may use 3 cores' in caplog.text
    with pytest.raises(EngineError, match='num_threads is 0 for all cores or a number above 0'):
        recipe.threads_of(-1)


def test_weights_that_are_not_numbers_are_refused_by_the_torch_engine_too(tmp_path):
    path = tmp_path / 'ff.safetensors'
    network = build_network('edgesegnet', 11)
    with torch.no_grad():
        network.refine1.mix.weight.fill_(float('nan'))
    save_weights(path, network, WeightsInfo('camvid11', 11, (32, 32)))
    request = EngineRequest(str(path), engine='torch', precision='fp32', input_size=(32, 32))
    with pytest.raises(EngineError, match='gave NaN or infinite logits; check the weights file'):
        open_engine(request)

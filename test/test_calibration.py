"""Calibration: the figures are torchmetrics', the fit finds a temperature that is known."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torchmetrics.functional.classification import multiclass_calibration_error

from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines import open_engine
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.evaluation.calibration import (
    CalibrationError,
    LogitsReference,
    Reliability,
    fit_temperature,
    sample_pixels,
)
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import (
    WeightsError,
    WeightsInfo,
    load_weights,
    save_weights,
    store_temperature,
)

SIZE = (64, 64)


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('weights') / 'random.safetensors'
    save_weights(
        path,
        build_network('edgesegnet', 11).eval(),
        WeightsInfo('camvid11', 11, SIZE, temperature=1.7),
    )
    return path


def test_two_pictures_by_hand():
    reliability = Reliability()
    confidence = np.array([[255, 255, 51, 51]], np.uint8)
    reliability.add(
        confidence, np.array([[1, 2, 3, 255]], np.uint8), np.array([[1, 1, 3, 4]], np.uint8)
    )
    reliability.add(confidence, np.zeros((1, 4), np.uint8), np.full((1, 4), 255, np.uint8))
    # Four labelled pixels: two of confidence 1, half of them right; two of 0.2, half of them too.
    assert reliability.pixels == 4
    assert reliability.ece() == pytest.approx(0.5 * 0.5 + 0.5 * 0.3)
    filled = [each for each in reliability.bins(5) if each.share]
    assert [(each.low, each.high) for each in filled] == [(0.0, 0.2), (0.8, 1.0)]
    assert [each.accuracy for each in filled] == [0.5, 0.5]
    assert np.isnan(Reliability().ece())


def test_the_error_is_torchmetrics():
    generator = torch.Generator().manual_seed(3)
    probabilities = torch.softmax(3 * torch.randn(20_000, 11, generator=generator), 1)
    truth = torch.multinomial(probabilities**0.5, 1, generator=generator)[:, 0]
    top, ids = probabilities.max(1)
    reliability = Reliability()
    reliability.add(
        *(values.to(torch.uint8).numpy()[None] for values in ((top * 255).round(), ids, truth))
    )
    for bins in (5, 15):
        expected = multiclass_calibration_error(probabilities, truth, 11, n_bins=bins)
        assert expected > 0.1
        assert reliability.ece(bins) == pytest.approx(float(expected), abs=0.003)


def test_a_known_temperature_is_found():
    generator = torch.Generator().manual_seed(5)
    calibrated = 2 * torch.randn(20_000, 11, generator=generator)
    truth = torch.multinomial(torch.softmax(calibrated, 1), 1, generator=generator)[:, 0]
    fit = fit_temperature(2.5 * calibrated, truth)
    assert fit.temperature == pytest.approx(2.5, rel=0.03)
    assert fit.nll_after < fit.nll_before and fit.pixels == 20_000


def test_weights_without_a_temperature_are_refused():
    logits = torch.eye(11).repeat(20, 1)
    with pytest.raises(CalibrationError, match='labels and model belong together'):
        fit_temperature(logits, torch.arange(11).repeat(20))
    with pytest.raises(CalibrationError, match='no labelled pixel'):
        fit_temperature(torch.empty(0, 11), torch.empty(0, dtype=torch.int64))


def test_the_reference_has_the_engines_confidence(weights):
    request = EngineRequest(str(weights), engine='torch', precision='fp32', input_size=SIZE)
    segmenter = Segmenter(open_engine(request).engine, 'letterbox')
    reference = LogitsReference(*load_weights(weights), SIZE, 'letterbox')
    frame = Street(2, (90, 120)).frame(0)
    found = segmenter.segment(frame.image, confidence=True)
    through_engine, through_logits = Reliability(), Reliability()
    through_engine.add(found.confidence, found.labels, frame.labels)
    reference.count(frame.image, frame.labels, {1.7: through_logits})
    assert through_engine.pixels == (frame.labels != 255).sum()
    # Folding and rounding may move a confidence by one level.
    assert through_logits.ece() == pytest.approx(through_engine.ece(), abs=0.005)
    assert abs(through_logits.hits.sum() - through_engine.hits.sum()) <= 20


def test_the_sample_is_the_pixels_that_are_scored(weights):
    reference = LogitsReference(*load_weights(weights), SIZE)
    frame = Street(2, (90, 120)).frame(0)
    pair = (frame.image, frame.labels)
    logits, truth = sample_pixels(reference, [pair], 1)
    assert logits.shape == ((frame.labels != 255).sum(), 11) and len(truth) == len(logits)
    whole = Reliability()
    reference.count(*pair, {1.0: whole})
    assert int((logits.argmax(1) == truth).sum()) == whole.hits.sum()
    few, _ = sample_pixels(reference, [pair, pair], 2, most=500)
    assert 250 <= len(few) <= 500


def test_storing_a_temperature_moves_no_bit_of_the_weights(weights, tmp_path):
    path = tmp_path / 'copy.safetensors'
    path.write_bytes(weights.read_bytes())
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    store_temperature(path, 1.25)
    assert hashlib.sha256(path.read_bytes()).hexdigest() != before
    with safe_open(weights, 'pt') as old, safe_open(path, 'pt') as new:
        assert list(old.keys()) == list(new.keys())
        for name in old.keys():
            assert new.get_tensor(name).dtype == old.get_tensor(name).dtype
            assert torch.equal(new.get_tensor(name), old.get_tensor(name))
        info = json.loads(new.metadata()['info'])
        assert info.pop('temperature') == 1.25
        assert info.items() <= json.loads(old.metadata()['info']).items()
    store_temperature(path, 1.7)
    # The order of a header's entries is the library's own business, and differs between runs.
    with safe_open(weights, 'pt') as old, safe_open(path, 'pt') as new:
        assert new.metadata() == old.metadata()
        assert all(torch.equal(new.get_tensor(name), old.get_tensor(name)) for name in old.keys())


@pytest.mark.parametrize('temperature', [0.0, -1.0, float('nan'), float('inf')])
def test_no_temperature(weights, temperature):
    with pytest.raises(ValueError, match='above 0 and finite'):
        store_temperature(weights, temperature)


def test_a_failed_write_keeps_the_old_file(weights, tmp_path, monkeypatch):
    path = tmp_path / 'copy.safetensors'
    path.write_bytes(weights.read_bytes())

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(WeightsError, match='No space left.*copy the file to a folder'):
        store_temperature(path, 2.0)
    assert path.read_bytes() == weights.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ['copy.safetensors']

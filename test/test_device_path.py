"""The way of an image through a GPU, tested on the CPU as far as it is the same."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines import pytorch
from edgesegnet_ros.engines.device_path import DevicePath
from edgesegnet_ros.engines.pytorch import TorchEngine
from edgesegnet_ros.engines.recipe import recipe_for
from edgesegnet_ros.engines.request import EngineError, EngineRequest
from edgesegnet_ros.engines.round_trip import RoundTrip

SIZE = (64, 96)
CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def recipe():
    request = EngineRequest(precision='fp32', device='cpu', num_threads=1, input_size=SIZE)
    return recipe_for(request)


@pytest.fixture(scope='module')
def images():
    street = Street(7, SIZE)
    return [street.frame(number).image for number in (3, 30)]


@pytest.fixture(scope='module')
def expected(recipe, images):
    """What the engine on the CPU gives."""
    engine = TorchEngine(recipe)
    results = []
    for image in images:
        labels, confidence = np.empty(SIZE, np.uint8), np.empty(SIZE, np.uint8)
        engine.infer(image, labels, confidence)
        results.append((labels, confidence))
    engine.close()
    return results


@pytest.mark.parametrize('form', [torch.channels_last, torch.contiguous_format])
def test_a_padded_network_between_two_copies_gives_the_cpu_engines_labels(
    recipe, images, expected, form
):
    network = recipe.network(padded=True).to(memory_format=form)
    assert {value.shape[0] % 8 for value in network.parameters()} == {0, 11 % 8}
    path = DevicePath(recipe, network, CPU, torch.float32, form)
    plain, sure = RoundTrip(path, confidence=False), RoundTrip(path, confidence=True)
    for image, (labels, confidence) in zip(images, expected):
        maps, finite = sure.run(image)
        assert finite and maps.shape == (2, *SIZE)
        assert (maps[0] == labels).mean() > 0.999
        assert np.abs(maps[1].astype(int) - confidence).max() <= 1
        maps, finite = plain.run(image)
        assert finite and maps.shape == (1, *SIZE)
        assert (maps[0] == labels).mean() > 0.999


def test_logits_that_are_not_finite_come_down_as_a_flag(recipe, images):
    value = [0.0]
    path = DevicePath(recipe, lambda _: torch.full((1, 11, 16, 24), value[0]), CPU)
    trip = RoundTrip(path, confidence=True)
    for value[0], finite in ((1.0, True), (float('nan'), False), (1.0, True), (np.inf, False)):
        assert trip.run(images[0])[1] is finite


def test_the_engine_takes_the_round_trip_on_a_gpu(recipe, images, expected, monkeypatch, caplog):
    """The engine's side of it, with a device that only claims to be a GPU."""

    class Device(nullcontext):
        pass

    engine = TorchEngine(recipe)
    engine._on_cpu = False
    monkeypatch.setattr(torch.cuda, 'device', Device)
    for image, (labels, confidence) in zip(images, expected):
        found, sure = np.empty(SIZE, np.uint8), np.empty(SIZE, np.uint8)
        engine.infer(image, found)
        assert np.array_equal(found, labels)
        engine.infer(image, found, sure)
        assert np.array_equal(found, labels) and np.array_equal(sure, confidence)
    assert sorted(engine._trips) == [False, True]
    assert not torch.backends.cudnn.benchmark

    def full(*_):
        raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB\nmore')

    monkeypatch.setattr(pytorch.RoundTrip, 'run', full)
    with pytest.raises(EngineError, match=r'failed on cpu: CUDA out of memory. .* 2 GiB$'):
        engine.infer(images[0], found)
    engine.close()

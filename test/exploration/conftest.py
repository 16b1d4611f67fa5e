"""Fixtures of the exploration's tests: data, and substitutes for measuring and training."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from edgesegnet_ros.data.classes import load_classes


@pytest.fixture(scope='module')
def shared():
    from small_study import SIZE

    from edgesegnet_ros.exploration.data import SharedData

    chance = np.random.default_rng(0)
    images = chance.integers(0, 255, (8, 3, *SIZE), np.uint8)
    labels = (images[:, 0] > 127).astype(np.uint8)
    pool = SimpleNamespace(images=images, labels=labels, logits=None)
    val = [(image.transpose(1, 2, 0), truth) for image, truth in zip(images, labels, strict=True)]
    return SharedData(load_classes('camvid11'), pool, val[:2])


@pytest.fixture
def quick(monkeypatch):
    """Replace measured latency by the amount of arithmetic, and use one thread."""

    from small_study import arithmetic

    from edgesegnet_ros.exploration import worker

    class Watch:
        def __init__(self, settings, classes, reference):
            pass

        def reference_ms(self):
            return 10.0

        def share(self, design):
            return arithmetic(design.as_yaml())['gmac']

        def close(self):
            pass

    monkeypatch.setattr(worker, 'RelativeLatency', Watch)
    monkeypatch.setattr(worker, 'counted', lambda design, *_: dict(arithmetic(design.as_yaml())))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def decreed(monkeypatch):
    """Replace training by a formula: accuracy falls with the arithmetic that is left out."""

    from small_study import arithmetic

    from edgesegnet_ros.exploration import worker

    def train(design, shared, settings, judge, deadline):
        cost = arithmetic(design.as_yaml())['gmac']
        scores = SimpleNamespace(pixel_accuracy=0.9 - 0.002 / cost, miou=0.5)
        trained = SimpleNamespace(network=None, scores=scores, steps=0)
        for steps in settings.rungs:
            trained.steps = steps
            if not judge(trained):
                break
        return trained

    monkeypatch.setattr(worker, 'train_candidate', train)
    monkeypatch.setattr(worker, 'save_weights', lambda *_: None)
    monkeypatch.setattr(
        worker,
        'probe',
        lambda *_: [
            SimpleNamespace(
                _asdict=lambda: {
                    'part': 'stage4',
                    'choice': 'stage4_width',
                    'value': 96,
                    'lost': 0.0,
                    'share': 0.5,
                    'advice': 0.05,
                }
            )
        ],
    )

"""Requirement, performance, design space and diagrams of the exploration."""

import random

import pytest
import torch

optuna = pytest.importorskip('optuna')

from small_study import SIZE  # noqa: E402

from edgesegnet_ros.exploration.diagram import diagram  # noqa: E402
from edgesegnet_ros.exploration.figures import counted  # noqa: E402
from edgesegnet_ros.exploration.performance import netscore  # noqa: E402
from edgesegnet_ros.exploration.plots import Point, pareto_front  # noqa: E402
from edgesegnet_ros.exploration.requirement import (  # noqa: E402
    FIGURES,
    RequirementError,
    read_requirement,
)
from edgesegnet_ros.exploration.settings import Settings  # noqa: E402
from edgesegnet_ros.exploration.space import (  # noqa: E402
    PROTOTYPE,
    SPACE,
    design_from,
    prototype,
)
from edgesegnet_ros.network.design_file import read_design  # noqa: E402
from edgesegnet_ros.network.registry import build_network  # noqa: E402


def test_requirement():
    wanted = read_requirement('accuracy >= 0.88 and size_mb <= 16.7 and latency_ms < 20')
    figures = {'accuracy': 0.9, 'size_mb': 16.7, 'latency_ms': 20.0}
    assert [str(clause) for clause in wanted.failed(figures)] == ['latency_ms < 20']
    assert wanted.excess(figures) > 0
    assert not wanted.failed({**figures, 'latency_ms': 19.9})
    assert wanted.excess({**figures, 'latency_ms': 30.0}) == pytest.approx(0.5)
    assert wanted.failed({**figures, 'accuracy': float('nan')})
    assert not read_requirement('').clauses


@pytest.mark.parametrize(
    'text, message',
    [
        ('acuracy >= 0.9', r"column 1: 'acuracy' is unknown; there are accuracy, miou"),
        ('miou > 0.5 and fps >= 30', r"column 16: 'fps' is unknown"),
        ('miou > 0.5 or gmac < 1', 'joined by `and` alone'),
        ('__import__("os").system("true") > 0', 'begins with the name of a figure'),
        ('miou > gmac', 'ends with a number'),
        ('miou > True', 'ends with a number'),
        ('0.2 < miou < 0.5', 'compares one figure with one number'),
        ('miou == 0.5', 'a comparison is one of >=, >, <=, <'),
        ('miou >', 'no expression'),
        ('miou', 'compares one figure'),
        ('(' * 300, 'no expression'),
    ],
)
def test_invalid_requirements_are_refused(text, message):
    with pytest.raises(RequirementError, match=message):
        read_requirement(text)


BY_NETSCORE = [
    # Name, top-1 %, parameters in millions, 10⁹ multiply-accumulates, of the paper that it names.
    ('SqueezeNext 1.0-23', 59.05, 0.72, 0.282),  # arXiv 1803.10615
    ('CondenseNet, G=C=8', 71.0, 2.9, 0.274),  # arXiv 1711.09224
    ('MobileNetV2', 72.0, 3.4, 0.300),  # arXiv 1801.04381, Table 4
    ('Tiny Darknet', 58.7, 1.0, 0.49),  # pjreddie.com/darknet/tiny-darknet: 4.0 MB, 980 Mop
    ('MobileNetV1 1.0-128', 64.4, 4.2, 0.186),  # arXiv 1704.04861, Table 7
    ('MobileNetV1 1.0-160', 67.2, 4.2, 0.290),
    ('MobileNetV1 1.0-192', 69.1, 4.2, 0.418),
    ('ZynqNet', 63.0, 2.5, 0.530),  # arXiv 2005.06892
    ('DenseNet-121', 74.98, 7.98, 2.87),  # arXiv 1608.06993
    ('ResNet-50', 75.3, 25.6, 3.8),  # arXiv 1512.03385, and its authors' models
]
"""In the order that Wong's comparison of 60 networks is said to have by NetScore (arXiv
1806.05512): ranks 1 to 6, 9, 10, 26 and 33, from notes on its figure. Its values were not found,
and the figures here were not compared with the named papers once more. ShuffleNet, on ranks 7 and
8, is left out: with the figures that were at hand it would not have been in order.
"""


def test_netscore():
    scores = [netscore(top1 / 100, 1e6 * params, gmac) for _, top1, params, gmac in BY_NETSCORE]
    assert scores == sorted(scores, reverse=True)
    # 20·log10(a²/√(p·m)): MobileNet's own figures (arXiv 1704.04861, Table 8).
    assert netscore(0.706, 4.2e6, 0.569) == pytest.approx(70.17, abs=0.01)
    # Ten times the parameters cost 10 dB, as ten times the arithmetic does.
    assert netscore(0.9, 1e6, 1.0) - netscore(0.9, 1e7, 1.0) == pytest.approx(10.0)
    assert netscore(0.9, 1e6, 1.0) - netscore(0.9, 1e6, 10.0) == pytest.approx(10.0)
    assert netscore(0.0, 1e6, 1.0) == float('-inf')


def test_every_choice_can_be_built():
    chance = random.Random(1)
    image = torch.zeros(1, 3, 48, 64, device='meta')
    for number in range(8):
        choices = {name: chance.choice(values) for name, values in SPACE.items()}
        with torch.device('meta'):
            network = build_network(design_from(choices, f'n{number}'), 5).eval()
        assert network.coarse_logits(image).shape == (1, 5, 12, 16)
    assert prototype() == read_design('phi')
    assert all(PROTOTYPE[name] in values for name, values in SPACE.items())
    assert set(counted(prototype(), 5, SIZE)) < set(FIGURES)


def test_the_first_rung_has_enough_steps():
    assert Settings(steps=54, halving=False).rungs == [18, 54]
    assert Settings(steps=54).rungs == [54]
    assert Settings(steps=1350).rungs == [150, 450, 1350]
    assert Settings(steps=12).rungs == [12]


def test_diagrams_and_front():
    for design in (prototype(), build_network('edgesegnet', 11).design):
        drawn = diagram(design)
        assert drawn.count('<rect') == len(design.layers) + 2
    points = [Point(1, 1, ''), Point(2, 3, ''), Point(3, 2, ''), Point(4, 4, '')]
    assert pareto_front(points) == [points[0], points[1], points[3]]

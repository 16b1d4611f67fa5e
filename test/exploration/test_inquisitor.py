"""The inquisitor's advice is an expected change of U, and children follow it to new designs."""

from __future__ import annotations

import numpy as np
import pytest

optuna = pytest.importorskip('optuna')

from edgesegnet_ros.exploration import history  # noqa: E402
from edgesegnet_ros.exploration.figures import counted  # noqa: E402
from edgesegnet_ros.exploration.generator import Generator  # noqa: E402
from edgesegnet_ros.exploration.inquisitor import probe, share_lacking  # noqa: E402
from edgesegnet_ros.exploration.performance import performance  # noqa: E402
from edgesegnet_ros.exploration.settings import Settings  # noqa: E402
from edgesegnet_ros.exploration.space import (  # noqa: E402
    PROTOTYPE,
    SPACE,
    design_from,
    prototype,
)
from edgesegnet_ros.network.registry import build_network  # noqa: E402

SIZE = (32, 32)
SPREAD = {
    name: optuna.distributions.CategoricalDistribution(values) for name, values in SPACE.items()
}


def trial_of(choices, accuracy, u=1.0, findings=()):
    return optuna.trial.create_trial(
        params=dict(choices),
        distributions=SPREAD,
        value=u,
        user_attrs={
            history.FIGURES: {'accuracy': accuracy},
            history.PERFORMANCE: u,
            history.EXCESS: 0.0,
            history.FINDINGS: [
                {'choice': choice, 'value': value, 'lost': lost, 'advice': advice}
                for choice, value, lost, advice in findings
            ],
        },
    )


def test_advice_is_the_expected_change_of_u():
    chance = np.random.default_rng(0)
    val = [
        (chance.integers(0, 255, (*SIZE, 3), np.uint8), chance.integers(0, 11, SIZE, np.uint8))
        for _ in range(2)
    ]
    figures = {'accuracy': 0.6, 'latency_ms': 4.0, **counted(prototype(), 11, SIZE)}
    network = build_network(prototype(), 11).eval()
    found = probe(
        network, PROTOTYPE, val, SIZE, figures, lambda of: performance('netscore', of), 0.5
    )
    assert [one.advice for one in found] == sorted((one.advice for one in found), reverse=True)
    for part, growth in (('last block of stage4', -1), ('more channels in stage1', 1)):
        one = next(one for one in found if one.part == part)
        changed = counted(design_from({**PROTOTYPE, one.choice: one.value}, 'x'), 11, SIZE)
        u = performance('netscore', {**changed, 'accuracy': 0.6 + 0.5 * growth * one.lost})
        assert one.advice == pytest.approx(u - performance('netscore', figures))


def test_what_removal_costs_is_learned_from_networks_without_the_part():
    findings = [('stage4_blocks', 1, 0.4, 1.0), ('stage1_width', 64, 0.2, 1.0)]
    parent = trial_of(PROTOTYPE, 0.8, findings=findings)
    assert share_lacking([parent]) == pytest.approx(0.3)
    worse = trial_of({**PROTOTYPE, 'stage4_blocks': 1}, 0.76)
    better = trial_of({**PROTOTYPE, 'stage1_width': 64}, 0.82)
    other = trial_of({**PROTOTYPE, 'stage4_blocks': 1, 'stem_width': 8}, 0.1)  # not only advised
    assert 0.1 < share_lacking([parent, worse, better, other]) < 0.12


def test_children_follow_the_advice_to_designs_that_were_not_tried():
    study = optuna.create_study(
        direction='maximize', sampler=Generator(Settings(population=2, seed=3))
    )
    advised = [('stage4_blocks', 1, 0.0, 9.0), ('stage3_blocks', 3, 0.0, -30.0)]
    study.add_trial(trial_of(PROTOTYPE, 0.8, 2.0, advised))
    study.add_trial(trial_of({**PROTOTYPE, 'stem_width': 8}, 0.8))
    children = []
    for _ in range(16):
        trial = study.ask()
        choices = {name: trial.suggest_categorical(name, values) for name, values in SPACE.items()}
        if trial.number % 2 == 0:
            children.append(choices)
        trial.set_user_attr(history.EXCESS, 0.0)
        study.tell(trial, 0.0)
    tried = [tuple(one.items()) for one in children]
    assert len(set(tried)) == len(tried) == 8 and tuple(PROTOTYPE.items()) not in tried
    assert sum(one['stage4_blocks'] == 1 for one in children) >= 5

"""The search: generators, acceptance, halving, and the candidates that fail."""

import json
from xml.etree import ElementTree

import pytest
import torch

optuna = pytest.importorskip('optuna')

from small_study import SIZE, TINY, explorer_of  # noqa: E402

from edgesegnet_ros.exploration import history, worker  # noqa: E402
from edgesegnet_ros.exploration.candidate import Diverged  # noqa: E402
from edgesegnet_ros.exploration.comparison import compared_studies  # noqa: E402
from edgesegnet_ros.exploration.inquisitor import probe  # noqa: E402
from edgesegnet_ros.exploration.page import agreement  # noqa: E402
from edgesegnet_ros.exploration.requirement import FIGURES  # noqa: E402
from edgesegnet_ros.exploration.results import figures_of, write_results  # noqa: E402
from edgesegnet_ros.exploration.settings import Settings  # noqa: E402
from edgesegnet_ros.exploration.space import (  # noqa: E402
    PROTOTYPE,
    SPACE,
    design_from,
    prototype,
)
from edgesegnet_ros.network.registry import build_network  # noqa: E402


def test_only_better_generators_are_accepted(tmp_path, shared, quick, decreed, capsys):
    explorer, study = explorer_of(tmp_path, shared)
    explorer.run(9)
    trials = study.get_trials()
    assert trials[0].params == PROTOTYPE
    assert all(sum(t.params[name] != PROTOTYPE[name] for name in SPACE) <= 3 for t in trials[1:3])
    found = history.generations(trials, 3)
    assert len(found) == 3 and found[0].accepted
    accepted = [one.best_u for one in found if one.accepted]
    assert accepted == sorted(set(accepted)) and len(accepted) >= 2
    best = history.best_of(trials)
    assert best.user_attrs[history.PERFORMANCE] == accepted[-1]
    # A child follows the inquisitor's advice.
    assert any(t.params['stage4_width'] == 96 for t in trials[4::2])

    report, url = tmp_path / 'out', f'sqlite:///{tmp_path / "s.db"}'
    report.mkdir()
    assert write_results(study, url, TINY, report, 1.0, str(tmp_path / 'x.json')) == 0
    figures = json.loads((tmp_path / 'x.json').read_text())
    assert set(figures['generators'][0]) >= {'index', 'best_u', 'mean_u', 'feasible'}
    keys = {'design', 'params', 'gmac', 'pixel_accuracy', 'miou', 'latency_ms', 'u'}
    assert set(figures['best']) >= keys
    page = (report / 'report.html').read_text()
    for words in ('Block diagram of EdgeSegNet', 'inquisitor', '--no-halving', 'Ĝ0'):
        assert words in page
    assert 'http' not in page.replace('http-equiv', '').replace('http://www.w3.org', '')
    written = design_from(best.params, best.user_attrs[history.DESIGN]['name'])
    assert (report / 'best.yaml').read_text() == written.as_yaml()
    drawn = ElementTree.parse(report / 'best.svg').getroot()  # well-formed, without the page
    assert drawn.tag.endswith('svg') and 'var(--' not in (report / 'best.svg').read_text()


def test_a_requirement_that_no_network_meets(tmp_path, shared, quick, decreed, capsys):
    settings = Settings(
        **{**vars(TINY), 'requirement': 'accuracy >= 0.99 and gmac <= 1', 'population': 2}
    )
    explorer, study = explorer_of(tmp_path, shared, settings)
    explorer.run(4)
    assert (
        write_results(study, f'sqlite:///{tmp_path / "s.db"}', settings, tmp_path, 1.0, None) == 1
    )
    said = capsys.readouterr().out
    assert 'none of 4 networks meets the requirement' in said
    assert '   4 failed accuracy >= 0.99' in said and 'failed gmac' not in said
    rows = said.split('the nearest misses:\n')[1].splitlines()[:3]
    accuracies = [float(row.split()[2]) for row in rows]
    trained = (trial.user_attrs[history.FIGURES]['accuracy'] for trial in study.get_trials())
    assert accuracies == [round(100 * one, 2) for one in sorted(trained, reverse=True)[:3]]
    assert all(row.endswith('misses accuracy >= 0.99') for row in rows)


def test_with_and_without_the_inquisitor(tmp_path, shared, quick, decreed):
    explorer, study = explorer_of(tmp_path, shared)
    explorer.run(4)
    url = f'sqlite:///{tmp_path / "s.db"}'
    assert not compared_studies(study, TINY, url)
    alone = Settings(**{**vars(TINY), 'inquisitor': False})
    explorer, _ = explorer_of(tmp_path, shared, alone, 'alone')
    explorer.run(5)
    explorer_of(tmp_path, shared, Settings(**{**vars(TINY), 'seed': 9}), 'other seed')
    assert [one.study for one in compared_studies(study, TINY, url)] == ['study', 'alone']
    assert write_results(study, url, TINY, tmp_path, 1.0, str(tmp_path / 'x.json')) == 0
    with_it, without = json.loads((tmp_path / 'x.json').read_text())['comparison']
    assert (with_it['inquisitor'], with_it['networks'], without['networks']) == (True, 4, 5)
    assert with_it['best_u'] == with_it['best_u_of_equally_many'] > 0
    page = (tmp_path / 'report.html').read_text()
    assert 'Over the first 4 networks of each' in page and 'Best U with and without' in page


def test_a_candidate_that_diverges_is_infeasible(tmp_path, shared, quick, decreed, monkeypatch):
    def diverge(*_):
        raise Diverged('the loss is nan after 3 steps')

    monkeypatch.setattr(worker, 'train_candidate', diverge)
    explorer, study = explorer_of(tmp_path, shared)
    explorer.run(1)

    def starve(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(worker, 'train_candidate', starve)
    explorer.run(1)
    reasons = [trial.user_attrs[history.REASON] for trial in study.get_trials()]
    assert reasons[0].startswith('diverged: the loss is nan')
    assert reasons[1].startswith('out of memory')
    assert figures_of(study, TINY, 1.0)['infeasible'] == {'diverged': 1, 'out of memory': 1}


def test_a_real_candidate_is_trained_measured_and_probed(tmp_path, shared):
    settings = Settings(**{**vars(TINY), 'requirement': '', 'steps': 3, 'engine': 'torch'})
    explorer, study = explorer_of(tmp_path, shared, settings)
    explorer.run(1)
    explorer.close()
    (trial,) = study.get_trials()
    assert trial.state.name == 'COMPLETE', trial.user_attrs.get(history.REASON)
    assert set(trial.user_attrs[history.FIGURES]) == set(FIGURES)
    assert 0 < trial.user_attrs[history.FIGURES]['accuracy'] <= 1
    choices = {finding['choice'] for finding in trial.user_attrs[history.FINDINGS]}
    assert {'stage1_blocks', 'stage4_width', 'shortcut8'} <= choices <= set(SPACE)
    network = build_network(prototype(), 11).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    figures = trial.user_attrs[history.FIGURES]
    assert probe(network, PROTOTYPE, shared.val, SIZE, figures, lambda found: found['accuracy'])
    assert not network.severed and not network.stage1._forward_hooks
    assert all(torch.equal(before[name], v) for name, v in network.state_dict().items())


def test_without_halving_every_candidate_is_trained_fully(tmp_path, shared, quick, decreed):
    settings = Settings(**{**vars(TINY), 'steps': 45, 'halving': False})
    explorer, study = explorer_of(tmp_path, shared, settings)
    explorer.run(4)
    trials = study.get_trials()
    assert all(trial.state.name == 'COMPLETE' for trial in trials)
    # The formula gives the same accuracy at both rungs.
    assert 'rank correlation (Spearman) of 1.00. No network was' in agreement(trials, settings)

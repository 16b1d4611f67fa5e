"""The page of `edgesegnet explore`: one self-contained file."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from markupsafe import Markup
from optuna.trial import FrozenTrial, TrialState

from edgesegnet_ros.atomic_file import write_text
from edgesegnet_ros.evaluation.provenance import as_shell, machine, software
from edgesegnet_ros.evaluation.report.page import number, percent, render
from edgesegnet_ros.exploration import comparison, history, plots
from edgesegnet_ros.exploration.diagram import diagram
from edgesegnet_ros.exploration.settings import Settings
from edgesegnet_ros.exploration.space import SPACE, prototype
from edgesegnet_ros.network.design_file import design_of, read_design

_FINDINGS = 8
_LEAST_FOR_IMPORTANCE = 5
_COSTS = {
    'latency_ms': ('latency, ms', 'Accuracy against latency on {engine} {precision}.'),
    'size_mb': ('size, MiB in fp32', 'Accuracy against size.'),
    'gmac': ('10⁹ multiply-accumulates', 'Accuracy against arithmetic.'),
}


def write_page(
    study: optuna.Study,
    settings: Settings,
    figures: Mapping[str, Any],
    out: Path,
    compared: Sequence[comparison.ComparedStudy] = (),
) -> Path:
    """Write the report atomically.

    Args:
        study: With its trials.
        settings: Its settings.
        figures: What --json writes.
        out: The file.
        compared: With and without the inquisitor, where both were tried.

    Raises:
        WriteError: It cannot be written.
    """
    trials = study.get_trials(deepcopy=False)
    best = history.best_of(trials)
    trained = [t for t in trials if t.user_attrs.get(history.RUNGS)]
    given = settings.stored()
    html = render(
        'explore.html.j2',
        title='Design exploration',
        subtitle=f'{figures["networks"]} networks, U is {settings.performance}, requirement: '
        f'{settings.requirement or "none"}; trained on '
        f'{Path(settings.data).name or "rendered streets"} for up to {settings.steps} steps',
        sentences=_sentences(figures, settings),
        cards=_cards(figures),
        fronts=[
            (
                Markup(plots.scatter(caption, _points(trained, cost, best), title, 'accuracy, %')),
                caption.format(engine=settings.engine, precision=settings.precision),
            )
            for cost, (title, caption) in _COSTS.items()
        ],
        generators=figures['generators'],
        climbing=Markup(_climbing(figures, trained, settings)),
        importance=Markup(plots.bars('Importance of the choices', importance(study))),
        parallel=Markup(_parallel(trained, best)),
        findings=best.user_attrs.get(history.FINDINGS, [])[:_FINDINGS] if best else [],
        inquisitor=_inquisitor(settings),
        compared=comparison.in_words(compared, settings.population) if compared else '',
        comparison=Markup(comparison.plot(compared)) if compared else None,
        diagrams=_diagrams(best),
        design=_design_text(best),
        agreement=agreement(trained, settings),
        ranks=Markup(_ranks(trained, settings, best)),
        infeasible=figures['infeasible'],
        facts=[
            *((name, str(value)) for name, value in machine().items()),
            *software(['numpy', 'torch', 'optuna', 'openvino']).items(),
            ('hours', f'{figures["seconds"] / 3600:.2f} of this call'),
            ('worker time', f'{_worker_hours(trials):.2f} hours, in all'),
        ],
        command=as_shell([Path(sys.argv[0]).name, *sys.argv[1:]]),
        options=given,
    )
    write_text(out, html)
    return out


def _sentences(figures: Mapping[str, Any], settings: Settings) -> list[str]:
    accepted = [one for one in figures['generators'] if one['accepted']]
    best = figures['best']
    if best is None:
        return [
            f'None of {figures["networks"]} networks meets the requirement '
            f'{settings.requirement or "(none)"} after full training.'
        ]
    sentences = [
        f'The best network has U {best["u"]:.2f}: {percent(best["pixel_accuracy"])} of the pixels '
        f'of val right, {best["params"] / 1e6:.2f} million parameters, {best["gmac"]:.3g} GMAC, '
        f'{best["latency_ms"]:.1f} ms.'
    ]
    if accepted:
        rose = accepted[-1]['best_u'] - accepted[0]['best_u']
        sentences.append(
            f'{len(accepted)} of {len(figures["generators"])} generators were accepted; from the '
            f'first of them to the last, the best U rose by {rose:.2f}.'
        )
    return sentences


def _cards(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    best = figures['best'] or {}
    return [
        {'label': 'U', 'value': number(best.get('u'), 2), 'aside': 'of the best network'},
        {'label': 'accuracy', 'value': percent(best.get('pixel_accuracy')), 'aside': 'on val'},
        {'label': 'latency', 'value': number(best.get('latency_ms'), 1, 'ms'), 'aside': ''},
        {'label': 'arithmetic', 'value': number(best.get('gmac'), 3, 'GMAC'), 'aside': ''},
    ]


def _words(trial: FrozenTrial) -> str:
    own = trial.user_attrs[history.FIGURES]
    return (
        f'network {trial.number}: {100 * own.get("accuracy", math.nan):.2f} %, '
        f'{own["params"] / 1e6:.2f} M, {own["gmac"]:.3g} GMAC, {own["latency_ms"]:.1f} ms, '
        f'U {trial.user_attrs[history.PERFORMANCE]:.2f}, {trial.user_attrs[history.RUNGS][-1][0]} '
        'steps'
    )


def _points(
    trained: Sequence[FrozenTrial], cost: str, best: FrozenTrial | None
) -> list[plots.Point]:
    return [
        plots.Point(
            trial.user_attrs[history.FIGURES][cost],
            100 * trial.user_attrs[history.FIGURES]['accuracy'],
            _words(trial),
            best is not None and trial.number == best.number,
            trial.state != TrialState.COMPLETE,
        )
        for trial in trained
    ]


def _climbing(
    figures: Mapping[str, Any], trained: Sequence[FrozenTrial], settings: Settings
) -> str:
    points = [
        plots.Point(
            trial.number // settings.population,
            trial.user_attrs[history.PERFORMANCE],
            _words(trial),
            not history.is_feasible(trial),
        )
        for trial in trained
        if trial.state == TrialState.COMPLETE
    ]
    return plots.climbing('U of the generators', figures['generators'], points)


def importance(study: optuna.Study) -> dict[str, float]:
    """The share of each choice in U; empty if too few networks were trained."""
    states = (TrialState.COMPLETE,)
    if len(study.get_trials(deepcopy=False, states=states)) < _LEAST_FOR_IMPORTANCE:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    try:
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):
        return {}
    total = sum(found.values())
    return {name: value / total for name, value in found.items()} if total > 0 else {}


def _parallel(trained: Sequence[FrozenTrial], best: FrozenTrial | None) -> str:
    values = [trial.user_attrs[history.PERFORMANCE] for trial in trained]
    low, high = min(values, default=0.0), max(values, default=1.0)
    lines = []
    for trial in trained:
        heights = [
            values.index(trial.params[name]) / max(1, len(values) - 1)
            for name, values in SPACE.items()
        ]
        height = (trial.user_attrs[history.PERFORMANCE] - low) / max(high - low, 1e-9)
        is_best = best is not None and trial.number == best.number
        lines.append(([*heights, height], 1.0 if is_best else 0.9 * height, _words(trial)))
    axes = {name: tuple(str(value) for value in values) for name, values in SPACE.items()}
    axes['U'] = (f'{low:.1f}', f'{high:.1f}')
    return plots.parallel('Choices of the networks', axes, lines)


def _inquisitor(settings: Settings) -> str:
    if settings.inquisitor:
        return (
            'Half of the networks after the first generator are children of the best network, '
            'changed where the inquisitor advises it. The same command with --no-inquisitor and '
            'another --study, in the same storage, adds a comparison to this page.'
        )
    return 'The inquisitor was disabled (--no-inquisitor): children are changed at random.'


def _diagrams(best: FrozenTrial | None) -> list[tuple[str, Markup, str]]:
    drawn = [
        ('EdgeSegNet', read_design('edgesegnet'), "The paper's network (its Fig. 1)."),
        ('φ', prototype(), 'The prototype that the exploration begins with.'),
    ]
    if best is not None:
        found = design_of(best.user_attrs[history.DESIGN], 'the best')
        drawn.insert(0, ('The best network', found, _words(best)))
    return [(name, Markup(diagram(design)), words) for name, design, words in drawn]


def _design_text(best: FrozenTrial | None) -> str:
    return design_of(best.user_attrs[history.DESIGN], 'the best').as_yaml() if best else ''


def agreement(trained: Sequence[FrozenTrial], settings: Settings) -> str:
    """A sentence that compares the ranking by U at the first rung with that at the last."""
    both = [(early, last) for _, early, last in _early_and_last(trained, settings)]
    found = history.rank_correlation([one[0] for one in both], [one[1] for one in both])
    if found is None:
        return (
            'Too few networks were trained to the end to tell; --no-halving trains all of them to '
            'the end.'
        )
    left_out = (
        'Halving has removed the worst of the others, which makes the agreement look lower.'
        if settings.halving
        else 'No network was stopped early: these are all networks that could be trained.'
    )
    few = (
        ''
        if len(both) >= 12
        else ' That is fewer than the twelve that would be needed to rely on it.'
    )
    return (
        f'Over {len(both)} networks that were trained to the end, their order by U after '
        f'{settings.rungs[0]} steps and after {settings.steps} has a rank correlation '
        f'(Spearman) of {found:.2f}. {left_out}{few}'
    )


def _early_and_last(
    trained: Sequence[FrozenTrial], settings: Settings
) -> list[tuple[FrozenTrial, float, float]]:
    """U at the first rung and at the last, of the networks that were trained to the end."""
    return [
        (trial, rungs[0][2], rungs[-1][2])
        for trial, rungs in ((trial, trial.user_attrs[history.RUNGS]) for trial in trained)
        if len(rungs) > 1 and rungs[-1][0] == settings.steps
    ]


def _ranks(trained: Sequence[FrozenTrial], settings: Settings, best: FrozenTrial | None) -> str:
    points = [
        plots.Point(early, last, _words(trial), best is not None and trial.number == best.number)
        for trial, early, last in _early_and_last(trained, settings)
    ]
    early, last = settings.rungs[0], settings.steps
    titles = (f'U after {early} steps', f'U after {last} steps')
    return plots.pairs('Early and last U', points, *titles)


def _worker_hours(trials: Sequence[FrozenTrial]) -> float:
    return sum(trial.user_attrs.get(history.SECONDS, 0.0) for trial in trials) / 3600

"""Writes the results of an exploration as text, as JSON, and as files for training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from tqdm import tqdm

from edgesegnet_ros.atomic_file import write_json, write_text
from edgesegnet_ros.exploration import comparison, history
from edgesegnet_ros.exploration.diagram import diagram_file
from edgesegnet_ros.exploration.processes import row
from edgesegnet_ros.exploration.settings import Settings
from edgesegnet_ros.network.design import Design
from edgesegnet_ros.network.design_file import design_of

BEST_DESIGN, BEST_DIAGRAM = 'best.yaml', 'best.svg'
REPORT = 'report.html'


def figures_of(study: optuna.Study, settings: Settings, seconds: float) -> dict[str, Any]:
    """The content of --json.

    Args:
        study: The study.
        settings: Settings of the study.
        seconds: Duration of this call in s.
    """
    trials = study.get_trials(deepcopy=False)
    found = history.generations(trials, settings.population)
    best = history.best_of(trials)
    figures: dict[str, Any] = {
        'generators': [one.as_json() for one in found],
        'best': None,
        'networks': len([trial for trial in trials if trial.state.is_finished()]),
        'infeasible': history.failures(trials),
        'settings': settings.stored(),
        'seconds': seconds,
    }
    if best is not None:
        own = best.user_attrs[history.FIGURES]
        figures['best'] = {
            'design': best.user_attrs[history.DESIGN],
            'params': int(own['params']),
            'gmac': own['gmac'],
            'pixel_accuracy': own['accuracy'],
            'miou': own['miou'],
            'latency_ms': own['latency_ms'],
            'u': best.user_attrs[history.PERFORMANCE],
            'network': best.number,
        }
    return figures


def write_results(
    study: optuna.Study,
    storage: str,
    settings: Settings,
    out: Path,
    seconds: float,
    to: str | None,
) -> int:
    """Write the report, the best design and the figures, and print what to do next.

    Args:
        study: The study.
        storage: URL of its storage, which may hold another study for the comparison.
        settings: Settings of the study.
        out: Folder of the report and the best design.
        seconds: Duration of this call in s.
        to: File for the figures.

    Returns:
        0, or 1 if no network meets the requirement.
    """
    from edgesegnet_ros.exploration.page import write_page

    figures = figures_of(study, settings, seconds)
    trials = study.get_trials(deepcopy=False)
    compared = comparison.compared_studies(study, settings, storage)
    if compared:
        figures['comparison'] = comparison.as_json(compared, settings.population)
    if to:
        write_json(to, figures)
    report = write_page(study, settings, figures, out / REPORT, compared)
    best = history.best_of(trials)
    if best is not None:
        design = best_design(best)
        write_text(out / BEST_DESIGN, design.as_yaml())
        write_text(out / BEST_DIAGRAM, diagram_file(design))
        accepted = sum(one['accepted'] for one in figures['generators'])
        tqdm.write(f'\nbest of {figures["networks"]} networks, {accepted} generators accepted:')
        tqdm.write(row(best))
        tqdm.write(
            f'report: {report}\ndesign: {out / BEST_DESIGN}; train it long with '
            f'`edgesegnet train --network {out / BEST_DESIGN}`'
        )
        return 0
    tqdm.write(f'\nnone of {figures["networks"]} networks meets the requirement')
    for reason, count in figures['infeasible'].items():
        tqdm.write(f'  {count:>4} failed {reason}')
    misses = history.nearest_misses(trials)
    if misses:
        tqdm.write('the nearest misses:')
        for miss in misses:
            tqdm.write(row(miss))
    tqdm.write(
        f'report: {report}\nrelax the requirement, or give a longer --budget; the same command '
        'resumes the study'
    )
    return 1


def best_design(trial: optuna.trial.FrozenTrial) -> Design:
    """The design of a finished network."""
    return design_of(trial.user_attrs[history.DESIGN], f'network {trial.number}')

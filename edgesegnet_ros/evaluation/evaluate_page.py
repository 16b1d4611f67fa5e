"""The page of `edgesegnet evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from edgesegnet_ros.atomic_file import write_text
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.evaluation.measure import WorstImage
from edgesegnet_ros.evaluation.report import plots, verdicts
from edgesegnet_ros.evaluation.report.page import number, percent, render
from edgesegnet_ros.evaluation.report.panels import views


def write_evaluate_report(
    figures: Mapping[str, Any], classes: ClassSet, worst: Sequence[WorstImage], out: Path
) -> Path:
    """Write one self-contained page atomically.

    It holds at most ten images, 480 pixels wide, with four panels each: some 2 MB.

    Args:
        figures: The content of `--json`.
        classes: Class set with the colours.
        worst: The images to show.
        out: Path of the page.

    Raises:
        BagError: The page cannot be written.
    """
    calibration = figures['calibration']
    logits = calibration['logits']
    colors = {
        entry.name: '#{:02x}{:02x}{:02x}'.format(*entry.color)
        for entry in classes.classes
        if entry.id not in classes.ignored
    }
    height, width = figures['input_size']
    total = max(1, sum(figures['pixels'].values()))
    sentences = ['No pixel of these images is labelled, so accuracy was not measured.']
    if figures['pixel_accuracy'] is not None:
        sentences = verdicts.accuracy(figures['pixel_accuracy'], figures['miou'], figures['iou'])
        sentences.append(verdicts.calibration(figures['ece'], calibration['diagram']))
    matrix = [
        [*row, declined]
        for row, declined in zip(figures['confusion'], figures['unlabeled'], strict=True)
    ]
    html = render(
        'evaluate.html.j2',
        title=f'{Path(figures["model"]).stem} on {figures["split"]}',
        subtitle=f'{figures["images"]} images, {len(colors)} classes ({figures["classes"]}), '
        f'network input {height}×{width} ({figures["resize_mode"]}), {figures["engine"]} '
        f'{figures["precision"]}',
        sentences=sentences,
        cards=_cards(figures),
        rows=[
            {
                'name': name,
                'color': color,
                'iou': figures['iou'][name],
                'share': figures['pixels'][name] / total,
            }
            for name, color in colors.items()
        ],
        colors=colors,
        confusion=Markup(plots.confusion(matrix, list(figures['iou']))),
        reliability=Markup(
            plots.reliability(
                calibration['diagram'],
                logits['diagram_before'] if logits and calibration['temperature'] != 1.0 else None,
            )
        ),
        calibration_note=_calibration_note(calibration),
        worst=[
            {
                'title': each.name,
                'notes': [f'{percent(each.pixel_accuracy)} of its pixels are right'],
                'views': views(each.image, each.predicted, each.labels, classes),
            }
            for each in worst
        ],
        **verdicts.origin(figures['provenance']),
    )
    write_text(out, html)
    return out


def _cards(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    logits = figures['calibration']['logits']
    before = f'at temperature 1: {100 * logits["ece_before"]:.2f}' if logits else ''
    return [
        {
            'label': 'pixel accuracy',
            'value': percent(figures['pixel_accuracy']),
            'aside': 'of the labelled pixels',
        },
        {'label': 'mIoU', 'value': percent(figures['miou']), 'aside': 'mean of the classes'},
        {
            'label': 'calibration error',
            'value': number(None if figures['ece'] is None else 100 * figures['ece'], 2, 'pt'),
            'aside': before,
        },
        {
            'label': 'temperature',
            'value': number(figures['calibration']['temperature'], 3),
            'aside': 'divides the logits',
        },
    ]


def _calibration_note(calibration: Mapping[str, Any]) -> str:
    said = [
        f'Expected calibration error over {calibration["bins"]} equal bins, from the confidence '
        'that the node publishes: one byte per pixel, in steps of 1/255.'
    ]
    logits = calibration['logits']
    if logits:
        said.append(
            f'From the logits of the torch engine in fp32: '
            f'{100 * logits["ece_before"]:.2f} points at temperature 1, '
            f'{100 * logits["ece_after"]:.2f} at {calibration["temperature"]:.3f}, the '
            'temperature in the weights file.'
        )
    fit = calibration['fit']
    if fit:
        said.append(
            f'It was fitted in this run, on {fit["pixels"]:,} pixels of val, which '
            f'brought their negative log-likelihood from {fit["nll_before"]:.4f} to '
            f'{fit["nll_after"]:.4f}.'
        )
    return ' '.join(said)

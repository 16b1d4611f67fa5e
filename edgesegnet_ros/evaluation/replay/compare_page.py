"""The page of `edgesegnet replay --compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from edgesegnet_ros.atomic_file import write_text
from edgesegnet_ros.data.overlay import colorize
from edgesegnet_ros.evaluation.replay.compare import ChangedFrame, Comparison
from edgesegnet_ros.evaluation.replay.compare_text import sentences
from edgesegnet_ros.evaluation.report import plots
from edgesegnet_ros.evaluation.report.page import drawing, percent, render, scaled_labels
from edgesegnet_ros.evaluation.report.panels import View

HIGHER_IS_BETTER = {
    'pixel_accuracy': True,
    'miou': True,
    'temporal_consistency': True,
    'rate_hz': True,
    'ece': False,
    'dropped': False,
    'latency_ms.p50': False,
    'latency_ms.p95': False,
    'latency_ms.p99': False,
}
_SHARES = ('pixel_accuracy', 'miou', 'ece', 'temporal_consistency', 'mean_confidence')
_LONGEST = 120


def write_compare_report(found: Comparison, changes: dict[str, Any], out: Path) -> Path:
    """Write one self-contained page atomically; some 200 kB.

    Args:
        found: The comparison.
        changes: Its figures.
        out: The file.

    Raises:
        BagError: It cannot be written.
    """
    colors = {
        name: '#{:02x}{:02x}{:02x}'.format(*color) for name, color in found.after.colors.items()
    }
    transitions = found.transitions
    html = render(
        'compare.html.j2',
        title='What changed',
        before=changes['a'] or 'A',
        after=changes['b'] or 'B',
        sentences=sentences(changes),
        cards=[
            {
                'label': 'pixels changed',
                'value': percent(changes['pixels_changed'], 2),
                'aside': f'in {changes["frames_compared"]:,} frames',
            },
            *(
                _card(title, changes['figures'][name])
                for name, title in (
                    ('miou', 'mIoU'),
                    ('pixel_accuracy', 'pixel accuracy'),
                    ('temporal_consistency', 'consistency'),
                )
                if changes['figures'][name]['change'] is not None
            ),
        ],
        figures=[
            _figure(name, each)
            for name, each in changes['figures'].items()
            if each['a'] is not None or each['b'] is not None
        ],
        rows=[
            {
                'name': name,
                'color': colors.get(name, '#808080'),
                'changed': each['changed'],
                'a': each['iou']['a'],
                'b': each['iou']['b'],
                **_signed(each['iou']['change'], True),
            }
            for name, each in changes['classes'].items()
        ],
        transitions=None
        if transitions is None
        else Markup(plots.transitions(_off_diagonal(transitions), found.after.classes)),
        frames=[_frame(frame, found) for frame in found.most_changed],
        colors=colors,
        differences=[
            (name, _short(a), _short(b)) for name, (a, b) in changes['made_differently'].items()
        ],
    )
    write_text(out, html)
    return out


def _card(title: str, figure: dict[str, float]) -> dict[str, str]:
    return {
        'label': title,
        'value': f'{100 * figure["change"]:+.2f}',
        'aside': f'points: {percent(figure["a"])} → {percent(figure["b"])}',
    }


def _signed(change: float | None, higher_is_better: bool | None) -> dict[str, str]:
    if change is None:
        return {'change': '–', 'direction': ''}
    direction = (
        ''
        if not change or higher_is_better is None
        else 'up'
        if (change > 0) == higher_is_better
        else 'down'
    )
    return {'change': f'{100 * change:+.2f}', 'direction': direction}


def _figure(name: str, each: dict[str, Any]) -> dict[str, Any]:
    share = name in _SHARES
    direction = _signed(each['change'], HIGHER_IS_BETTER.get(name))['direction']

    def shown(value: float | None, sign: str = '') -> str:
        if value is None:
            return '–'
        if share:
            return f'{100 * value:{sign}.2f}\u202f%'
        return f'{value:{sign},.0f}' if isinstance(value, int) else f'{value:{sign},.2f}'

    return {
        'name': name,
        'a': shown(each['a']),
        'b': shown(each['b']),
        'change': shown(each['change'], '+'),
        'direction': direction,
    }


def _off_diagonal(transitions: np.ndarray) -> np.ndarray:
    moved = transitions.astype(float)
    np.fill_diagonal(moved, 0.0)
    return moved


def _frame(frame: ChangedFrame, found: Comparison) -> dict[str, Any]:
    before, after = scaled_labels(frame.before), scaled_labels(frame.after)
    palette = np.zeros((256, 3), np.uint8)
    for index, name in enumerate(found.after.classes):
        palette[index] = found.after.colors.get(name, (128, 128, 128))
    moved = np.full((*after.shape, 3), 235, np.uint8)
    moved[before != after] = colorize(after, palette)[before != after]
    height, width = after.shape
    return {
        'title': f'frame {frame.index}',
        'notes': [f'{percent(frame.changed, 2)} changed', frame.bag],
        'views': [
            View('A', 'a.png', drawing(colorize(before, palette)), width, height),
            View('B', 'b.png', drawing(colorize(after, palette)), width, height),
            View("what changed, in B's colours", 'c.png', drawing(moved), width, height),
        ],
    }


def _short(value: Any) -> str:
    text = '–' if value is None else str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + '…'

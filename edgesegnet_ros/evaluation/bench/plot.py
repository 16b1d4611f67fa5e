"""Plots the table: one panel per input size, with the fastest row on top."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesegnet_ros.atomic_file import atomic_file
from edgesegnet_ros.evaluation.bench.rows import peak_share
from edgesegnet_ros.extras import install

_COLOURS = {
    'torch eager': '#9aa5b1',
    'torch': '#e4572e',
    'openvino': '#2e86ab',
    'onnxruntime': '#8e6c8a',
    'tensorrt': '#76b900',
}
NO_MATPLOTLIB = f'no plot: matplotlib is not installed ({install("matplotlib")})'


def draw(figures: dict[str, Any], folder: Path) -> str:
    """Write bench.png.

    Args:
        figures: The JSON of the command.
        folder: Folder of the plot.

    Returns:
        A line with its path, or with the reason why there is no plot.
    """
    try:
        import matplotlib
    except ImportError:
        return NO_MATPLOTLIB
    matplotlib.use('Agg')
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    sizes = list(dict.fromkeys(tuple(row['input_size']) for row in figures['rows']))
    count = max(sum(tuple(row['input_size']) == size for row in figures['rows']) for size in sizes)
    figure, panels = pyplot.subplots(
        1, len(sizes), figsize=(9.0 * len(sizes), 1.6 + 0.36 * count), squeeze=False
    )
    for panel, size in zip(panels[0], sizes, strict=True):
        rows = [row for row in figures['rows'] if tuple(row['input_size']) == size]
        _panel(panel, sorted(rows, key=lambda row: -row['latency_ms']['p50']))
        panel.set_title(f'{size[0]} × {size[1]}', loc='left', fontweight='bold')
    shown = dict.fromkeys(row['engine'] for row in figures['rows'])
    figure.legend(
        [Patch(color=_COLOURS.get(name, '#444444')) for name in shown],
        list(shown),
        loc='lower center',
        ncol=len(shown),
        frameon=False,
    )
    machine = figures['machine']
    figure.suptitle(
        f'From a uint8 image to class ids: {machine["cpu"]}, {machine["threads"]} threads, '
        f'{figures["frames"]} frames in turns',
        x=0.01,
        ha='left',
    )
    figure.tight_layout(rect=(0, 0.5 / figure.get_figheight(), 1, 1))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'bench.png'
    with atomic_file(path) as partial:
        figure.savefig(partial, dpi=120)
    pyplot.close(figure)
    return f'plot: {path}'


def _panel(panel: Any, rows: list[dict[str, Any]]) -> None:
    """Bars of the median with a whisker to p95, on a logarithmic scale."""
    positions = range(len(rows))
    middle = [row['latency_ms']['p50'] for row in rows]
    whisker = [max(row['latency_ms']['p95'] - row['latency_ms']['p50'], 0.0) for row in rows]
    panel.barh(
        positions,
        middle,
        xerr=[[0.0] * len(rows), whisker],
        height=0.72,
        color=[_COLOURS.get(row['engine'], '#444444') for row in rows],
        error_kw={'ecolor': '#444444', 'lw': 0.8},
    )
    names = [f'{row["network"]} · {row["engine"]} {row["precision"]}' for row in rows]
    panel.set_yticks(positions, names)
    for label, row in zip(panel.get_yticklabels(), rows):
        label.set_fontweight('bold' if row['network'] == 'EdgeSegNet' else 'normal')
    for position, row in zip(positions, rows):
        share = '' if row['peak_share'] is None else f' · {peak_share(row)} of peak'
        # The text is right of the axes, so that the bars have the whole width.
        panel.annotate(
            f'{row["fps"]:.1f} fps · {row["params"] / 1e6:.1f} M · {row["gmac"]:.1f} GMAC{share}',
            (1.01, position),
            xycoords=('axes fraction', 'data'),
            va='center',
            fontsize=7,
        )
    panel.set_xscale('log')
    panel.set_xlim(min(middle) * 0.7, max(m + w for m, w in zip(middle, whisker)) * 1.1)
    panel.set_xlabel('milliseconds per frame: median, whisker to p95 (logarithmic)')
    for side in ('top', 'right'):
        panel.spines[side].set_visible(False)

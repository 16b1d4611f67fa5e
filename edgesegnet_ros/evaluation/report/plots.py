"""Plots as inline SVG in the colours of the page, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Iterator

import matplotlib
import numpy as np

matplotlib.use('Agg')

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402

# Stand-ins for the page's own colours, which CSS defines.
INK, GRID, ACCENT, SECOND, THIRD = '#010203', '#040506', '#070809', '#0a0b0c', '#0d0e0f'
_PAGE_COLORS = {
    INK: 'currentColor',
    GRID: 'var(--line)',
    ACCENT: 'var(--accent)',
    SECOND: 'var(--second)',
    THIRD: 'var(--third)',
}
_WIDTH = 5.2
"""Inches; with 9-point letters the plot is readable on a phone."""
_STYLE: dict[Any, Any] = {
    'svg.fonttype': 'none',
    'font.family': 'sans-serif',
    'font.size': 9,
    'axes.edgecolor': GRID,
    'axes.labelcolor': INK,
    'text.color': INK,
    'xtick.color': INK,
    'ytick.color': INK,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'grid.color': GRID,
    'grid.linewidth': 0.6,
    'axes.axisbelow': True,
    'legend.frameon': False,
    'xtick.major.size': 0,
    'ytick.major.size': 0,
    'figure.constrained_layout.use': True,
    'svg.hashsalt': 'edgesegnet',
}


@contextmanager
def _drawn(height: float, title: str, into: list[str]) -> Iterator[Axes]:
    """A figure with one pair of axes, whose SVG is appended to `into`."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height))
        yield figure.add_subplot()
        text = io.StringIO()
        figure.savefig(text, format='svg', transparent=True, metadata={'Date': None})
    into.append(_inline(text.getvalue(), title))


def _inline(svg: str, title: str) -> str:
    """The part of matplotlib's SVG that is embedded in a page."""
    svg = svg[svg.index('<svg') :]
    svg = re.sub(r'<metadata>.*?</metadata>\s*', '', svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1', svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1', svg, count=1)
    svg = re.sub(r'<style.*?</style>', '', svg, flags=re.DOTALL)
    # The page's font; only the size is the plot's.
    svg = re.sub(r'font: (?:\w+ )*([\d.]+)px [^;\"]*', r'font-size: \1px', svg)
    svg = re.sub(r'font-family: [^;\"]*;?', '', svg)
    for stand_in, color in _PAGE_COLORS.items():
        svg = svg.replace(stand_in, color)
    # Ids must be unique in the page, so each plot gets its own.
    prefix = re.sub(r'\W+', '-', title.lower())
    svg = re.sub(r' id="([^"]+)"', rf' id="{prefix}-\1"', svg)
    svg = re.sub(r'url\(#([^)]+)\)', rf'url(#{prefix}-\1)', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    return svg.replace('<svg ', f'<svg role="img" aria-label="{title}" ', 1)


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)


def confusion(matrix: Sequence[Sequence[float]], names: Sequence[str]) -> str:
    """A confusion matrix, each row in shares of its true class.

    Args:
        matrix: Pixel counts; rows are true classes. There may be one more column, of pixels left
            unlabelled.
        names: Names of the true classes.
    """
    counts = np.asarray(matrix, float)
    sums = counts.sum(1, keepdims=True)
    shares = np.divide(counts, sums, out=np.zeros_like(counts), where=sums > 0)
    return _heat_map('Confusion matrix', shares, names, ('true', 'predicted'))


def transitions(moved: np.ndarray, names: Sequence[str]) -> str:
    """Where the pixels that changed came from and went to, in shares of all of them.

    Args:
        moved: (N + 1, N + 1) pixels by class before (rows) and after; 0 on the diagonal.
        names: Names of the N classes; the last row and column are unlabelled pixels.
    """
    shares = np.asarray(moved, float) / max(1.0, float(np.sum(moved)))
    if not shares[-1].any():
        shares = shares[:-1]
    return _heat_map('Transitions', shares, names, ('in A', 'in B'))


def _heat_map(
    title: str, shares: np.ndarray, names: Sequence[str], axis_names: tuple[str, str]
) -> str:
    """A matrix of shares 0-1, the diagonal in one colour and the rest in another."""
    labels = [*names, 'unlabelled']
    if shares.shape[1] > len(names) and not shares[:, -1].any():
        shares = shares[:, :-1]
    rows, columns = shares.shape
    small = len(names) > 16
    svg: list[str] = []
    with _drawn(5.0, title, svg) as axes:
        for row, column in np.argwhere(shares >= 0.005):
            share = shares[row, column]
            color = ACCENT if row == column else SECOND
            axes.add_patch(
                Rectangle(
                    (column, row),
                    1,
                    1,
                    facecolor=color,
                    linewidth=0,
                    alpha=float(0.06 + 0.94 * share),
                )
            )
            if not small:
                axes.text(
                    column + 0.5,
                    row + 0.52,
                    f'{100 * share:.0f}',
                    ha='center',
                    va='center',
                    fontsize=7.5,
                    color='#ffffff' if share > 0.6 else INK,
                )
        axes.set(xlim=(0, columns), ylim=(rows, 0), aspect='equal')
        letters = 5.5 if small else 8
        axes.set_xticks(np.arange(columns) + 0.5, labels[:columns], rotation=90, fontsize=letters)
        axes.set_yticks(np.arange(rows) + 0.5, labels[:rows], fontsize=letters)
        axes.set_ylabel(axis_names[0])
        axes.set_xlabel(axis_names[1])
        axes.grid(False)
    return svg[0]


def reliability(
    after: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]] | None = None
) -> str:
    """A reliability diagram: accuracy by confidence.

    Args:
        after: Bins with `share`, `confidence` and `accuracy` (0-1, null when empty).
        before: Those at temperature 1, drawn behind.
    """
    svg: list[str] = []
    with _drawn(3.6, 'Reliability diagram', svg) as axes:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.bar(
            [each['low'] + 1 / len(after) / 2 for each in after],
            [each['share'] for each in after],
            0.9 / len(after),
            color=THIRD,
            alpha=0.35,
            label='share of the pixels',
        )
        for bins, color, label in (
            (before, SECOND, 'at temperature 1'),
            (after, ACCENT, 'as published by the node'),
        ):
            filled = [each for each in bins or () if each['share']]
            if filled:
                axes.plot(
                    [each['confidence'] for each in filled],
                    [each['accuracy'] for each in filled],
                    marker='o',
                    markersize=3.5,
                    linewidth=1.6,
                    color=color,
                    label=label,
                )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel='confidence', ylabel='share of right pixels')
        axes.legend(loc='upper left', fontsize=8)
    return svg[0]


def latency(
    times: Sequence[float],
    mean: Sequence[float | None],
    worst: Sequence[float | None],
    percentiles: Mapping[str, float],
) -> str:
    """Latency over the recording, with its percentiles as lines.

    Args:
        times: Seconds since the first frame.
        mean: ms, of the frames of each point.
        worst: ms, the longest of each point.
        percentiles: `p50`, `p95`, `p99` in ms.
    """
    line, band = _numbers(mean), _numbers(worst)
    band = np.where(np.isnan(band), line, band)
    svg: list[str] = []
    with _drawn(2.5, 'Latency over time', svg) as axes:
        axes.fill_between(times, line, band, color=ACCENT, alpha=0.2, linewidth=0)
        axes.plot(times, line, color=ACCENT, linewidth=1.4)
        top = float(np.nanmax(band, initial=1.0))
        for name in ('p50', 'p95', 'p99'):
            if percentiles.get(name) is not None:
                axes.axhline(percentiles[name], color=SECOND, linewidth=0.9, linestyle=(0, (4, 3)))
                axes.annotate(
                    name,
                    (1.0, percentiles[name]),
                    xytext=(3, -2),
                    xycoords=('axes fraction', 'data'),
                    textcoords='offset points',
                    fontsize=7.5,
                    color=SECOND,
                )
                top = max(top, percentiles[name])
        axes.set(ylim=(0, 1.08 * top), xlabel='seconds into the recording', ylabel='ms')
        axes.margins(x=0)
    return svg[0]


def fractions(
    times: Sequence[float], shares: Mapping[str, Sequence[float | None]], colors: Mapping[str, str]
) -> str:
    """The share of the image that each class has, stacked over the recording.

    Args:
        times: Seconds since the first frame.
        shares: Class -> share of the pixels, 0-1.
        colors: Class -> #rrggbb.
    """
    svg: list[str] = []
    with _drawn(2.9, 'Class fractions over time', svg) as axes:
        if shares:
            axes.stackplot(
                times,
                [np.nan_to_num(_numbers(v)) for v in shares.values()],
                colors=[colors.get(name, INK) for name in shares],
                linewidth=0,
            )
        axes.set(ylim=(0, 1), xlabel='seconds into the recording')
        axes.set_yticks([0, 0.5, 1], ['0', '50 %', '100 %'])
        axes.margins(x=0)
    return svg[0]


def over_time(
    title: str, times: Sequence[float], lines: Mapping[str, Sequence[float | None]]
) -> str:
    """Shares over the recording, such as accuracy and temporal consistency."""
    svg: list[str] = []
    with _drawn(2.4, title, svg) as axes:
        for (name, values), color in zip(lines.items(), (ACCENT, SECOND, THIRD), strict=False):
            axes.plot(times, 100 * _numbers(values), linewidth=1.4, color=color, label=name)
        axes.set(xlabel='seconds into the recording', ylabel='%')
        axes.set_ylim(top=100)
        axes.margins(x=0)
        if len(lines) > 1:
            axes.legend(fontsize=8, ncols=3, loc='lower left', bbox_to_anchor=(0, 1))
    return svg[0]


def confidence_histogram(counts: Sequence[int]) -> str:
    """Histogram of the confidence, in shares of the pixels.

    Args:
        counts: 256 pixel counts by uint8 confidence.
    """
    pooled = np.asarray(counts, float).reshape(32, 8).sum(1)
    svg: list[str] = []
    with _drawn(2.4, 'Confidence histogram', svg) as axes:
        axes.bar(
            (np.arange(32) + 0.5) / 32,
            100 * pooled / max(1.0, pooled.sum()),
            0.85 / 32,
            color=ACCENT,
        )
        axes.set(xlim=(0, 1), xlabel='confidence', ylabel='% of the pixels')
        axes.grid(axis='x', visible=False)
    return svg[0]

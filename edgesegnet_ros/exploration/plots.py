"""The plots of the report: inline SVG, with a tooltip for each point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT, _LEFT, _BELOW = 520, 300, 56, 40


class Point(NamedTuple):
    """A network in a plot.

    Attributes:
        x: Value on the horizontal axis.
        y: Value on the vertical axis.
        words: Shown when it is pointed at.
        marked: Whether it stands out.
        partial: Whether its training was ended early; it is drawn hollow, and is not on the front.
    """

    x: float
    y: float
    words: str
    marked: bool = False
    partial: bool = False


class _Axis(NamedTuple):
    low: float
    high: float
    first: float
    last: float
    log: bool

    def at(self, value: float) -> float:
        low, high, value = (
            (math.log10(self.low), math.log10(self.high), math.log10(max(value, 1e-12)))
            if self.log
            else (self.low, self.high, value)
        )
        return self.first + (value - low) / max(high - low, 1e-12) * (self.last - self.first)


def _axis(values: Sequence[float], first: float, last: float, log: bool = False) -> _Axis:
    low, high = min(values), max(values)
    if log:
        return _Axis(low / 1.15, high * 1.15, first, last, True)
    room = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return _Axis(low - room, high + room, first, last, False)


def _frame(title: str, height: int, parts: Sequence[str], width: int = _WIDTH) -> str:
    return (
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {width} {height}" '
        f'font-size="11" font-family="inherit">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, words: str, anchor: str = 'middle', extra: str = '') -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor" {extra}>'
        f'{escape(words)}</text>'
    )


def _ticks(axis: _Axis, whole: bool = False) -> list[float]:
    """About five round numbers on an axis, in steps of 1, 2 or 5 times a power of ten."""
    if axis.log:
        first, last = math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high))
        rounds = [factor * 10.0**power for power in range(first, last + 1) for factor in (1, 2, 5)]
        found = [value for value in rounds if axis.low <= value <= axis.high]
        if 2 <= len(found) <= 8:
            return found
        if len(found) > 8:
            return [value for value in found if math.log10(value) % 1 < 1e-9]
    span = max(axis.high - axis.low, 1e-12)
    power = 10.0 ** math.floor(math.log10(span / 5))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= 6)
    step = max(step, 1.0) if whole else step
    first = math.ceil(axis.low / step - 1e-9)
    return [step * number for number in range(first, math.floor(axis.high / step + 1e-9) + 1)]


def _grid(x: _Axis, y: _Axis, x_title: str, y_title: str, whole: bool = False) -> list[str]:
    """Axes and their titles; `whole` for an x axis of whole numbers."""
    parts = []
    for value in _ticks(x, whole):
        parts.append(_text(x.at(value), _HEIGHT - _BELOW + 15, f'{value:.3g}'))
    for value in _ticks(y):
        at = y.at(value)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{at:.1f}" y2="{at:.1f}" '
            'stroke="var(--line)" stroke-width="0.8"/>'
        )
        parts.append(_text(_LEFT - 6, at + 4, f'{value:.4g}', 'end'))
    parts.append(_text((_LEFT + _WIDTH) / 2, _HEIGHT - 6, x_title))
    turned = f'transform="rotate(-90 12 {_HEIGHT / 2})"'
    parts.append(_text(12, _HEIGHT / 2, y_title, 'middle', turned))
    return parts


def scatter(title: str, points: Sequence[Point], x_title: str, y_title: str) -> str:
    """Networks by cost and accuracy, and their Pareto front.

    Args:
        title: For those who hear the page.
        points: x is the cost, on a logarithmic axis.
        x_title: Title of the horizontal axis.
        y_title: Title of the vertical axis.
    """
    points = [p for p in points if math.isfinite(p.x) and math.isfinite(p.y) and p.x > 0]
    if not points:
        return _frame(title, 60, [_text(_WIDTH / 2, 34, 'no network was trained long enough')])
    x = _axis([p.x for p in points], _LEFT + 8, _WIDTH - 16, log=True)
    y = _axis([p.y for p in points], _HEIGHT - _BELOW, 14)
    front = pareto_front([p for p in points if not p.partial])
    path = ' '.join(f'{x.at(p.x):.1f},{y.at(p.y):.1f}' for p in front)
    parts = _grid(x, y, x_title, y_title)
    parts.append(
        f'<polyline points="{path}" fill="none" stroke="var(--accent)" stroke-width="1.4"/>'
    )
    for point in points:
        parts.append(_dot(x, y, point, strong=point in front or point.marked))
    return _frame(title, _HEIGHT, parts)


def _dot(x: _Axis, y: _Axis, point: Point, strong: bool) -> str:
    color = 'var(--second)' if point.marked else 'var(--accent)'
    opacity = 0.95 if strong else 0.0 if point.partial else 0.4
    return (
        f'<circle cx="{x.at(point.x):.1f}" cy="{y.at(point.y):.1f}" '
        f'r="{6 if point.marked else 4}" fill="{color}" stroke="{color}" '
        f'fill-opacity="{opacity}"><title>{escape(point.words)}</title></circle>'
    )


def pairs(title: str, points: Sequence[Point], x_title: str, y_title: str) -> str:
    """Networks by two values of U.

    Args:
        title: For those who hear the page.
        points: On linear axes.
        x_title: Of the axis.
        y_title: Of the axis.
    """
    points = [p for p in points if math.isfinite(p.x) and math.isfinite(p.y)]
    if not points:
        return _frame(title, 60, [_text(_WIDTH / 2, 34, 'too few networks to tell')])
    x = _axis([p.x for p in points], _LEFT + 8, _WIDTH - 16)
    y = _axis([p.y for p in points], _HEIGHT - _BELOW, 14)
    dots = [_dot(x, y, point, strong=True) for point in points]
    return _frame(title, _HEIGHT, [*_grid(x, y, x_title, y_title), *dots])


def steps(title: str, lines: Mapping[str, Sequence[Point]], x_title: str, y_title: str) -> str:
    """Lines that rise in steps, each with its name at its end.

    Args:
        title: For those who hear the page.
        lines: Name -> points from left to right.
        x_title: Of the axis, from 0.
        y_title: Of the axis.
    """
    points = [point for line in lines.values() for point in line]
    if not points:
        return _frame(title, 60, [_text(_WIDTH / 2, 34, 'no network meets the requirement')])
    x = _axis([0.0, *(p.x for p in points)], _LEFT + 8, _WIDTH - 16)
    y = _axis([p.y for p in points], _HEIGHT - _BELOW, 14)
    parts = _grid(x, y, x_title, y_title, whole=True)
    for number, (name, line) in enumerate(lines.items()):
        if not line:
            continue
        color = ('var(--accent)', 'var(--second)', 'var(--third)')[number % 3]
        path = f'M{x.at(line[0].x):.1f},{y.at(line[0].y):.1f}'
        path += ''.join(f' H{x.at(p.x):.1f} V{y.at(p.y):.1f}' for p in line[1:])
        parts.append(f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.8"/>')
        dots = (_dot(x, y, point, strong=True) for point in line)
        parts += [dot.replace('var(--accent)', color) for dot in dots]
        at = _HEIGHT - _BELOW - 12 - 15 * number
        parts.append(_text(_WIDTH - 16, at, name, 'end', f'style="fill: {color}"'))
    return _frame(title, _HEIGHT, parts)


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Points of which none has both a smaller x and a larger y, from left to right."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, -p.y)):
        if not front or point.y > front[-1].y:
            front.append(point)
    return front


def climbing(title: str, generators: Sequence[Mapping], networks: Sequence[Point]) -> str:
    """U of the networks of each generator, and a line through the accepted ones.

    Args:
        title: For those who hear the page.
        generators: `index`, `best_u`, `mean_u`, `accepted`.
        networks: x is the generator's index, y is U.
    """
    networks = [point for point in networks if math.isfinite(point.y)]
    if not networks:
        return _frame(title, 60, [_text(_WIDTH / 2, 34, 'no network was trained to the end')])
    x = _axis([p.x for p in networks], _LEFT + 8, _WIDTH - 16)
    y = _axis([p.y for p in networks], _HEIGHT - _BELOW, 14)
    parts = _grid(x, y, 'generator', 'U', whole=True)
    best = [one for one in generators if one['accepted']]
    line = ' '.join(f'{x.at(one["index"]):.1f},{y.at(one["best_u"]):.1f}' for one in best)
    parts.append(f'<polyline points="{line}" fill="none" stroke="var(--accent)"/>')
    for one in generators:
        if one['mean_u'] is not None:
            at_x, at_y = x.at(one['index']), y.at(one['mean_u'])
            parts.append(
                f'<path d="M{at_x - 7:.1f},{at_y:.1f} h14" stroke="var(--third)" '
                f'stroke-width="2"><title>mean U {one["mean_u"]:.2f}</title></path>'
            )
    for point in networks:
        parts.append(_dot(x, y, point, strong=False))
    return _frame(title, _HEIGHT, parts)


def bars(title: str, values: Mapping[str, float]) -> str:
    """Shares by name, the largest first."""
    if not values:
        return _frame(title, 60, [_text(_WIDTH / 2, 34, 'too few networks to tell')])
    height, most = 16 * len(values) + 16, max(values.values()) or 1.0
    parts = []
    for number, (name, value) in enumerate(sorted(values.items(), key=lambda i: -i[1])):
        y = 10 + 16 * number
        parts.append(_text(150, y + 9, name.replace('_', ' '), 'end'))
        parts.append(
            f'<rect x="158" y="{y}" width="{300 * value / most:.1f}" height="11" rx="2" '
            f'fill="var(--accent)"><title>{value:.1%}</title></rect>'
        )
        parts.append(_text(164 + 300 * value / most, y + 9, f'{value:.0%}', 'start'))
    return _frame(title, height, parts)


def parallel(
    title: str,
    axes: Mapping[str, tuple[str, ...]],
    lines: Sequence[tuple[Sequence[float], float, str]],
) -> str:
    """Parallel coordinates.

    Args:
        title: Title for screen readers.
        axes: Name of each axis -> its labels, from the bottom to the top.
        lines: Positions on the axes, 0 to 1; opacity of the line, 0 to 1; its tooltip.
    """
    width, height, top, bottom, left = 1080, 330, 16, 240, 58
    step = (width - left - 24) / max(1, len(axes) - 1)
    parts = []
    for heights, strength, words in sorted(lines, key=lambda line: line[1]):
        path = ' '.join(
            f'{left + number * step:.1f},{bottom - height * (bottom - top):.1f}'
            for number, height in enumerate(heights)
        )
        color = 'var(--second)' if strength > 0.95 else 'var(--accent)'
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.6" '
            f'opacity="{0.12 + 0.75 * strength:.2f}"><title>{escape(words)}</title></polyline>'
        )
    for number, (name, marks) in enumerate(axes.items()):
        x = left + number * step
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="var(--line)"/>'
        )
        for index, mark in enumerate(marks):
            y = bottom - index / max(1, len(marks) - 1) * (bottom - top) + 3
            halo = 'font-size="8" stroke="var(--card)" stroke-width="3" paint-order="stroke"'
            parts.append(_text(x, y, mark, 'middle', halo))
        turned = f'transform="rotate(-55 {x:.1f} {bottom + 18})" font-size="10"'
        parts.append(_text(x, bottom + 18, name.replace('_', ' '), 'end', turned))
    return _frame(title, height, parts, width)

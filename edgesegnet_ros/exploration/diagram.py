"""A design drawn as a block diagram, like the paper's Fig. 1."""

from __future__ import annotations

from html import escape

from edgesegnet_ros.network.design import IMAGE, Design, Layer

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 104, 40, 26, 34
_LEFT, _TOP = 44, 30
_COLORS = {
    'conv': 'var(--accent)',
    'refine': 'var(--second)',
    'pooled': 'var(--third)',
    'pyramid': 'var(--third)',
}

_ALONE = {
    'var(--accent)': '#2563c9',
    'var(--second)': '#d9662f',
    'var(--third)': '#2f8f5b',
    'currentColor': '#1c2128',
    '<svg ': '<svg xmlns="http://www.w3.org/2000/svg" ',
    'font-family="inherit">': 'font-family="sans-serif"><rect width="100%" height="100%" '
    'fill="white"/>',
}
"""Colours and fonts for a diagram in a separate file, which the page defines otherwise."""


def diagram_file(design: Design) -> str:
    """The text of an SVG file with the diagram of a design."""
    text = diagram(design)
    for inherited, own in _ALONE.items():
        text = text.replace(inherited, own)
    return text + '\n'


def diagram(design: Design) -> str:
    """SVG of a design.

    Layers stand in rows by the size that they work at, and in columns by how many layers come
    before them, so that paths run side by side; shortcuts that pass over columns are dashed. A
    layer's properties are shown when it is pointed at.
    """
    strides = sorted({1, *(extent.stride for extent in design.extents.values())})
    row = {stride: number for number, stride in enumerate(strides)}
    columns = _columns(design)
    corners: dict[str, tuple[float, float]] = {IMAGE: (_LEFT, _TOP)}
    for layer in design.layers:
        stride = design.extents[layer.name].stride
        corners[layer.name] = (
            _LEFT + columns[layer.name] * (_WIDTH + _GAP_X),
            _TOP + row[stride] * (_HEIGHT + _GAP_Y),
        )
    last = design.layers[-1].name
    head = (corners[last][0] + _WIDTH + _GAP_X, corners[last][1])
    width, height = head[0] + _WIDTH + 10, _TOP + len(strides) * (_HEIGHT + _GAP_Y) - _GAP_Y + 10
    parts = [
        f'<svg role="img" aria-label="Block diagram of {escape(design.title)}" '
        f'viewBox="0 0 {width} {height}" '
        f'style="display: block; min-width: {width * 0.5:.0f}px; max-width: {width:.0f}px" '
        'font-size="11" font-family="inherit">'
    ]
    for stride, number in row.items():
        y = _TOP + number * (_HEIGHT + _GAP_Y) + _HEIGHT / 2 + 4
        parts.append(f'<text x="4" y="{y}" fill="currentColor" opacity="0.6">1/{stride}</text>')
    for layer in design.layers:
        for source in layer.sources:
            over = columns[layer.name] - columns[source] > 1
            parts.append(_line(corners[source], corners[layer.name], dashed=over))
    parts.append(_line(corners[last], head, dashed=False))
    parts.append(_box(*corners[IMAGE], 'image', '3', 'currentColor', 'the network’s input'))
    for layer in design.layers:
        extent = design.extents[layer.name]
        parts.append(
            _box(
                *corners[layer.name],
                layer.kind.replace('_', ' '),
                _small_print(layer, extent.width),
                _COLORS.get(layer.kind, 'currentColor'),
                _words(layer),
            )
        )
    parts.append(_box(*head, 'classifier', '1×1', 'currentColor', '1×1 convolution, then ×4'))
    return ''.join([*parts, '</svg>'])


def _columns(design: Design) -> dict[str, int]:
    """The column of each layer: right of all its sources, with no other layer in the cell."""
    columns = {IMAGE: 0}
    taken = {(0, 1)}
    for layer in design.layers:
        stride = design.extents[layer.name].stride
        column = 1 + max(columns[source] for source in layer.sources)
        while (column, stride) in taken:
            column += 1
        taken.add((column, stride))
        columns[layer.name] = column
    return columns


def _box(x: float, y: float, title: str, below: str, color: str, words: str) -> str:
    middle = x + _WIDTH / 2
    return (
        f'<g><title>{escape(words)}</title>'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{color}" '
        f'fill-opacity="0.16" stroke="{color}" stroke-width="1.2"/>'
        f'<text x="{middle}" y="{y + 17}" text-anchor="middle" fill="currentColor">'
        f'{escape(title)}</text>'
        f'<text x="{middle}" y="{y + 32}" text-anchor="middle" fill="currentColor" '
        f'opacity="0.7" font-size="10">{escape(below)}</text></g>'
    )


def _small_print(layer: Layer, width: int) -> str:
    own = layer.properties
    parts = [str(width)]
    if own.get('kernel', 3) != 3:
        parts.append('{0}×{0}'.format(own['kernel']))
    if own.get('stride', 1) != 1:
        parts.append(f'/{own["stride"]}')
    if own.get('blocks', 1) != 1:
        parts.append(f'×{own["blocks"]}')
    if len(layer.sources) > 1:
        parts.append('+' if layer.merge == 'sum' else '∥')
    return ' '.join(parts)


def _words(layer: Layer) -> str:
    own = ', '.join(f'{key} {value}' for key, value in layer.properties.items())
    return f'{layer.name}: {layer.kind}, {own} of {", ".join(layer.sources)}'


def _line(start: tuple[float, float], end: tuple[float, float], dashed: bool) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT / 2
    x2, y2 = end[0], end[1] + _HEIGHT / 2
    style = 'stroke-dasharray="4 3"' if dashed else ''
    if dashed and y1 == y2:
        # Above the boxes in between.
        middle, above = (x1 + x2) / 2, y1 - _HEIGHT
        path = f'M{x1},{y1} Q{x1 + 10},{above} {middle},{above} Q{x2 - 10},{above} {x2},{y2}'
    elif dashed and y2 < y1:
        # Around the boxes in between, along the coarser row, which is empty to the right.
        turn = x2 - _GAP_X
        path = f'M{x1},{y1} H{turn - 30} C{turn},{y1} {turn},{y2} {x2},{y2}'
    elif dashed:
        start_x, start_y = start[0] + _WIDTH / 2, start[1] + _HEIGHT
        path = f'M{start_x},{start_y} C{start_x},{y2} {x2 - 60},{y2} {x2},{y2}'
    else:
        path = f'M{x1},{y1} C{x1 + 14},{y1} {x2 - 14},{y2} {x2},{y2}'
    return f'<path d="{path}" fill="none" stroke="currentColor" opacity="0.55" {style}/>'

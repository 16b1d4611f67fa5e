"""A design drawn as a block diagram, like the paper's Fig. 1."""

from __future__ import annotations

from html import escape

from edgesegnet_ros.network.design import IMAGE, Design, Layer

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 104, 40, 26, 34, 60
_COLORS = {
    'conv': 'var(--accent)',
    'refine': 'var(--second)',
    'pooled': 'var(--third)',
    'pyramid': 'var(--third)',
}


def diagram(design: Design) -> str:
    """SVG of a design.

    Layers stand in rows by the size that they work at, in the order in which they are computed;
    shortcuts that pass over layers are dashed. A layer's properties are shown when it is pointed
    at.
    """
    strides = sorted({extent.stride for extent in design.extents.values()})
    row = {stride: number for number, stride in enumerate(strides)}
    places: dict[str, tuple[float, float]] = {IMAGE: (_MARGIN, _MARGIN)}
    for column, layer in enumerate(design.layers):
        stride = design.extents[layer.name].stride
        places[layer.name] = (
            _MARGIN + (column + 1) * (_WIDTH + _GAP_X),
            _MARGIN + row[stride] * (_HEIGHT + _GAP_Y),
        )
    last = design.layers[-1].name
    head = (places[last][0] + _WIDTH + _GAP_X, places[last][1])
    width, height = head[0] + _WIDTH + 10, _MARGIN + len(strides) * (_HEIGHT + _GAP_Y)
    parts = [
        f'<svg role="img" aria-label="Block diagram of {escape(design.title)}" '
        f'viewBox="0 0 {width} {height}" style="min-width: {width * 0.62:.0f}px" '
        'font-size="11" font-family="inherit">'
    ]
    for stride, number in row.items():
        y = _MARGIN + number * (_HEIGHT + _GAP_Y) + _HEIGHT / 2 + 4
        parts.append(f'<text x="4" y="{y}" fill="currentColor" opacity="0.6">1/{stride}</text>')
    order = [IMAGE, *(layer.name for layer in design.layers)]
    for layer in design.layers:
        for source in layer.sources:
            parts.append(_arrow(places, order, source, layer.name))
    parts.append(_line(places[last], head, dashed=False))
    parts.append(_box(*places[IMAGE], 'image', '3', 'currentColor', 'the network’s input'))
    for layer in design.layers:
        extent = design.extents[layer.name]
        parts.append(
            _box(
                *places[layer.name],
                layer.kind.replace('_', ' '),
                _small_print(layer, extent.width),
                _COLORS.get(layer.kind, 'currentColor'),
                _words(layer),
            )
        )
    parts.append(_box(*head, 'classifier', '1×1', 'currentColor', '1×1 convolution, then ×4'))
    return ''.join([*parts, '</svg>'])


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


def _arrow(
    places: dict[str, tuple[float, float]], order: list[str], source: str, target: str
) -> str:
    passes_over = order.index(target) - order.index(source) > 1
    return _line(places[source], places[target], dashed=passes_over)


def _line(start: tuple[float, float], end: tuple[float, float], dashed: bool) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT / 2
    x2, y2 = end[0], end[1] + _HEIGHT / 2
    style = 'stroke-dasharray="4 3"' if dashed else ''
    if dashed and y1 == y2:
        # Over what stands between.
        middle, above = (x1 + x2) / 2, y1 - _HEIGHT
        path = f'M{x1},{y1} Q{x1 + 10},{above} {middle},{above} Q{x2 - 10},{above} {x2},{y2}'
    elif dashed:
        start_x, start_y = start[0] + _WIDTH / 2, start[1] + (_HEIGHT if y2 > y1 else 0)
        path = f'M{start_x},{start_y} C{start_x},{y2} {x2 - 60},{y2} {x2},{y2}'
    else:
        path = f'M{x1},{y1} C{x1 + 14},{y1} {x2 - 14},{y2} {x2},{y2}'
    return f'<path d="{path}" fill="none" stroke="currentColor" opacity="0.55" {style}/>'

"""Designs: segmentation networks described by some twenty lines of YAML.

A design is a list of layers. Each reads the layer before it, or those that `from` names; several
are brought to the finest one's size bilinearly and then added (`merge: sum`, the default) or
concatenated (`merge: concat`), which is how long-range shortcuts are written; `merge: first` keeps
the first of them, which is how features are enlarged without a shortcut. The head is a 1×1
classifier behind the last layer. For example::

    format: 1
    name: small
    title: Small
    layers:
      - {name: stem, kind: conv, stride: 2, width: 16}
      - {name: fine, kind: conv, stride: 2, width: 24}
      - {name: coarse, kind: residual, stride: 2, width: 48, blocks: 2}
      - {name: join, kind: conv, from: [coarse, fine], merge: concat, width: 48}

What each kind of layer computes is said in `network.blocks`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Tuple, Union

from edgesegnet_ros import shipped
from edgesegnet_ros.lined_yaml import Lines, read_lines
from edgesegnet_ros.network import HEAD_STRIDE
from edgesegnet_ros.network.design import (
    FORMAT,
    IMAGE,
    MERGES,
    Design,
    DesignError,
    Extent,
    Layer,
    merged,
)
from edgesegnet_ros.network.layer_kinds import KINDS, Field

COARSEST = 64
"""No layer works on fewer positions than one for this many pixels, each way."""

_NAME = re.compile(r'[a-z][a-z0-9_]*')
_RESERVED = (IMAGE, 'head', 'design', 'num_classes', 'training_norms', 'training')


def find_design(name: str) -> Path:
    """The file of a design, by a shipped one's name or by path.

    Raises:
        DesignError: There is no such file.
    """
    try:
        path = shipped.find('designs', name)
    except shipped.ShippedFileError as error:
        raise DesignError(str(error)) from None
    if not path.is_file():
        raise DesignError(
            f'{path}: no such design file; shipped are {", ".join(shipped.names("designs"))}'
        )
    return path


def read_design(name: Union[str, Path]) -> Design:
    """The design of a YAML file.

    Args:
        name: A shipped design's name, or a path.

    Raises:
        DesignError: It cannot be read or built; the message names file and line.
    """
    path = find_design(str(name))
    return design_of(read_lines(path, DesignError), str(path))


def design_of(document: Any, where: str) -> Design:
    """A design from a mapping as its file holds it.

    Args:
        document: Its mappings are `Lines` where the lines are to be named.
        where: File, for messages.

    Raises:
        DesignError: It cannot be built.
    """
    if not isinstance(document, dict):
        raise DesignError(f'{where}:1: a design maps format, name and layers to values')
    given = document.get('format')
    if given != FORMAT:
        newer = isinstance(given, int) and given > FORMAT
        raise DesignError(
            f'{_at(where, document, "format")}: format {given!r}; this release reads format '
            f'{FORMAT}' + ('; install a newer one' if newer else '')
        )
    for key in document:
        if key not in ('format', 'name', 'title', 'norm', 'layers'):
            raise DesignError(
                f'{_at(where, document, key)}: {key!r} is unknown; a design has format, name, '
                'title, norm and layers'
            )
    name = document.get('name')
    if not isinstance(name, str) or not re.fullmatch(r'[a-z0-9][a-z0-9._-]*', name):
        raise DesignError(
            f'{_at(where, document, "name")}: name {name!r}; it is a short word of small '
            'letters, digits, dots and hyphens'
        )
    title = document.get('title', name)
    if not isinstance(title, str):
        raise DesignError(f'{_at(where, document, "title")}: title {title!r} is no text')
    norm = document.get('norm', 'batch')
    if norm not in ('batch', 'none'):
        raise DesignError(f'{_at(where, document, "norm")}: norm {norm!r}; batch or none')
    entries = document.get('layers')
    if not isinstance(entries, list) or not entries:
        raise DesignError(f'{_at(where, document, "layers")}: layers: a list of at least one')
    layers, extents, locations = _checked_layers(entries, where)
    _check_the_ends(layers, extents, locations)
    del extents[IMAGE]
    return Design(name, title, norm, tuple(layers), extents)


def _at(where: str, mapping: Dict[str, Any], key: str) -> str:
    if not isinstance(mapping, Lines):
        return where
    return f'{where}:{mapping.key_lines.get(key, mapping.line)}'


def _checked_layers(
    entries: List[Any], where: str
) -> Tuple[List[Layer], Dict[str, Extent], Dict[str, str]]:
    """The layers, the sizes of their outputs, and where each is in the file."""
    extents = {IMAGE: Extent(3, 1)}
    layers: List[Layer] = []
    locations: Dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            raise DesignError(f'{where}: layer {number} is {entry!r}; a layer is a mapping')
        layer = _checked_layer(entry, where, number, layers, extents)
        location = _at(where, entry, 'name')
        try:
            extents[layer.name] = _extent(layer, extents)
        except DesignError as error:
            raise DesignError(f'{location}: layer {layer.name}: {error}') from None
        locations[layer.name] = location
        layers.append(layer)
    return layers, extents, locations


def _checked_layer(
    entry: Dict[str, Any],
    where: str,
    number: int,
    before: List[Layer],
    extents: Dict[str, Extent],
) -> Layer:
    name = entry.get('name')
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
        raise DesignError(
            f'{_at(where, entry, "name")}: layer {number} is named {name!r}; a name is of '
            f'small letters, digits and _, and none of {", ".join(_RESERVED)}'
        )
    if name in extents:
        raise DesignError(f'{_at(where, entry, "name")}: a second layer is named {name}')
    kind = entry.get('kind')
    if not isinstance(kind, str) or kind not in KINDS:
        raise DesignError(
            f'{_at(where, entry, "kind")}: layer {name}: kind {kind!r} is unknown; there are '
            f'{", ".join(KINDS)}'
        )
    fields = KINDS[kind]
    for key in entry:
        if key not in ('name', 'kind', 'from', 'merge') and key not in fields:
            raise DesignError(
                f'{_at(where, entry, key)}: layer {name}: {kind} has no {key}; it has '
                f'{", ".join(fields) or "no properties"}'
            )
    properties = {}
    for key, field in fields.items():
        try:
            properties[key] = _checked_value(key, entry.get(key, field.default), field)
        except DesignError as error:
            raise DesignError(f'{_at(where, entry, key)}: layer {name}: {error}') from None
    merge = entry.get('merge', MERGES[0])
    if merge not in MERGES:
        raise DesignError(
            f'{_at(where, entry, "merge")}: layer {name}: merge {merge!r}; one of '
            f'{", ".join(MERGES)}'
        )
    given = entry.get('from', before[-1].name if before else IMAGE)
    sources = [given] if isinstance(given, str) else given
    if not isinstance(sources, list) or not sources:
        raise DesignError(f'{_at(where, entry, "from")}: layer {name}: from: names of layers')
    for source in sources:
        if source not in extents:
            known = ', '.join(extents)
            raise DesignError(
                f'{_at(where, entry, "from")}: layer {name} reads {source!r}, which is none of '
                f'the layers before it: {known}'
            )
    if len(set(sources)) < len(sources):
        raise DesignError(f'{_at(where, entry, "from")}: layer {name} reads a layer twice')
    return Layer(name, kind, tuple(sources), merge, properties)


def _checked_value(key: str, value: Any, field: Field) -> Any:
    if field.choices:
        if value not in field.choices:
            raise DesignError(f'{key} {value!r}; one of {", ".join(field.choices)}')
        return value
    if value is None:
        raise DesignError(f'{key} is missing')
    whole = not isinstance(field.default, float)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise DesignError(f'{key} {value!r}; a {"whole " if whole else ""}number')
    if not field.low <= value <= field.high:
        raise DesignError(f'{key} {value}; {field.low:g} to {field.high:g}')
    if field.odd and value % 2 == 0:
        raise DesignError(f'{key} {value}; an odd number, so that the kernel has a centre')
    return value if whole else float(value)


def _extent(layer: Layer, extents: Dict[str, Extent]) -> Extent:
    inputs = merged([extents[name] for name in layer.sources], layer.merge)
    stride = inputs.stride * layer.properties.get('stride', 1)
    if stride > COARSEST:
        raise DesignError(
            f'stride {layer.properties["stride"]} leaves nothing: 1/{stride} of the input, where '
            f'1/{COARSEST} is the coarsest'
        )
    return Extent(layer.properties.get('width', inputs.width), stride)


def _check_the_ends(
    layers: List[Layer], extents: Dict[str, Extent], locations: Dict[str, str]
) -> None:
    read = {source for layer in layers for source in layer.sources}
    for layer in layers[:-1]:
        if layer.name not in read:
            raise DesignError(
                f'{locations[layer.name]}: nothing reads layer {layer.name}: remove it, or name '
                "it in a later layer's from"
            )
    last = layers[-1].name
    stride = extents[last].stride
    if stride < HEAD_STRIDE or stride % HEAD_STRIDE:
        raise DesignError(
            f'{locations[last]}: the last layer, {last}, works at 1/{stride} of the input; the '
            f'classifier behind it works at 1/{HEAD_STRIDE}, or a multiple of that coarser'
        )

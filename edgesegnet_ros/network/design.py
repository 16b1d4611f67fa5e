"""Designs: segmentation networks described by some twenty lines of YAML.

A design is a list of layers. Each reads the layer before it, or those that `from` names; several
are brought to the finest one's size bilinearly and then added or concatenated, which is how
long-range shortcuts are written. The head is a 1×1 classifier behind the last layer. For example::

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
from typing import Any, Dict, List, NamedTuple, Tuple, Union

from edgesegnet_ros import shipped
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.lined_yaml import Lines, read_lines
from edgesegnet_ros.network import HEAD_STRIDE, STRIDE

FORMAT = 1
IMAGE = 'image'
"""What the first layer reads."""
COARSEST = 64
"""No layer works on fewer positions than one for this many pixels, each way."""


class DesignError(EdgeSegNetError):
    """A design that cannot be built; the message names the place in its file."""


class Field(NamedTuple):
    """A property of a layer.

    Attributes:
        default: None where it has to be given.
        low: Least value of a number.
        high: Largest.
        choices: Of a word.
        odd: Whether even numbers are refused.
    """

    default: Any
    low: float = 0
    high: float = 0
    choices: Tuple[str, ...] = ()
    odd: bool = False


_WIDTH = Field(None, 1, 2048)
_STRIDE = Field(1, 1, 16)
_KERNEL = Field(3, 1, 9, odd=True)
_BLOCKS = Field(1, 1, 16)
_DILATION = Field(1, 1, 16)
_ACT = Field('relu', choices=('relu', 'none'))

KINDS: Dict[str, Dict[str, Field]] = {
    'conv': {
        'width': _WIDTH,
        'kernel': _KERNEL,
        'stride': _STRIDE,
        'dilation': _DILATION,
        'blocks': _BLOCKS,
        'act': _ACT,
    },
    'max_pool': {'kernel': _KERNEL, 'stride': _STRIDE._replace(default=2)},
    'reduction': {'width': _WIDTH, 'kernel': _KERNEL, 'stride': _STRIDE._replace(default=8)},
    'bottleneck': {
        'width': _WIDTH,
        'stride': _STRIDE,
        'kernel': _KERNEL,
        'expansion': Field(1.0, 0.0625, 8),
        'blocks': _BLOCKS,
    },
    'residual': {
        'width': _WIDTH,
        'stride': _STRIDE,
        'kernel': _KERNEL,
        'dilation': _DILATION,
        'blocks': _BLOCKS,
        'act': _ACT,
        'shortcut': Field('pool', choices=('pool', 'conv')),
    },
    'wide_residual': {
        'width': _WIDTH,
        'stride': _STRIDE,
        'kernel': _KERNEL,
        'expansion': Field(0.5, 0.0625, 8),
        'blocks': _BLOCKS,
        'act': _ACT,
    },
    'separable': {
        'width': _WIDTH,
        'kernel': _KERNEL,
        'stride': _STRIDE,
        'dilation': _DILATION,
        'blocks': _BLOCKS,
        'act': _ACT,
    },
    'inverted': {
        'width': _WIDTH,
        'kernel': _KERNEL,
        'stride': _STRIDE,
        'expansion': Field(4.0, 0.5, 8),
        'blocks': _BLOCKS,
    },
    'refine': {'width': _WIDTH, 'kernel': _KERNEL},
    'pooled': {},
    'pyramid': {'width': _WIDTH, 'branch': Field(32, 1, 2048)},
    'norm': {'act': _ACT},
    'merge': {'act': Field('none', choices=('relu', 'none'))},
}
"""Kinds of layers, and the properties that each has beside `name`, `kind`, `from` and `merge`."""

_MERGES = ('sum', 'concat')
_NAME = re.compile(r'[a-z][a-z0-9_]*')
_RESERVED = (IMAGE, 'head', 'design', 'num_classes', 'training_norms', 'training')


class Layer(NamedTuple):
    """One layer of a design.

    Attributes:
        name: Its own.
        kind: Key of KINDS.
        sources: Names of what it reads; `image` for the input.
        merge: How several sources meet: sum or concat.
        properties: Of its kind, all of them.
    """

    name: str
    kind: str
    sources: Tuple[str, ...]
    merge: str
    properties: Dict[str, Any]


class Extent(NamedTuple):
    """How large a layer's output is.

    Attributes:
        width: Channels.
        stride: Input pixels for one position, each way.
    """

    width: int
    stride: int


class Design(NamedTuple):
    """A network to be, checked.

    Attributes:
        name: Short name, as `edgesegnet train --network` takes it.
        title: For people.
        norm: `batch`: convolutions carry batch norms while they are trained, which are folded
            into them afterwards; `none`.
        layers: In the order in which they are computed.
        extents: Layer -> size of its output.
    """

    name: str
    title: str
    norm: str
    layers: Tuple[Layer, ...]
    extents: Dict[str, Extent]

    def layer(self, name: str) -> Layer:
        """The layer of that name."""
        return next(layer for layer in self.layers if layer.name == name)

    def reads(self, layer: Layer) -> Extent:
        """Size of what `layer` reads, its sources merged."""
        return _merged([self.extents[name] for name in layer.sources], layer.merge)

    def as_dict(self) -> Dict[str, Any]:
        """What its file holds, for a weights file's header; defaults are left out."""
        layers: List[Dict[str, Any]] = []
        before = IMAGE
        for layer in self.layers:
            entry: Dict[str, Any] = {'name': layer.name, 'kind': layer.kind}
            if layer.sources != (before,):
                entry['from'] = list(layer.sources)
            if layer.merge != _MERGES[0]:
                entry['merge'] = layer.merge
            for key, field in KINDS[layer.kind].items():
                if layer.properties[key] != field.default:
                    entry[key] = layer.properties[key]
            layers.append(entry)
            before = layer.name
        given = {'format': FORMAT, 'name': self.name, 'title': self.title}
        return {**given, 'norm': self.norm, 'layers': layers}

    def as_yaml(self) -> str:
        """The text of its file: a line for each layer."""
        import yaml

        def flow(value: Any) -> str:
            return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=4096)

        document = self.as_dict()
        layers = document.pop('layers')
        lines = [f'{key}: {flow(value).split(chr(10))[0]}' for key, value in document.items()]
        lines += ['layers:'] + [f'  - {flow(layer).strip()}' for layer in layers]
        return '\n'.join(lines) + '\n'


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
            f'{_place(where, document, "format")}: format {given!r}; this release reads format '
            f'{FORMAT}' + ('; install a newer one' if newer else '')
        )
    for key in document:
        if key not in ('format', 'name', 'title', 'norm', 'layers'):
            raise DesignError(
                f'{_place(where, document, key)}: {key!r} is unknown; a design has format, name, '
                'title, norm and layers'
            )
    name = document.get('name')
    if not isinstance(name, str) or not re.fullmatch(r'[a-z0-9][a-z0-9._-]*', name):
        raise DesignError(
            f'{_place(where, document, "name")}: name {name!r}; it is a short word of small '
            'letters, digits, dots and hyphens'
        )
    title = document.get('title', name)
    if not isinstance(title, str):
        raise DesignError(f'{_place(where, document, "title")}: title {title!r} is no text')
    norm = document.get('norm', 'batch')
    if norm not in ('batch', 'none'):
        raise DesignError(f'{_place(where, document, "norm")}: norm {norm!r}; batch or none')
    entries = document.get('layers')
    if not isinstance(entries, list) or not entries:
        raise DesignError(f'{_place(where, document, "layers")}: layers: a list of at least one')
    layers, extents, places = _checked_layers(entries, where)
    _check_the_ends(layers, extents, places)
    del extents[IMAGE]
    return Design(name, title, norm, tuple(layers), extents)


def _place(where: str, mapping: Dict[str, Any], key: str) -> str:
    if not isinstance(mapping, Lines):
        return where
    return f'{where}:{mapping.key_lines.get(key, mapping.line)}'


def _checked_layers(
    entries: List[Any], where: str
) -> Tuple[List[Layer], Dict[str, Extent], Dict[str, str]]:
    """The layers, the sizes of their outputs, and the place of each in the file."""
    extents = {IMAGE: Extent(3, 1)}
    layers: List[Layer] = []
    places: Dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            raise DesignError(f'{where}: layer {number} is {entry!r}; a layer is a mapping')
        layer = _checked_layer(entry, where, number, layers, extents)
        where_it_is = _place(where, entry, 'name')
        try:
            extents[layer.name] = _extent(layer, extents)
        except DesignError as error:
            raise DesignError(f'{where_it_is}: layer {layer.name}: {error}') from None
        places[layer.name] = where_it_is
        layers.append(layer)
    return layers, extents, places


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
            f'{_place(where, entry, "name")}: layer {number} is named {name!r}; a name is of '
            f'small letters, digits and _, and none of {", ".join(_RESERVED)}'
        )
    if name in extents:
        raise DesignError(f'{_place(where, entry, "name")}: a second layer is named {name}')
    kind = entry.get('kind')
    if not isinstance(kind, str) or kind not in KINDS:
        raise DesignError(
            f'{_place(where, entry, "kind")}: layer {name}: kind {kind!r} is unknown; there are '
            f'{", ".join(KINDS)}'
        )
    fields = KINDS[kind]
    for key in entry:
        if key not in ('name', 'kind', 'from', 'merge') and key not in fields:
            raise DesignError(
                f'{_place(where, entry, key)}: layer {name}: {kind} has no {key}; it has '
                f'{", ".join(fields) or "no properties"}'
            )
    properties = {}
    for key, field in fields.items():
        try:
            properties[key] = _checked_value(key, entry.get(key, field.default), field)
        except DesignError as error:
            raise DesignError(f'{_place(where, entry, key)}: layer {name}: {error}') from None
    merge = entry.get('merge', _MERGES[0])
    if merge not in _MERGES:
        raise DesignError(
            f'{_place(where, entry, "merge")}: layer {name}: merge {merge!r}; sum or concat'
        )
    given = entry.get('from', before[-1].name if before else IMAGE)
    sources = [given] if isinstance(given, str) else given
    if not isinstance(sources, list) or not sources:
        raise DesignError(f'{_place(where, entry, "from")}: layer {name}: from: names of layers')
    for source in sources:
        if source not in extents:
            known = ', '.join(extents)
            raise DesignError(
                f'{_place(where, entry, "from")}: layer {name} reads {source!r}, which is none of '
                f'the layers before it: {known}'
            )
    if len(set(sources)) < len(sources):
        raise DesignError(f'{_place(where, entry, "from")}: layer {name} reads a layer twice')
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


def _merged(parts: List[Extent], merge: str) -> Extent:
    finest = min(part.stride for part in parts)
    for part in parts:
        if part.stride % finest:
            raise DesignError(
                f'1/{part.stride} and 1/{finest} of the input never meet: one stride has to be a '
                'multiple of the other'
            )
    widths = [part.width for part in parts]
    if merge == 'concat':
        return Extent(sum(widths), finest)
    if len(set(widths)) > 1:
        raise DesignError(
            f'widths {", ".join(map(str, widths))} cannot be added: make them equal, or give '
            'merge: concat'
        )
    return Extent(widths[0], finest)


def _extent(layer: Layer, extents: Dict[str, Extent]) -> Extent:
    inputs = _merged([extents[name] for name in layer.sources], layer.merge)
    stride = inputs.stride * layer.properties.get('stride', 1)
    if stride > COARSEST:
        raise DesignError(
            f'stride {layer.properties["stride"]} leaves nothing: 1/{stride} of the input, where '
            f'1/{COARSEST} is the coarsest'
        )
    return Extent(layer.properties.get('width', inputs.width), stride)


def _check_the_ends(
    layers: List[Layer], extents: Dict[str, Extent], places: Dict[str, str]
) -> None:
    read = {source for layer in layers for source in layer.sources}
    for layer in layers[:-1]:
        if layer.name not in read:
            raise DesignError(
                f'{places[layer.name]}: nothing reads layer {layer.name}: remove it, or name it '
                "in a later layer's from"
            )
    last = layers[-1].name
    stride = extents[last].stride
    if stride < HEAD_STRIDE or stride % HEAD_STRIDE:
        raise DesignError(
            f'{places[last]}: the last layer, {last}, works at 1/{stride} of the input; the '
            f'classifier behind it works at 1/{HEAD_STRIDE}, or a multiple of that coarser'
        )


def whole_factor(coarse: int, fine: int) -> int:
    """The factor that enlarges one stride's features to another's; 0 where it depends on the size.

    Args:
        coarse: Stride.
        fine: Stride; divides it.
    """
    return coarse // fine if STRIDE % coarse == 0 else 0

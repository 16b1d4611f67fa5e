"""Designs: segmentation networks as lists of layers, with the size of each layer's output.

`network.design_file` reads a design from YAML and documents the format.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Tuple

from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network import STRIDE
from edgesegnet_ros.network.layer_kinds import KINDS

FORMAT = 1
IMAGE = 'image'
"""What the first layer reads."""
MERGES = ('sum', 'concat', 'first')
"""How several sources become one; the first is the default."""


class DesignError(EdgeSegNetError):
    """A design that cannot be built; the message names the place in its file."""


class Layer(NamedTuple):
    """One layer of a design.

    Attributes:
        name: Its own.
        kind: Key of KINDS.
        sources: Names of what it reads; `image` for the input.
        merge: How several sources meet: sum, concat, or first, which keeps the first alone.
        properties: Properties of its kind, all of them.
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
        return merged([self.extents[name] for name in layer.sources], layer.merge)

    def as_dict(self) -> Dict[str, Any]:
        """What its file holds, for a weights file's header; defaults are left out."""
        layers: List[Dict[str, Any]] = []
        before = IMAGE
        for layer in self.layers:
            entry: Dict[str, Any] = {'name': layer.name, 'kind': layer.kind}
            if layer.sources != (before,):
                entry['from'] = list(layer.sources)
            if layer.merge != MERGES[0]:
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


def merged(parts: List[Extent], merge: str) -> Extent:
    """The extent of several layers' outputs, merged at the finest one's size.

    Args:
        parts: Parts of the sources.
        merge: One of MERGES.

    Raises:
        DesignError: They cannot be merged.
    """
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
    if merge == 'first':
        return Extent(widths[0], finest)
    if len(set(widths)) > 1:
        raise DesignError(
            f'widths {", ".join(map(str, widths))} cannot be added: make them equal, or give '
            'merge: concat'
        )
    return Extent(widths[0], finest)


def whole_factor(coarse: int, fine: int) -> int:
    """The factor that enlarges one stride's features to another's; 0 where it depends on the size.

    Args:
        coarse: Stride.
        fine: Stride; divides it.
    """
    return coarse // fine if STRIDE % coarse == 0 else 0

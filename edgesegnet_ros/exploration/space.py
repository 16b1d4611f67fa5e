"""The design space of the exploration, in which each property is a categorical choice.

A network of this space has a stem, up to four stages of modules, each at half the size of the
previous one, a context module for the whole scene, and a decoder of refinement modules, with or
without a long-range shortcut at each size. The second path of the paper, from the stem to the
coarsest size, is optional. Every combination of choices is a design that can be built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

from edgesegnet_ros.network.design import Design
from edgesegnet_ros.network.design_file import design_of

Choice = Union[int, str, bool]
Choices = Mapping[str, Choice]

_MODULES: tuple[str, ...] = ('residual', 'bottleneck', 'separable', 'inverted')
_REFINES: tuple[str, ...] = ('conv', 'separable', 'residual', 'refine')
_WIDTHS: tuple[tuple[int, ...], ...] = (
    (16, 24, 32, 48, 64),
    (24, 32, 48, 64, 96),
    (48, 64, 96, 128, 192),
    (96, 128, 160, 192, 256),
)
_SIZES = (4, 8, 16, 32)
"""Strides of the four stages."""

SPACE: dict[str, tuple[Choice, ...]] = {
    'stem_kernel': (3, 5, 7),
    'stem_width': (8, 12, 16, 24, 32),
    'stem_second': ('conv', 'max_pool', 'separable'),
    'depth': (3, 4),
    **{f'stage{number}_kind': _MODULES for number in range(1, 5)},
    **{f'stage{number}_width': widths for number, widths in enumerate(_WIDTHS, 1)},
    **{f'stage{number}_blocks': (1, 2, 3, 4) for number in range(1, 5)},
    'dilation': (1, 2),
    'scene': ('none', 'pooled', 'pyramid'),
    'second_path': (False, True),
    'refine': _REFINES,
    'refine_blocks': (1, 2),
    'refine_width': (24, 32, 48, 64, 96),
    'merge': ('sum', 'concat'),
    'shortcut4': (True, False),
    'shortcut8': (True, False),
    'shortcut16': (True, False),
}
"""Name of each choice, and its values."""

PROTOTYPE: dict[str, Choice] = {
    'stem_kernel': 7,
    'stem_width': 32,
    'stem_second': 'max_pool',
    'depth': 4,
    'stage1_kind': 'bottleneck',
    'stage1_width': 48,
    'stage1_blocks': 2,
    'stage2_kind': 'bottleneck',
    'stage2_width': 96,
    'stage2_blocks': 2,
    'stage3_kind': 'bottleneck',
    'stage3_width': 128,
    'stage3_blocks': 2,
    'stage4_kind': 'bottleneck',
    'stage4_width': 192,
    'stage4_blocks': 2,
    'dilation': 1,
    'scene': 'none',
    'second_path': False,
    'refine': 'refine',
    'refine_blocks': 1,
    'refine_width': 96,
    'merge': 'sum',
    'shortcut4': True,
    'shortcut8': True,
    'shortcut16': True,
}
"""φ: a multi-path refinement network (RefineNet, arXiv 1611.06612) of the paper's own modules."""


def design_from(choices: Choices, name: str) -> Design:
    """Build the design for a set of choices.

    Args:
        choices: A value for each key of SPACE.
        name: Name of the design.
    """
    layers: list[dict[str, Any]] = [
        {
            'name': 'stem',
            'kind': 'conv',
            'kernel': choices['stem_kernel'],
            'stride': 2,
            'width': choices['stem_width'],
        },
        _second(choices),
    ]
    depth = int(choices['depth'])
    for number in range(1, depth + 1):
        layers.append(_stage(choices, number, last=number == depth))
    coarsest = _SIZES[depth - 1]
    before = f'stage{depth}'
    if choices['scene'] == 'pooled':
        layers.append({'name': 'scene', 'kind': 'pooled'})
        before = 'scene'
    elif choices['scene'] == 'pyramid':
        width = choices[f'stage{depth}_width']
        layers.append({'name': 'scene', 'kind': 'pyramid', 'width': width, 'branch': 32})
        before = 'scene'
    if choices['second_path']:
        width = choices[f'stage{depth}_width']
        path = {'name': 'reduction', 'kind': 'reduction', 'from': 'stem', 'width': width}
        layers.append({**path, 'stride': coarsest // 2})
        layers.append({'name': 'paths', 'kind': 'merge', 'from': [before, 'reduction']})
        before = 'paths'
    for size in reversed(_SIZES[: depth - 1]):
        layers += _refinement(choices, size, before)
        before = f'up{size}'
    title = f'design {name}'
    return design_of({'format': 1, 'name': name, 'title': title, 'layers': layers}, name)


def _second(choices: Choices) -> dict[str, Any]:
    kind = choices['stem_second']
    layer = {'name': 'second', 'kind': kind, 'stride': 2}
    return layer if kind == 'max_pool' else {**layer, 'width': choices['stage1_width']}


def _stage(choices: Choices, number: int, last: bool) -> dict[str, Any]:
    kind = choices[f'stage{number}_kind']
    layer = {
        'name': f'stage{number}',
        'kind': kind,
        'width': choices[f'stage{number}_width'],
        'stride': 1 if number == 1 else 2,
        'blocks': choices[f'stage{number}_blocks'],
    }
    if last and kind in ('residual', 'separable') and choices['dilation'] != 1:
        layer['dilation'] = choices['dilation']
    return layer


def _refinement(choices: Choices, size: int, coarser: str) -> list[dict[str, Any]]:
    """The layers of the decoder at 1/size: the shortcut, if any, and the refinement modules."""
    name, stage = f'up{size}', f'stage{_SIZES.index(size) + 1}'
    kind, width = choices['refine'], choices['refine_width']
    layer: dict[str, Any] = {'name': name, 'kind': kind, 'width': width}
    if kind != 'refine':
        layer['blocks'] = choices['refine_blocks']
    if not choices[f'shortcut{size}']:
        # Without a shortcut, the features are refined at the coarser size, and enlarged by the
        # next module that has a shortcut, or by the classifier.
        return [{**layer, 'from': coarser}]
    if choices['merge'] == 'concat':
        return [{**layer, 'from': [coarser, stage], 'merge': 'concat'}]
    project = {'kind': 'conv', 'kernel': 1, 'act': 'none', 'width': width}
    return [
        {**project, 'name': f'coarse{size}', 'from': coarser},
        {**project, 'name': f'fine{size}', 'from': stage},
        {**layer, 'from': [f'coarse{size}', f'fine{size}']},
    ]


def prototype() -> Design:
    """The prototype φ (config/designs/phi.yaml), built from its choices."""
    return design_from(PROTOTYPE, 'phi')._replace(title='prototype φ')

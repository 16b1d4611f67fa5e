"""The kinds of layers that a design may have, and the properties of each.

What each kind computes is said in `network.blocks`.
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Tuple


class Field(NamedTuple):
    """A property of a layer.

    Attributes:
        default: None where it has to be given.
        low: Least value of a number.
        high: Largest.
        choices: The allowed words, for a property that is a word.
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
    'grid_pyramid': {'width': _WIDTH},
    'norm': {'act': _ACT},
    'merge': {'act': Field('none', choices=('relu', 'none'))},
}
"""Kinds of layers, and the properties that each has beside `name`, `kind`, `from` and `merge`."""

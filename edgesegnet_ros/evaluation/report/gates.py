"""`--fail-if 'miou<0.6'`: conditions on a command's JSON that make the command fail.

A gate is a path into the JSON, an operator and a number. It is parsed before any work starts;
nothing in it is ever executed. A path that the figures do not have, or whose value is null, is a
usage error: a gate that cannot be evaluated must not pass.
"""

from __future__ import annotations

import argparse
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from edgesegnet_ros.errors import EdgeSegNetError

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    '<=': operator.le,
    '>=': operator.ge,
    '==': operator.eq,
    '!=': operator.ne,
    '<': operator.lt,
    '>': operator.gt,
}
_GATE = re.compile(r'\s*([^<>=!]+?)\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*', re.ASCII)
_NUMBER = re.compile(r'[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?', re.ASCII | re.IGNORECASE)
_SHOWN_NAMES = 12


class GateError(EdgeSegNetError):
    """A gate that cannot be parsed, or for which the figures have no number."""


class Gate(NamedTuple):
    """One condition that fails a run.

    Attributes:
        path: Names and list indices in the JSON, joined by dots, such as `latency_ms.p95`.
        operator: A key of OPERATORS.
        limit: The number that the figure is compared with.
    """

    path: str
    operator: str
    limit: float

    def __str__(self) -> str:
        return f'{self.path}{self.operator}{self.limit:g}'

    def fires(self, value: float) -> bool:
        """Whether the run fails for this figure."""
        return OPERATORS[self.operator](value, self.limit)


class Fired(NamedTuple):
    """A gate that fired, with the value of its figure."""

    gate: Gate
    value: float

    def __str__(self) -> str:
        return f'{self.gate} fired: {self.gate.path} is {self.value:.6g}'


def parse_gate(text: str) -> Gate:
    """Read one gate, such as `miou<0.6` or `latency_ms.p95 > 50`.

    Raises:
        GateError: The text is not a gate.
    """
    parts = _GATE.fullmatch(text)
    number = parts and _NUMBER.fullmatch(parts[3])
    if not parts or not number or not all(parts[1].split('.')):
        raise GateError(
            f'--fail-if {text!r}: not a condition; write a path of the JSON, one of '
            f"{' '.join(OPERATORS)} and a number, such as 'miou<0.6' or 'latency_ms.p95>50'"
        )
    return Gate(parts[1], parts[2], float(parts[3]))


def gate_argument(text: str) -> Gate:
    """`parse_gate` as an argparse type, so that a wrong gate is refused before any work."""
    try:
        return parse_gate(text)
    except GateError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_gate_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--fail-if` to a command; it may be repeated, and its values are Gates."""
    parser.add_argument(
        '--fail-if',
        action='append',
        default=[],
        type=gate_argument,
        metavar='CONDITION',
        help='exit with status 1 if this condition holds: a path of the JSON, an operator and a '
        "number, such as 'miou<0.6'; may be repeated",
    )


def look_up(figures: Mapping[str, Any], path: str) -> float:
    """The number at a path.

    Args:
        figures: The content of `--json`.
        path: Path of a gate.

    Raises:
        GateError: There is no such name, or its value is null or not a finite number.
    """
    value: Any = figures
    walked: list[str] = []
    for name in path.split('.'):
        where = '.'.join(walked) or 'the JSON'
        if isinstance(value, Mapping):
            if name not in value:
                raise GateError(f'{path}: {where} has no {name!r}; there are {_names(value)}')
            value = value[name]
        elif isinstance(value, Sequence) and not isinstance(value, str):
            if not (name.isascii() and name.isdigit() and int(name) < len(value)):
                raise GateError(f'{path}: {where} is a list of {len(value)}, counted from 0')
            value = value[int(name)]
        else:
            raise GateError(f'{path}: {where} is {_kind(value)}, there is nothing below it')
        walked.append(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        below = f'; there are {_names(value)}' if isinstance(value, Mapping) else ''
        raise GateError(f'{path}: is {_kind(value)} in these figures, not a number{below}')
    return float(value)


def check(gates: Iterable[Gate], figures: Mapping[str, Any]) -> list[Fired]:
    """Evaluate all gates.

    Args:
        gates: May be empty.
        figures: The content of `--json`.

    Returns:
        The gates that fired, in order.

    Raises:
        GateError: Some gates have no number to compare; the message names all of them.
    """
    fired, wrong = [], []
    for gate in gates:
        try:
            value = look_up(figures, gate.path)
        except GateError as error:
            wrong.append(str(error))
            continue
        if gate.fires(value):
            fired.append(Fired(gate, value))
    if wrong:
        raise GateError(
            '--fail-if cannot be evaluated, which never counts as a pass:\n  ' + '\n  '.join(wrong)
        )
    return fired


def _names(value: Mapping[str, Any]) -> str:
    names = list(map(str, value))
    more = f' and {len(names) - _SHOWN_NAMES} more' if len(names) > _SHOWN_NAMES else ''
    return ', '.join(names[:_SHOWN_NAMES]) + more if names else 'no names'


def _kind(value: Any) -> str:
    if value is None:
        return 'null'
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, Mapping):
        return 'a group of figures'
    if isinstance(value, str):
        return 'text'
    if isinstance(value, float):
        return 'not finite' if not math.isfinite(value) else 'a number'
    return 'a number' if isinstance(value, int) else 'a list'

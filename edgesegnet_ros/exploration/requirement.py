"""The requirement that a network must meet: a small expression, which is never executed.

It consists of clauses joined by `and`, each a comparison of one figure with a number, such as
`accuracy >= 0.88 and size_mb <= 16.7 and latency_ms <= 20`. It is the paper's indicator function
1_r (arXiv 1905.04222, Eq. 1).
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import NamedTuple

from edgesegnet_ros.errors import EdgeSegNetError

FIGURES = {
    'accuracy': 'pixel accuracy on val, 0 to 1',
    'miou': 'mean intersection over union on val, 0 to 1',
    'params': 'trained values',
    'size_mb': 'MiB of the parameters in fp32',
    'gmac': '10⁹ multiply-accumulates per image, as deployed',
    'latency_ms': 'milliseconds per image on the engine and precision of the exploration',
    'peak_mb': 'MiB of the largest set of features that are alive at once, in fp32, and the '
    'parameters',
}
"""Figures that a clause may name, and their meaning."""

_OPERATORS: dict[type, str] = {ast.GtE: '>=', ast.Gt: '>', ast.LtE: '<=', ast.Lt: '<'}


class RequirementError(EdgeSegNetError):
    """An invalid requirement; the message shows the column."""


class Clause(NamedTuple):
    """One comparison.

    Attributes:
        figure: Key of FIGURES.
        operator: >=, >, <= or <.
        bound: The number that the figure is compared with.
    """

    figure: str
    operator: str
    bound: float

    def __str__(self) -> str:
        return f'{self.figure} {self.operator} {self.bound:g}'

    def meets(self, value: float) -> bool:
        """Whether a value satisfies the clause; NaN never does."""
        return {
            '>=': value >= self.bound,
            '>': value > self.bound,
            '<=': value <= self.bound,
            '<': value < self.bound,
        }[self.operator]

    def excess(self, value: float) -> float:
        """How far a value misses the clause, as a share of the bound; 0 or less if it meets it."""
        if math.isnan(value):
            return math.inf
        missing = value - self.bound if self.operator in ('<=', '<') else self.bound - value
        share = missing / max(abs(self.bound), 1e-9)
        return share if share > 0 or self.meets(value) else 1e-9


class Requirement(NamedTuple):
    """A requirement, which is met if all of its clauses are met.

    Attributes:
        text: The expression.
        clauses: The clauses in the order of the text; empty if every network meets it.
    """

    text: str
    clauses: tuple[Clause, ...]

    def failed(self, figures: Mapping[str, float]) -> list[Clause]:
        """The clauses that a network's figures do not meet."""
        return [one for one in self.clauses if not one.meets(figures[one.figure])]

    def excess(self, figures: Mapping[str, float]) -> float:
        """The sum of the excess of all clauses; 0 if the requirement is met."""
        return sum(max(0.0, one.excess(figures[one.figure])) for one in self.clauses)


def read_requirement(text: str) -> Requirement:
    """Parse an expression; '' is met by everything.

    Raises:
        RequirementError: The text is not a sequence of comparisons joined by `and`.
    """
    if not text.strip():
        return Requirement(text, ())
    try:
        tree = ast.parse(text.strip(), mode='eval').body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = getattr(error, 'offset', None) or 1
        raise _refused(text.strip(), column - 1, 'this is no expression') from None
    parts = tree.values if isinstance(tree, ast.BoolOp) else [tree]
    if isinstance(tree, ast.BoolOp) and not isinstance(tree.op, ast.And):
        raise _refused(text.strip(), parts[1].col_offset, 'clauses are joined by `and` alone')
    return Requirement(text, tuple(_clause(part, text.strip()) for part in parts))


def _clause(node: ast.expr, text: str) -> Clause:
    at = _column(text, node)
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        raise _refused(text, at, 'a clause compares one figure with one number')
    operator = _OPERATORS.get(type(node.ops[0]))
    if operator is None:
        raise _refused(text, at, f'a comparison is one of {", ".join(_OPERATORS.values())}')
    name, bound = node.left, node.comparators[0]
    if not isinstance(name, ast.Name):
        raise _refused(text, at, 'a clause begins with the name of a figure')
    if name.id not in FIGURES:
        raise _refused(text, at, f'{name.id!r} is unknown; there are {", ".join(FIGURES)}')
    if (
        not isinstance(bound, ast.Constant)
        or isinstance(bound.value, bool)
        or not isinstance(bound.value, (int, float))
        or not math.isfinite(bound.value)
    ):
        raise _refused(text, _column(text, bound), 'a clause ends with a number of 0 or more')
    return Clause(name.id, operator, float(bound.value))


def _column(text: str, node: ast.expr) -> int:
    """Of a node's first letter; ast counts bytes."""
    return len(text.encode()[: node.col_offset].decode(errors='ignore'))


def _refused(text: str, column: int, reason: str) -> RequirementError:
    pointer = ' ' * max(0, column) + '^'
    return RequirementError(
        f'--requirement, column {column + 1}: {reason}; write it like '
        f"'accuracy >= 0.88 and size_mb <= 16.7'\n  {text}\n  {pointer}"
    )

"""A finding of `edgesegnet doctor`, and its remedy."""

from __future__ import annotations

from typing import Iterable, List, NamedTuple

OK, WARNING, ERROR = 'ok', 'warning', 'error'
"""ERROR: the node cannot work. WARNING: it works, but not as a user would want."""
_MARKS = {OK: 'ok  ', WARNING: 'WARN', ERROR: 'FAIL'}


class Finding(NamedTuple):
    """A finding.

    Attributes:
        level: OK, WARNING or ERROR.
        subject: Subject, such as `engine` or `image topic`.
        message: A sentence with the finding.
        remedy: What to do, if possible a command; '' if nothing has to be done.
    """

    level: str
    subject: str
    message: str
    remedy: str = ''

    def text(self) -> str:
        """The finding as text."""
        line = f'{_MARKS[self.level]} {self.subject}: {self.message}'
        if not self.remedy:
            return line
        indented = self.remedy.replace('\n', '\n          ')
        return f'{line}\n       -> {indented}'


def worst(findings: Iterable[Finding]) -> str:
    """The highest level among the findings."""
    levels: List[str] = [OK, WARNING, ERROR]
    return max((finding.level for finding in findings), key=levels.index, default=OK)

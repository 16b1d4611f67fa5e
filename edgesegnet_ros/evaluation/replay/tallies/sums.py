"""Sums over frames and pixels, which add up over recordings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesegnet_ros.evaluation.accuracy import count_bytes

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass
class Sums:
    """Numbers and int64 arrays that add up."""

    def __iadd__(self, other: Self) -> Self:
        for each in fields(self):
            total = getattr(self, each.name) + getattr(other, each.name)
            setattr(self, each.name, total)
        return self

    def to_json(self) -> dict[str, Any]:
        """Numbers and lists by name."""
        return {each.name: np.asarray(getattr(self, each.name)).tolist() for each in fields(self)}

    @classmethod
    def from_json(cls, text: dict[str, Any]) -> Self:
        """What `to_json` gave, among more."""
        values = {each.name: text[each.name] for each in fields(cls)}
        return cls(
            **{
                name: np.array(value, np.int64) if isinstance(value, list) else value
                for name, value in values.items()
            }
        )


def zeros(*shape: int) -> np.ndarray:
    """Int64 sums of nothing."""
    return np.zeros(shape, np.int64)


def by_class(labels: np.ndarray, columns: int) -> np.ndarray:
    """(columns,) int64 pixels by class; those without a class are the last."""
    counts = count_bytes(labels)
    return np.append(counts[: columns - 1], counts[columns - 1 :].sum())


def share(part: Any, whole: Any) -> float | None:
    """Part by whole, 0-1; None of nothing."""
    return float(part) / float(whole) if whole else None

"""The settings of an exploration; they are stored in the study, so that all workers agree."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from edgesegnet_ros.errors import EdgeSegNetError

RUNG_FACTOR = 3
"""Successive halving keeps one of this many candidates at each rung."""
_LEAST_STEPS, _LEAST_TO_HALVE = 15, 45
"""No candidate is judged after fewer steps, and none is given up: their order would be chance."""


class ExplorationError(EdgeSegNetError):
    """An exploration that cannot be done; the message says what to do."""


@dataclass(frozen=True)
class Settings:
    """All settings that determine which networks are tried and how they are judged.

    Attributes:
        data: Dataset folder; '' for rendered streets.
        classes: Class file, by name or path.
        teachers: Weights files whose mean the candidates are distilled from.
        requirement: Expression; see `requirement`.
        performance: Key of `performance.PERFORMANCES`.
        engine: Back end that latency is measured on.
        precision: Precision of the engine.
        threads: Number of CPU threads of the engine.
        input_size: Height and width of views and of the deployed network.
        views: Number of views in the pool.
        rendered: Number of rendered streets in the pool, in addition to the images of the dataset.
        steps: Number of steps of training, for a candidate that reaches the last rung.
        batch: Number of views per step.
        learning_rate: Learning rate of Muon, at its peak.
        val_images: Number of val images, evenly spread, that judge a candidate; 0 for all.
        population: Number of networks of a generator.
        halving: Whether successive halving stops the training of the worse candidates early.
        inquisitor: Whether trained networks are probed, and the generator advised.
        seed: S, the seed of all random numbers.
    """

    data: str = ''
    classes: str = 'camvid11'
    teachers: tuple[str, ...] = ()
    requirement: str = ''
    performance: str = 'netscore'
    engine: str = 'torch'
    precision: str = 'fp32'
    threads: int = 1
    input_size: tuple[int, int] = (256, 256)
    views: int = 800
    rendered: int = 64
    steps: int = 1350
    batch: int = 8
    learning_rate: float = 2e-3
    val_images: int = 0
    population: int = 8
    halving: bool = True
    inquisitor: bool = True
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ('views', 'steps', 'batch', 'population', 'threads'):
            if getattr(self, name) < 1:
                raise ExplorationError(f'--{name} {getattr(self, name)}: at least 1')
        if self.batch > self.views:
            raise ExplorationError(
                f'--batch {self.batch} is more than the --views {self.views} of the pool'
            )

    @property
    def rungs(self) -> list[int]:
        """Steps after which a candidate is judged; the last rung is the end of its training."""
        found = [self.steps]
        least = _LEAST_TO_HALVE if self.halving else _LEAST_STEPS
        while len(found) < 3 and found[0] // RUNG_FACTOR >= least:
            found.insert(0, found[0] // RUNG_FACTOR)
        return found

    def stored(self) -> dict[str, Any]:
        """The settings as JSON values, which the study stores."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> Settings:
        """Settings from the values that `stored` returned."""
        given: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()
        }
        return cls(**given)

    def differences(self, stored: dict[str, Any]) -> list[str]:
        """The differences between a study's settings and these, as text."""
        own, found = self.stored(), {**Settings().stored(), **stored}
        return [
            f'{one.name} {found[one.name]!r}, not {own[one.name]!r}'
            for one in fields(self)
            if found[one.name] != own[one.name]
        ]

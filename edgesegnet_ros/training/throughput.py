"""The speed of a run, and the share of the time that it waits for data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypeVar

Batch = TypeVar('Batch')
MUCH_WAITING = 0.2
"""Share of the time spent on waiting for data above which more processes help."""


class Throughput:
    """Counts views, and the time that the loop waits for them, since the last `restart`."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Reset the counts."""
        self._began = time.monotonic()
        self._views, self._waited = 0, 0.0

    def next(self, loader: Iterator[Batch], views: int) -> Batch:
        """The loader's next batch; the time until it is there counts as waiting for data.

        Args:
            loader: Iterator over batches.
            views: Number of views per batch, over all processes.
        """
        began = time.monotonic()
        batch = next(loader)
        self._waited += time.monotonic() - began
        self._views += views
        return batch

    @property
    def views_per_second(self) -> float:
        """Views per second over all processes; 0 before the first batch."""
        return self._views / max(time.monotonic() - self._began, 1e-9)

    @property
    def data_share(self) -> float:
        """Share of the time, 0-1, in which the loop waited for data and the device was idle.

        With a GPU a step is only launched while the GPU computes earlier ones, so this is close
        to 0 if the GPU is the bottleneck.
        """
        return min(1.0, self._waited / max(time.monotonic() - self._began, 1e-9))

    def sentence(self, workers: int) -> str:
        """A sentence for the log.

        Args:
            workers: Number of data loading processes.
        """
        text = f'{self.views_per_second:.1f} views/s, {self.data_share:.0%} of the time waiting'
        if self.data_share < MUCH_WAITING:
            return f'{text} for data: the device is the limit'
        more = f'raise --workers ({workers})' if workers else 'give --workers'
        return f'{text} for data: {more} if cores are idle'

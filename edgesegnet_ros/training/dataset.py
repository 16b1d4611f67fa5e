"""The training data: random views of the train split and of rendered streets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from edgesegnet_ros.data.augment import (
    paste,
    random_view,
    recolour,
    relight,
    take_tone,
    tone,
)
from edgesegnet_ros.data.camvid import LabelledPair, class_shares
from edgesegnet_ros.data.classes import VOID
from edgesegnet_ros.training.config import ConfigError, TrainConfig
from edgesegnet_ros.training.run_log import bar_interval

FIRST_RENDERED_SEED = 1_000_000
"""Streets with smaller seeds are never used for training, so that demo and tests can use them."""
_RENDERED_SIZE = (360, 480)
_THIN = 0.02
"""Classes with a smaller share of the labelled pixels are pasted by `paste`."""
_ORDERS = 64
"""Epochs whose orders are kept; views of many epochs come side by side with `reuse`."""

Position = tuple[int, int]
"""Number of the epoch, and index of the view in it; both start at 0."""


def rendered_pool(config: TrainConfig, quiet: bool = False) -> list[LabelledPair]:
    """The rendered street scenes that a run draws from, the same for the same config."""
    if not config.rendered or not config.rendered_pool:
        return []
    from edgesegnet_ros.data.street import random_scenes

    count = config.rendered_pool
    scenes = random_scenes(FIRST_RENDERED_SEED + config.seed, count, _RENDERED_SIZE)
    progress = tqdm(
        scenes,
        'rendering streets',
        count,
        unit='scene',
        disable=quiet,
        mininterval=bar_interval(),
    )
    return [(scene.image, scene.labels) for scene in progress]


class Views(Dataset):
    """Random views of every epoch, in each epoch's random order.

    The random numbers of a view follow from (seed, epoch, position) alone, so that a resumed run
    gets the same views as an uninterrupted one, whichever process makes them.

    Args:
        real: Labelled images.
        rendered: Labelled scenes.
        config: Counts, sizes, scales and the seed.
        drives: The drive of each labelled image; a single drive if not given.
    """

    def __init__(
        self,
        real: list[LabelledPair],
        rendered: list[LabelledPair],
        config: TrainConfig,
        drives: Sequence[str] = (),
    ) -> None:
        self._pairs = real + rendered
        self._real, self._rendered = len(real), len(rendered)
        # None samples uniformly, as in runs from before there were drives.
        self._shares = _shares(drives, config.drive_balance) if config.drive_balance else None
        self._config = config
        shares = class_shares(real, VOID)
        self._thin = np.flatnonzero((shares > 0) & (shares < _THIN))
        self._tones = [tone(image) for image, _ in real] if config.tone else []
        self.views_per_epoch = (config.camvid_views or len(real)) + (
            config.rendered if rendered else 0
        )
        self._reused = round(self.views_per_epoch * config.reuse)
        self._order = lru_cache(_ORDERS)(self._draw)

    def _draw(self, epoch: int) -> np.ndarray:
        """(views_per_epoch,) indices into the pairs."""
        random = np.random.default_rng([self._config.seed, epoch])
        views = self._config.camvid_views or self._real
        real = _drawn(random, self._real, views, self._shares)
        rendered = _drawn(random, self._rendered, self.views_per_epoch - len(real)) + self._real
        return random.permutation(np.concatenate([real, rendered]))

    def new_views(self, epoch: int) -> int:
        """Number of views of an epoch that no earlier epoch had; they have the first indices."""
        return self.views_per_epoch - (self._reused if epoch else 0)

    def positions(self, epoch: int) -> list[Position]:
        """Positions of the views of an epoch in their order: new ones, and those that come again.

        All that were new in earlier epochs come again equally often.
        """
        new = self.new_views(epoch)
        positions = [(epoch, index) for index in range(new)]
        if new == self.views_per_epoch:
            return positions
        random = np.random.default_rng([self._config.seed, epoch, 3])
        earlier = self.views_per_epoch + (epoch - 1) * new
        for number in random.choice(earlier, self._reused, replace=False):
            later, index = divmod(int(number) - self.views_per_epoch, max(new, 1))
            positions.append((later + 1, index) if later >= 0 else (0, int(number)))
        return [positions[index] for index in random.permutation(len(positions))]

    def __getitem__(self, position: Position) -> tuple[torch.Tensor, torch.Tensor]:
        """(3, h, w) uint8 RGB and (h, w) uint8 labels, as large as `config.view`."""
        config, (epoch, index) = self._config, position
        random = np.random.default_rng([config.seed, epoch, index])
        # Separate generators, so that runs without pasting get the same views as before.
        pasting = np.random.default_rng([config.seed, epoch, index, 1])
        mixing = np.random.default_rng([config.seed, epoch, index, 2])
        view = self._view(self._order(epoch)[index], random)
        if self._real and pasting.random() < config.paste:
            view = paste(view, self._other(pasting), self._thin)
        if self._real and mixing.random() < config.mix:
            other = self._other(mixing)
            counts = cv2.calcHist([other[1]], [0], None, [VOID], [0, VOID])
            seen = mixing.permutation(np.flatnonzero(counts))
            view = paste(view, other, seen[: -(-len(seen) // 2)])
        # Last, so that colours do not reveal which pixels were pasted.
        image, labels = view
        if self._tones and mixing.random() < config.tone:
            image = take_tone(image, self._tones[self._another(mixing)], mixing.random())
        image = relight(image, mixing, config.light)
        planes = recolour(image, random, config.color)
        # Contiguous, because workers return copies; labels stay uint8.
        return torch.from_numpy(planes), torch.from_numpy(labels)

    def _other(self, random: np.random.Generator) -> LabelledPair:
        return self._view(self._another(random), random)

    def _another(self, random: np.random.Generator) -> int:
        return int(random.choice(self._real, p=self._shares))

    def _view(self, index: int, random: np.random.Generator) -> LabelledPair:
        config, (image, labels) = self._config, self._pairs[index]
        return random_view(
            image,
            labels,
            config.frame(image.shape[:2]),
            config.view,
            (config.scale_min, config.scale_max),
            random,
            aspect=config.aspect,
            flip=config.flip,
            shrinking=config.shrinking,
        )

    def __getstate__(self) -> dict:
        """The state without the cache, which cannot be sent to a process."""
        return {name: value for name, value in vars(self).items() if name != '_order'}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._order = lru_cache(_ORDERS)(self._draw)


def _shares(drives: Sequence[str], power: float) -> np.ndarray | None:
    """(len(drives),) probability of each image; None where drives are unknown."""
    if not drives:
        return None
    _, inverse, counts = np.unique(drives, return_inverse=True, return_counts=True)
    weights = counts[inverse] ** -power
    return weights / weights.sum()


def _drawn(
    random: np.random.Generator, among: int, count: int, shares: np.ndarray | None = None
) -> np.ndarray:
    """(count,) indices below `among`, each as often as its share says, rounded at random.

    Without shares, an index is drawn again only when all have been drawn.
    """
    if not count:
        return np.empty(0, np.int64)
    if shares is None:
        rounds = -(-count // among)
        return np.concatenate([random.permutation(among) for _ in range(rounds)])[:count]
    order = random.permutation(among)
    ends = np.cumsum(shares[order])
    points = (np.arange(count) + random.random()) * ends[-1] / count
    # Rounding can move the last point up to the end itself.
    return order[np.minimum(np.searchsorted(ends, points, side='right'), among - 1)]


class _Placed(Dataset):
    """Views with their positions."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def __getitem__(self, position: Position) -> tuple[torch.Tensor, ...]:
        return (*self._views[position], torch.tensor(position))


class Batches:
    """The positions of a run's views, batch by batch: this process's share of each batch.

    Args:
        views: The views; each epoch has a whole number of batches.
        config: Its `batch` is the size over all processes.
        rank: Rank of this process.
        processes: Number of processes.

    Raises:
        ConfigError: The batch cannot be divided among the processes, or is larger than an epoch.
    """

    def __init__(
        self, views: Views, config: TrainConfig, rank: int = 0, processes: int = 1
    ) -> None:
        if config.batch % processes:
            raise ConfigError(
                f'batch {config.batch} cannot be shared by {processes} processes: give a multiple'
            )
        if config.batch > views.views_per_epoch:
            raise ConfigError(
                f'batch {config.batch} is more than the {views.views_per_epoch} views of an '
                'epoch: lower it, or raise camvid_views or rendered'
            )
        self.steps_per_epoch = views.views_per_epoch // config.batch
        self._config, self.views = config, views
        self._share = config.batch // processes
        self._first = rank * self._share

    def positions(self, epoch: int, step: int) -> Iterator[list[Position]]:
        """The positions from this step of this epoch to the end of the run.

        A run with a length in minutes has no last epoch.
        """
        while self._config.minutes or epoch < self._config.epochs:
            positions = self.views.positions(epoch)
            for number in range(step, self.steps_per_epoch):
                first = number * self._config.batch + self._first
                yield positions[first : first + self._share]
            epoch, step = epoch + 1, 0

    def load(self, epoch: int, step: int, pin: bool = False) -> Iterator[list[torch.Tensor]]:
        """(n, 3, h, w) uint8 images and (n, h, w) uint8 labels, batch by batch.

        With `reuse` also the (n, 2) positions of the views.

        One loader serves the whole run, so that its processes start once.

        Args:
            epoch: First epoch.
            step: First step of that epoch.
            pin: Use pinned memory, from which a CUDA device copies while it computes.
        """
        workers = self._config.workers
        if workers:
            # OpenCV's threads do not survive a fork: a process that has used them hangs in its
            # children.
            cv2.setNumThreads(0)
        return iter(
            DataLoader(
                _Placed(self.views) if self._config.reuse else self.views,
                batch_sampler=self.positions(epoch, step),
                num_workers=workers,
                pin_memory=pin,
                prefetch_factor=4 if workers else None,
                # A separate generator: a loader uses the global one, whose state differs in a
                # resumed run.
                generator=torch.Generator(),
            )
        )

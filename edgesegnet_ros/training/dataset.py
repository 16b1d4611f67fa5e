"""What an epoch shows the network: views of CamVid's train split and of rendered streets."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from edgesegnet_ros.data.augment import random_view
from edgesegnet_ros.training.config import TrainConfig

LabelledPair = tuple[np.ndarray, np.ndarray]


class EpochViews(Dataset):
    """One epoch's random views, in one epoch's random order.

    Each view's chance comes from (seed, epoch, position) alone, so that a resumed run sees what
    an uninterrupted one would have seen.

    Args:
        real: Labelled images, each shown once.
        rendered: Labelled scenes, of which `config.rendered` are drawn.
        config: Sizes, scales and the seed.
        epoch: Number of the epoch, from 0.
    """

    def __init__(
        self, real: list[LabelledPair], rendered: list[LabelledPair], config: TrainConfig,
        epoch: int,
    ) -> None:  # fmt: skip
        random = np.random.default_rng([config.seed, epoch])
        count = min(config.rendered, len(rendered))
        drawn = random.permutation(len(rendered))[:count]
        pairs = real + [rendered[index] for index in drawn]
        self._pairs = [pairs[index] for index in random.permutation(len(pairs))]
        self._config = config
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(3, h, w) uint8 RGB and (h, w) int64 labels of the crop size."""
        config = self._config
        image, labels = self._pairs[index]
        image, labels = random_view(
            image, labels, config.input_size, config.crop,
            (config.scale_min, config.scale_max),
            np.random.default_rng([config.seed, self._epoch, index]),
        )  # fmt: skip
        return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.from_numpy(
            labels.astype(np.int64)
        )

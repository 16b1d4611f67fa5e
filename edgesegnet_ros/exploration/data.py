"""The data of an exploration: the pool of views, and val."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgesegnet_ros.data.camvid import LabelledPair
from edgesegnet_ros.data.classes import ClassSet, load_classes
from edgesegnet_ros.data.datasets import open_dataset
from edgesegnet_ros.engines.recipe import file_sha256
from edgesegnet_ros.exploration.pool import Pool, make_pool
from edgesegnet_ros.exploration.settings import Settings
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.training.dataset import FIRST_RENDERED_SEED, Views, rendered_pool
from edgesegnet_ros.training.distillation import open_teacher
from edgesegnet_ros.training.run_setup import without_streets

_VAL_SEED = 5_000_000
"""Seed of the rendered streets that candidates are judged on; training uses other seeds."""
_STREETS, _VAL_STREETS = 60, 16
"""Numbers of rendered scenes for views and for val, if no dataset is given."""


class SharedData(NamedTuple):
    """The data that all candidates share.

    Attributes:
        classes: Classes of the outputs.
        pool: Views for training.
        val: Labelled images on which candidates are judged.
    """

    classes: ClassSet
    pool: Pool
    val: list[LabelledPair]


def open_shared_data(
    settings: Settings,
    folder: Path,
    advance: Callable[[int], None] = lambda _: None,
    judged: bool = True,
) -> SharedData:
    """Read the dataset, and make the pool if it does not exist yet.

    Args:
        settings: Settings of the exploration.
        folder: Folder of the pool.
        advance: Called with the number of new views.
        judged: Whether to render streets for val, too; the val split of a dataset is always read.

    Raises:
        EdgeSegNetError: A subclass of the failing package; nothing was made.
    """
    import torch

    classes = load_classes(settings.classes)
    count = len(classes.classes)
    config = without_streets(_config(settings), classes)
    teacher = open_teacher(config, settings.teachers, classes, torch.device('cpu'))
    if settings.data:
        dataset = open_dataset(settings.data, classes)
        splits = dataset.read_splits(('train', 'val'))
        train, val = splits['train'], splits['val']
        source: tuple[str, ...] = tuple(dataset.sequences('train'))
    else:
        train, source = [], ()
        streets = min(settings.val_images or _VAL_STREETS, _VAL_STREETS)
        val = _streets(_VAL_SEED + settings.seed, streets) if judged else []
    if settings.val_images and settings.val_images < len(val):
        chosen = np.linspace(0, len(val) - 1, settings.val_images).round().astype(int)
        val = [val[index] for index in chosen]
    made_from = {
        'config': {name: value for name, value in vars(config).items()},
        'data': settings.data,
        'teachers': [file_sha256(Path(path)) for path in settings.teachers],
    }
    views: list[Views] = []

    def view(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        if not views:  # rendered only if views are missing
            real = train or _streets(FIRST_RENDERED_SEED + settings.seed, _STREETS)
            views.append(Views(real, rendered_pool(config, quiet=True), config, source))
        return views[0][divmod(number, views[0].views_per_epoch)]

    def answer(images: torch.Tensor) -> torch.Tensor:
        assert teacher is not None
        return teacher.logits(images)

    pool = make_pool(
        folder,
        settings.views,
        settings.input_size,
        view,
        answer if teacher else None,
        count,
        made_from,
        advance,
    )
    return SharedData(classes, pool, val)


def _streets(seed: int, count: int) -> list[LabelledPair]:
    from edgesegnet_ros.data.street import random_scenes

    return [(scene.image, scene.labels) for scene in random_scenes(seed, count, (360, 480))]


def _config(settings: Settings) -> TrainConfig:
    """The augmentation of views, which is that of the shipped weights."""
    rendered = settings.rendered if settings.data else 0
    return TrainConfig(
        seed=settings.seed,
        input_size=settings.input_size,
        crop=settings.input_size,
        scale_min=0.6,
        scale_max=1.7,
        aspect=0.15,
        color=1.5,
        tone=0.5,
        light=0.8,
        paste=0.3,
        mix=0.35,
        drive_balance=0.75 if settings.data else 0.0,
        rendered=rendered // 2,
        rendered_pool=rendered,
        distillation=0.6 if settings.teachers else 0.0,
    )

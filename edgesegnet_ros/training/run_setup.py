"""The set-up of a run: its data, and the network that it starts from or resumes."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from edgesegnet_ros.data.camvid import LabelledPair
from edgesegnet_ros.data.classes import ClassSet, load_classes
from edgesegnet_ros.data.datasets import Dataset
from edgesegnet_ros.engines.recipe import file_sha256
from edgesegnet_ros.network.registry import Network, build_network
from edgesegnet_ros.network.weights import WeightsInfo
from edgesegnet_ros.training.answers import Answers, decided_by
from edgesegnet_ros.training.checkpoint import Checkpoint, CheckpointError
from edgesegnet_ros.training.config import ConfigError, TrainConfig
from edgesegnet_ros.training.dataset import Batches, Views, rendered_pool
from edgesegnet_ros.training.initial import read_initial, start_from
from edgesegnet_ros.training.loss import class_weights
from edgesegnet_ros.training.normalised import NormalisedNetwork
from edgesegnet_ros.training.processes import ProcessGroup

_MEASURED_BATCHES = 8
"""Number of batches on which the statistics of norms for given weights are measured."""

log = logging.getLogger(__name__)


class Sources(NamedTuple):
    """The inputs of a run.

    Attributes:
        data: Labelled dataset.
        classes: Classes of the labels.
        init: Weights file to start from; random weights when empty.
        teachers: Weights files of the teachers, whose logits are averaged.
    """

    data: Dataset
    classes: ClassSet
    init: str = ''
    teachers: tuple[str, ...] = ()


class RunData(NamedTuple):
    """The data of a run.

    Attributes:
        batches: Batches of views of the train split and of rendered streets.
        class_weights: (classes,) float32, for the loss.
        val: Labelled images to validate on.
        about: The data that a checkpoint must agree with: names of the classes, and for each split
            for each split the number of its images and a digest of their pixels and labels.
    """

    batches: Batches
    class_weights: torch.Tensor
    val: list[LabelledPair]
    about: dict[str, Any]


def without_streets(config: TrainConfig, classes: ClassSet) -> TrainConfig:
    """The settings without rendered streets, unless their classes are those of the run."""
    if not config.rendered or not config.rendered_pool:
        return config
    from edgesegnet_ros.data.street.labels import CLASSES

    if classes.names == load_classes(CLASSES).names:
        return config
    log.info(
        'rendered streets are left out: they show the classes of %s, not those of %s',
        CLASSES,
        classes.name,
    )
    return replace(config, rendered=0)


def check_batch(config: TrainConfig, num_classes: int, processes: int) -> None:
    """Refuse one view at a time where a network normalises means over a whole image.

    Raises:
        ConfigError: Says how many views are needed.
    """
    if config.batch // processes != 1 or config.freeze_norms:
        return
    with torch.device('meta'):
        network = build_network(config.network, num_classes, config.training_norms).train()
        try:
            network.coarse_logits(torch.zeros(1, 3, *config.crop))
        except ValueError:  # of torch's batch norm
            raise ConfigError(
                f'batch {config.batch}: {config.network} has batch norms behind means over the '
                f'whole image, which need two views in each process: give --batch {2 * processes} '
                'or more'
            ) from None


def read_data(config: TrainConfig, sources: Sources, group: ProcessGroup) -> RunData:
    """Read and check the whole dataset, and render the streets.

    Raises:
        ConfigError: The batch does not fit the dataset.
        DatasetError: The dataset is incomplete.
    """
    classes = len(sources.classes.classes)
    splits = sources.data.read_splits(('train', 'val'))
    rendered = rendered_pool(config, quiet=not group.is_main)
    views = Views(splits['train'], rendered, config, sources.data.sequences('train'))
    about = {
        'classes': sources.classes.names,
        **{name: _digest(pairs) for name, pairs in splits.items()},
    }
    return RunData(
        Batches(views, config, group.rank, group.size),
        class_weights(splits['train'] + rendered, classes, config.class_balance),
        splits['val'],
        about,
    )


def _digest(pairs: list[LabelledPair]) -> dict[str, Any]:
    digest = hashlib.blake2b(digest_size=8)
    for image, labels in pairs:
        for pixels in (image, labels):
            digest.update(np.ascontiguousarray(pixels).data)
    return {'images': len(pairs), 'digest': digest.hexdigest()}


def check_same_data(path: object, checkpoint: Checkpoint, about: dict[str, Any]) -> None:
    """Refuse a checkpoint of other data or classes; old files without this record pass.

    Raises:
        CheckpointError: The data differ; the message says how.
    """
    before = checkpoint.about
    for what, now in about.items():
        if what not in before or before[what] == now:
            continue
        if what == 'classes':
            differs = f'the classes {", ".join(before[what])}, and {", ".join(now)} are given now'
        elif before[what]['images'] != now['images']:
            differs = f'{before[what]["images"]} {what} images, and there are {now["images"]} now'
        else:
            differs = f'a {what} split whose images or labels have changed since'
        raise CheckpointError(
            f'{path}: this run was trained on {differs}; give the same data to resume it, or '
            'another --out to begin a new run'
        )


def open_answers(
    config: TrainConfig, sources: Sources, data: RunData, out: Path, group: ProcessGroup
) -> Answers | None:
    """The folder of the teachers' answers to views that come again; None if it has no use.

    Raises:
        AnswersError: It holds answers to other views, or of other teachers.
    """
    if not config.reuse or not sources.teachers:
        return None
    teachers = [file_sha256(Path(path)) for path in sources.teachers]
    made_from = decided_by(config, data.about, teachers)
    return Answers(out / 'answers' / str(group.rank), data.batches.views.new_views, made_from)


def begin_network(
    config: TrainConfig,
    sources: Sources,
    data: RunData,
    group: ProcessGroup,
    checkpoint: Checkpoint | None,
) -> tuple[Network, WeightsInfo]:
    """The network to train, and the header of its weights file.

    Its weights are random if a checkpoint is about to fill them; else they are those of `--init`,
    or random without it.

    Raises:
        InitialWeightsError: `--init` is of another network.
        WeightsError: The file of `--init` cannot be used.
    """
    classes = sources.classes
    info = WeightsInfo(
        classes.name,
        len(classes.classes),
        config.input_size,
        resize_mode=config.resize_mode,
        class_set=classes.as_document(),
    )
    torch.manual_seed(config.seed)
    network = build_network(config.network, info.num_classes, config.training_norms)
    if checkpoint is not None:
        stored = checkpoint.about.get('normalisation')
        if stored:
            info = info._replace(mean=tuple(stored['mean']), std=tuple(stored['std']))
        return network, info
    if not sources.init:
        return network, info
    initial = read_initial(sources.init, config.network, classes)
    info = info._replace(mean=initial.info.mean, std=initial.info.std)
    if group.is_main and (initial.drawn or initial.left):
        log.info('starting from given weights:\n%s', initial.table(sources.init))
    normalised = NormalisedNetwork(initial.network, info.mean, info.std).to(group.device)
    loader = data.batches.load(0, 0)
    count = min(_MEASURED_BATCHES, data.batches.steps_per_epoch)
    images = [next(loader)[0] for _ in range(count)]
    network.to(group.device)
    start_from(
        network,
        normalised.network,
        (normalised.normalise(batch.to(group.device)) for batch in images),
    )
    return network, info

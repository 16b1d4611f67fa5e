"""Training of one candidate on the shared pool, judged at each rung of successive halving."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from edgesegnet_ros.engines.pytorch import TorchEngine
from edgesegnet_ros.engines.recipe import recipe_of
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.evaluation.accuracy import Scores, score
from edgesegnet_ros.exploration.data import SharedData
from edgesegnet_ros.exploration.settings import ExplorationError, Settings
from edgesegnet_ros.network.design import Design
from edgesegnet_ros.network.designed import DesignedNetwork
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo
from edgesegnet_ros.training.average import WeightAverage
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.training.loss import class_table, cross_entropy, distance_to_teacher
from edgesegnet_ros.training.normalised import NormalisedNetwork
from edgesegnet_ros.training.schedule import build_optimizer, set_rate

_DISTILLATION = 0.6
_WARM_UP = 0.04
"""Share of the steps over which the rate rises."""
_FALL = 0.5
"""Share of the steps after which the rate falls, as half a cosine."""
_LOOK_EVERY = 20
"""Number of steps between two checks of the loss."""


class Diverged(ExplorationError):
    """The loss of a candidate is no longer a finite number."""


class OutOfTime(ExplorationError):
    """The budget ended before the training of a candidate."""


class Trained(NamedTuple):
    """A candidate after its training.

    Attributes:
        network: The averaged weights, with training norms, in evaluation mode.
        scores: Scores on val.
        steps: Number of training steps.
    """

    network: DesignedNetwork
    scores: Scores
    steps: int


def train_candidate(
    design: Design,
    shared: SharedData,
    settings: Settings,
    judge: Callable[[Trained], bool],
    deadline: float = math.inf,
) -> Trained:
    """Train to the last rung, or until `judge` stops the training.

    All candidates see the same views in the same order, and all follow the schedule of
    `settings.steps`, so that the candidates of a rung are comparable.

    Args:
        design: Design of the network.
        shared: Pool and val.
        settings: Steps, batch, rate and seed.
        judge: Called at each rung; returns whether to continue.
        deadline: Deadline of time.monotonic(); training stops after it.

    Raises:
        Diverged: The loss is NaN or infinite.
        OutOfTime: The deadline has passed.
    """
    torch.manual_seed(settings.seed)
    count = len(shared.classes.classes)
    network = build_network(design, count, training_norms=True)
    network.to(memory_format=torch.channels_last)
    # A young average forgets the random start quickly, so that short rungs are judged fairly.
    average = WeightAverage(network, max(0.5, min(0.998, 1.0 - 10.0 / settings.steps)))
    normalised = NormalisedNetwork(network)
    config = TrainConfig(optimizer='muon', learning_rate=settings.learning_rate, weight_decay=0.1)
    optimizer = build_optimizer(config, network)
    weights = class_table(torch.ones(count))
    info = WeightsInfo(shared.classes.name, count, settings.input_size)
    rungs = settings.rungs
    trained = None
    for step in range(settings.steps):
        set_rate(optimizer, settings.learning_rate * _schedule(step / settings.steps))
        images, labels, wanted = _batch(shared, settings, step)
        network.train()
        coarse = normalised(images)
        own = cross_entropy(coarse, labels, weights, 0.0)
        loss = own.total / own.weight.clamp_min(1.0)
        if wanted is not None:
            distance = distance_to_teacher(coarse, wanted, labels, 1.0)
            loss = torch.lerp(loss, distance.total / distance.weight.clamp_min(1.0), _DISTILLATION)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), config.gradient_norm)
        optimizer.step()
        average.update_parameters(network)
        if time.monotonic() > deadline:
            raise OutOfTime(f'the budget ended after {step + 1} of {settings.steps} steps')
        last = step + 1 in rungs
        if last or step % _LOOK_EVERY == 0:
            if not math.isfinite(loss.item()):
                raise Diverged(f'the loss is {loss.item()} after {step + 1} steps')
        if last:
            recipe = recipe_of(
                average.module, info, device='cpu', num_threads=torch.get_num_threads()
            )
            trained = Trained(
                average.module, score(Segmenter(TorchEngine(recipe)), shared.val), step + 1
            )
            if not judge(trained):
                break
    assert trained is not None
    return trained


def _schedule(progress: float) -> float:
    """The rate as a share of its peak."""
    if progress < _WARM_UP:
        return max(progress / _WARM_UP, 0.02)
    falling = min(1.0, max(0.0, (progress - _FALL) / (1.0 - _FALL)))
    return 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * falling))


def _batch(
    shared: SharedData, settings: Settings, step: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """uint8 images, uint8 labels and, where there are, the teachers' logits of a step."""
    pool = shared.pool
    steps_per_epoch = len(pool.images) // settings.batch
    epoch, number = divmod(step, steps_per_epoch)
    random = np.random.default_rng([settings.seed, epoch])
    order = random.permutation(len(pool.images))
    chosen = np.sort(order[number * settings.batch : (number + 1) * settings.batch])
    images = torch.from_numpy(pool.images[chosen])
    labels = torch.from_numpy(pool.labels[chosen])
    wanted = None if pool.logits is None else torch.from_numpy(pool.logits[chosen]).float()
    if np.random.default_rng([settings.seed, epoch, number]).random() < 0.5:
        images, labels = images.flip(3), labels.flip(2)
        wanted = None if wanted is None else wanted.flip(3)
    return images, labels, wanted

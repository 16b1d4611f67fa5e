"""The training loop: read it from top to bottom once."""

from __future__ import annotations

import copy
import logging
import math
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from signal import SIGTERM
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from edgesegnet_ros.data.camvid import LabelledPair
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.datasets import Dataset
from edgesegnet_ros.engines.pytorch import TorchEngine
from edgesegnet_ros.engines.recipe import recipe_of
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.evaluation.accuracy import Scores, score
from edgesegnet_ros.network.registry import Network, build_network
from edgesegnet_ros.network.weights import WeightsInfo, save_weights
from edgesegnet_ros.training.checkpoint import (
    Parts,
    Progress,
    changed_settings,
    load_checkpoint,
    save_checkpoint,
)
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.training.dataset import Batches, Views, rendered_pool
from edgesegnet_ros.training.distillation import open_teacher
from edgesegnet_ros.training.initial import read_network, start_from
from edgesegnet_ros.training.loss import class_weights, cross_entropy, distance_to_teacher
from edgesegnet_ros.training.mixed_precision import Autocast
from edgesegnet_ros.training.normalised import NormalisedNetwork
from edgesegnet_ros.training.processes import Team, join
from edgesegnet_ros.training.run_log import RunLog, bar_interval
from edgesegnet_ros.training.schedule import (
    build_optimizer,
    learning_rate,
    set_rate,
    update_average,
)
from edgesegnet_ros.training.stopping import StopRequest

CHECKPOINT = 'checkpoint.safetensors'
WEIGHTS = 'weights.safetensors'
BEST = 'best.safetensors'
_LOOK_EVERY = 10
"""Steps between two looks at the loss, each of which waits for a GPU."""
_MEASURED_BATCHES = 8
"""On which the statistics of norms behind given weights are taken."""

log = logging.getLogger(__name__)


class TrainingError(EdgeSegNetError):
    """A run that cannot go on."""


class Sources(NamedTuple):
    """Where a run begins.

    Attributes:
        data: Labelled images.
        classes: What their labels mean.
        init: Weights file to start from; random weights when empty.
        teachers: Weights files of a distillation's teacher, whose logits are averaged.
    """

    data: Dataset
    classes: ClassSet
    init: str = ''
    teachers: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
        progress: How far it came.
        signal: Number of the signal that stopped it; 0 for a run that is done.
        leads: Whether this process is the one that prints.
    """

    progress: Progress
    signal: int
    leads: bool


def train(
    config: TrainConfig,
    sources: Sources,
    out: Path,
    device: str = 'auto',
    tensorboard: bool = True,
) -> Outcome:
    """Train until `config.epochs`, going on from the checkpoint in `out` where there is one.

    Under torchrun each of its processes calls this, and the first one writes.

    Args:
        config: The run.
        sources: Dataset and given weights.
        out: Takes checkpoint.safetensors (all state), weights.safetensors (the averaged weights,
            deployable, each epoch), best.safetensors (those best on val), log.csv (a row an
            epoch), curves.png and TensorBoard's logs.
        device: auto, cpu, cuda or cuda:N.
        tensorboard: Whether its logs are wanted.

    Raises:
        DatasetError: The dataset is not whole; nothing was trained.
        EdgeSegNetError: Of the room where it failed; the message says what to do.
    """
    classes = len(sources.classes.classes)
    with ExitStack() as stack:
        team = join(device)
        stack.callback(team.part)
        autocast = Autocast(config.precision, team.device)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f'{out}: cannot be made ({error.strerror})') from None
        splits = sources.data.read_splits(('train', 'val'))
        teacher = open_teacher(config, sources.teachers, classes, team.device)
        rendered = rendered_pool(config, quiet=not team.leads)
        views = Views(splits['train'], rendered, config, sources.data.sequences('train'))
        batches = Batches(views, config, team.rank, team.size)
        weights = class_weights(splits['train'] + rendered, classes, config.class_balance)
        weights = weights.to(team.device)
        info = WeightsInfo(sources.classes.name, classes, config.input_size)

        torch.manual_seed(config.seed)
        network = build_network(config.network, classes, config.training_norms)
        network.to(team.device, memory_format=torch.channels_last)
        normalised = NormalisedNetwork(network).to(team.device)
        directions = torch.bfloat16 if autocast.precision == 'bf16' else torch.float32
        optimizer = build_optimizer(config, network, directions)
        average = copy.deepcopy(network).eval()
        parts = Parts(network, average, optimizer, autocast.scaler)
        progress = Progress()
        if (out / CHECKPOINT).exists():
            progress, before = load_checkpoint(out / CHECKPOINT, parts)
            if team.leads:
                log.info('going on after epoch %d and %d steps', progress.epoch, progress.step)
                for line in changed_settings(before, config):
                    log.warning('otherwise than before: %s', line)
        elif sources.init:
            given = read_network(sources.init, classes, config.network).to(team.device)
            loader = batches.load(0, 0)
            images = [next(loader)[0] for _ in range(min(_MEASURED_BATCHES, batches.an_epoch))]
            start_from(network, given, (normalised.normalise(i.to(team.device)) for i in images))
            average.load_state_dict(network.state_dict())
        model = team.wrap(normalised)
        if team.device.type == 'cuda':
            torch.backends.cudnn.benchmark = True

        stop = stack.enter_context(StopRequest())
        run_log = RunLog(out, tensorboard, progress.steps) if team.leads else None
        if run_log:
            stack.callback(run_log.close)
        bar = stack.enter_context(_bar(config, batches, progress, team))
        loader = batches.load(progress.epoch, progress.step, pin=team.device.type == 'cuda')
        saved = time.monotonic()
        loss_sum = torch.zeros((), dtype=torch.float64, device=team.device)
        loss_sum += progress.loss if team.leads else 0.0

        while progress.epoch < config.epochs:
            began = time.monotonic() - progress.seconds
            network.train()
            if config.freeze_norms:
                _freeze_norms(network)
            for step in range(progress.step, batches.an_epoch):
                images, labels = (part.to(team.device, non_blocking=True) for part in next(loader))
                rate = learning_rate(config, progress.epoch + step / batches.an_epoch)
                set_rate(optimizer, rate)
                _seed_step(config, progress.epoch, step, team.rank)

                with autocast():
                    if teacher is not None:
                        images, labels, wanted = teacher.lesson(images, labels)
                    coarse = model(images)
                own = cross_entropy(coarse, labels, weights, config.label_smoothing)
                terms = [own.weight]
                if teacher is not None:
                    way = distance_to_teacher(
                        coarse, wanted, labels, config.distillation_temperature
                    )
                    terms.append(way.weight)
                # The pixels of all processes divide the loss, so that they train as one would.
                weight_sums = team.sums(terms)
                objective = own.total / weight_sums[0].clamp_min(1e-9).float()
                if teacher is not None:
                    distance = way.total / weight_sums[1].clamp_min(1.0).float()
                    objective = torch.lerp(objective, distance, config.distillation)
                objective = objective * team.size  # DistributedDataParallel divides by it

                optimizer.zero_grad(set_to_none=True)
                autocast.scaler.scale(objective).backward()
                autocast.scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(network.parameters(), config.gradient_norm)
                autocast.scaler.step(optimizer)
                autocast.scaler.update()
                progress.steps += 1
                update_average(average, network, config.ema_decay, progress.steps)

                loss_sum += objective.detach() / team.size
                progress.step = step + 1
                bar.update()
                if progress.step % _LOOK_EVERY == 0 or progress.step == batches.an_epoch:
                    loss = loss_sum.item() * team.size / progress.step
                    if not math.isfinite(loss):
                        raise TrainingError(
                            f'the loss is {loss} in epoch {progress.epoch + 1}: lower '
                            f'--learning-rate ({config.learning_rate}); the last checkpoint in '
                            f'{out} is from before'
                        )
                    bar.set_postfix(epoch=progress.epoch + 1, loss=f'{loss:.3f}')
                    if run_log:
                        run_log.step(progress.steps, loss, rate)
                # What one process is asked to do, all do at the same step.
                stopped = team.any(bool(stop.signal))
                if team.any(_minutes_since(saved) >= config.checkpoint_minutes) or stopped:
                    if progress.step == batches.an_epoch:
                        break
                    progress.loss = team.sums([loss_sum])[0].item()
                    progress.seconds = time.monotonic() - began
                    loss_sum.fill_(progress.loss if team.leads else 0.0)
                    if team.leads:
                        save_checkpoint(out / CHECKPOINT, parts, progress, config)
                    saved = time.monotonic()
                    if stopped:
                        return Outcome(progress, stop.signal or SIGTERM, team.leads)

            loss = team.sums([loss_sum])[0].item() / batches.an_epoch
            loss_sum.zero_()
            progress.epoch, progress.step, progress.loss = progress.epoch + 1, 0, 0.0
            if run_log:
                row = {
                    'epoch': progress.epoch,
                    'loss': loss,
                    'learning_rate': rate,
                    'val_pixel_accuracy': None,
                    'val_miou': None,
                }
                last = progress.epoch == config.epochs
                if last or progress.epoch % config.validate_every == 0:
                    scores = validate(average, info, splits['val'], team.device)
                    row['val_pixel_accuracy'] = scores.pixel_accuracy
                    row['val_miou'] = scores.miou
                    if scores.pixel_accuracy > progress.best:
                        progress.best = scores.pixel_accuracy
                        save_weights(out / BEST, average, info)
                row['seconds'] = round(time.monotonic() - began)
                progress.history.append(row)
                progress.seconds = 0.0
                save_weights(out / WEIGHTS, average, info)
                save_checkpoint(out / CHECKPOINT, parts, progress, config)
                run_log.epoch(progress.history, progress.steps)
                bar.write(_sentence(row), file=sys.stderr)
            progress.seconds, saved = 0.0, time.monotonic()
            if stopped and progress.epoch < config.epochs:
                return Outcome(progress, stop.signal or SIGTERM, team.leads)
        if run_log and progress.history:
            run_log.draw(progress.history)
        return Outcome(progress, 0, team.leads)


def validate(
    average: Network, info: WeightsInfo, val: list[LabelledPair], device: torch.device
) -> Scores:
    """Score what would be deployed, with the threads that training has."""
    recipe = recipe_of(average, info, device=str(device), num_threads=torch.get_num_threads())
    return score(Segmenter(TorchEngine(recipe)), val)


def _freeze_norms(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _seed_step(config: TrainConfig, epoch: int, step: int, rank: int) -> None:
    """Make the chance inside the network (dropout) depend on the step alone."""
    sequence = np.random.SeedSequence([config.seed, epoch, step, rank])
    torch.manual_seed(int(sequence.generate_state(1)[0]))


def _minutes_since(moment: float) -> float:
    return (time.monotonic() - moment) / 60.0


def _bar(config: TrainConfig, batches: Batches, progress: Progress, team: Team) -> tqdm:
    """A bar over the whole run, so that the time left is the run's."""
    return tqdm(
        desc='training',
        unit='step',
        total=config.epochs * batches.an_epoch,
        initial=progress.epoch * batches.an_epoch + progress.step,
        disable=not team.leads,
        mininterval=bar_interval(),
        smoothing=0.05,
        dynamic_ncols=sys.stderr.isatty(),
    )


def _sentence(row: dict) -> str:
    text = f'epoch {row["epoch"]}: loss {row["loss"]:.4f}, {row["seconds"]} s'
    if row['val_pixel_accuracy'] is None:
        return text
    return (
        f'{text}, val pixel accuracy {row["val_pixel_accuracy"]:.4f}, mIoU {row["val_miou"]:.4f}'
    )

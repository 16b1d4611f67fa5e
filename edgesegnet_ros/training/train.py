"""The training loop: read it from top to bottom once."""

from __future__ import annotations

import copy
import csv
import logging
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader
from tqdm import tqdm

from edgesegnet_ros.data.camvid import VOID, read_split
from edgesegnet_ros.engines.base import EngineRequest
from edgesegnet_ros.engines.pytorch import TorchEngine
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.evaluation.accuracy import Scores, score
from edgesegnet_ros.network.edgesegnet import HEAD_STRIDE, EdgeSegNet, upsample
from edgesegnet_ros.network.weights import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    WeightsInfo,
    save_weights,
)
from edgesegnet_ros.training.checkpoint import load_checkpoint, save_checkpoint
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.training.dataset import EpochViews, LabelledPair

CHECKPOINT = 'checkpoint.safetensors'
WEIGHTS = 'weights.safetensors'
FIRST_RENDERED_SEED = 1_000_000
"""Streets of smaller seeds are never trained on, so that demo and tests can use them."""

log = logging.getLogger(__name__)


def learning_rate(config: TrainConfig, progress: float) -> float:
    """Linear warm-up, then a cosine to a hundredth of the peak.

    Args:
        config: The run.
        progress: Epochs done, with fractions.
    """
    if progress < config.warmup_epochs:
        return config.learning_rate * max(progress / config.warmup_epochs, 0.01)
    share = (progress - config.warmup_epochs) / max(config.epochs - config.warmup_epochs, 1e-9)
    return config.learning_rate * (0.505 + 0.495 * math.cos(math.pi * min(share, 1.0)))


@torch.no_grad()
def update_average(average: torch.nn.Module, model: torch.nn.Module, decay: float) -> None:
    """Move the averaged weights and running statistics towards the trained ones."""
    values = model.state_dict().values()
    for mean, value in zip(average.state_dict().values(), values, strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1.0 - decay)
        else:
            mean.copy_(value)


def rendered_pool(config: TrainConfig) -> list[LabelledPair]:
    """The rendered street scenes that a run draws from, the same for the same config."""
    if not config.rendered:
        return []
    from edgesegnet_ros.data.street import random_scenes

    scenes = random_scenes(FIRST_RENDERED_SEED + config.seed, config.rendered_pool, (360, 480))
    progress = tqdm(scenes, 'rendering streets', config.rendered_pool, unit='scene')
    return [(scene.image, scene.labels) for scene in progress]


def class_weights(pairs: list[LabelledPair], num_classes: int, power: float) -> torch.Tensor:
    """Weights of the classes in the loss: thin ones hardly count by their pixels alone.

    Args:
        pairs: Labelled images.
        num_classes: Outputs of the network.
        power: 0 weighs all pixels alike, 1 all classes.

    Returns:
        (num_classes,) float32 whose mean over the labelled pixels is 1; 1 for absent classes.
    """
    counts = [np.bincount(labels.ravel(), minlength=256)[:num_classes] for _, labels in pairs]
    pixels = np.sum(counts, axis=0)
    share = pixels / pixels.sum()
    weights = np.where(share > 0, np.maximum(share, 1e-6) ** -power, 0.0)
    weights = weights / (weights * share).sum()
    return torch.from_numpy(np.where(share > 0, weights, 1.0).astype(np.float32))


def train(config: TrainConfig, data: Path, out: Path, num_classes: int, classes: str) -> None:
    """Train until `config.epochs`, going on from the checkpoint in `out` where there is one.

    Args:
        config: The run.
        data: A CamVid folder.
        out: Takes checkpoint.safetensors (all state, each epoch), weights.safetensors (the
            averaged weights, deployable, each epoch) and log.csv (a row an epoch).
        num_classes: Outputs of the network.
        classes: Name of the class file that the labels follow.

    Raises:
        CamVidError: The dataset is not whole.
        CheckpointError: The checkpoint cannot be resumed from.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    real, val = read_split(data, 'train'), read_split(data, 'val')
    rendered = rendered_pool(config)
    weights = class_weights(real + rendered, num_classes, config.class_balance)
    info = WeightsInfo(classes, num_classes, config.input_size)
    model = EdgeSegNet(num_classes, config.training_norms).to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval()
    optimizer = torch.optim.AdamW(
        model.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    done = 0
    if (out / CHECKPOINT).exists():
        done = load_checkpoint(out / CHECKPOINT, model, average, optimizer)
        log.info('resuming after epoch %d of %d', done, config.epochs)
    mean = torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1) * 255.0
    std = torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1) * 255.0
    for epoch in range(done, config.epochs):
        started = time.monotonic()
        views = EpochViews(real, rendered, config, epoch)
        loader = DataLoader(views, config.batch, drop_last=len(views) > config.batch)
        losses: list[float] = []
        model.train()
        with tqdm(loader, f'epoch {epoch + 1}/{config.epochs}', unit='step') as progress:
            for step, (images, labels) in enumerate(progress):
                rate = learning_rate(config, epoch + step / len(loader))
                for group in optimizer.param_groups:
                    group['lr'] = rate
                inputs = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
                logits = upsample(model.coarse_logits(inputs), HEAD_STRIDE)
                loss = F.cross_entropy(logits, labels, weights, ignore_index=VOID)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_norm)
                optimizer.step()
                steps = epoch * len(loader) + step + 1
                # A young average forgets the random start quickly.
                update_average(average, model, min(config.ema_decay, (1 + steps) / (10 + steps)))
                losses.append(loss.item())
                progress.set_postfix(loss=f'{np.mean(losses[-50:]):.3f}')
        last = epoch + 1 == config.epochs
        accuracy = miou = None
        if last or (epoch + 1) % config.validate_every == 0:
            scores = _validate(average, info, val)
            accuracy, miou = scores.pixel_accuracy, scores.miou
            log.info('epoch %d: val pixel accuracy %.4f, mIoU %.4f', epoch + 1, accuracy, miou)
        save_weights(out / WEIGHTS, average, info)
        save_checkpoint(out / CHECKPOINT, model, average, optimizer, epoch + 1, config)
        _append_row(out / 'log.csv', {
            'epoch': epoch + 1, 'loss': f'{np.mean(losses):.4f}', 'learning_rate': f'{rate:.2e}',
            'val_pixel_accuracy': accuracy, 'val_miou': miou,
            'seconds': round(time.monotonic() - started),
        })  # fmt: skip


def _validate(average: EdgeSegNet, info: WeightsInfo, val: list[LabelledPair]) -> Scores:
    """Score what would be deployed, with the threads that training has."""
    request = EngineRequest(
        device='cpu', num_threads=torch.get_num_threads(), input_size=info.input_size
    )
    return score(Segmenter(TorchEngine(average, info, request)), val)


def _append_row(path: Path, row: dict[str, object]) -> None:
    new = not path.exists()
    with path.open('a', newline='') as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)

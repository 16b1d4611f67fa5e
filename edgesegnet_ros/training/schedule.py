"""The learning rate and the decay of the averaged weights, step by step."""

from __future__ import annotations

import math

import torch

from edgesegnet_ros.network.registry import Network
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.training.muon import Muon


def learning_rate(config: TrainConfig, progress: float) -> float:
    """Linear warm-up, then half a cosine from where the schedule begins to fall.

    A warm-up–stable–decay run (Hu et al., arXiv 2404.06395, section 4) can be lengthened by
    resuming it with more epochs; a cosine cannot.

    Args:
        config: The run.
        progress: Epochs done, with fractions.
    """
    peak = config.learning_rate
    if progress < config.warmup_epochs:
        return peak * max(progress / config.warmup_epochs, 0.01)
    begin = {
        'cosine': config.warmup_epochs,
        'wsd': max(config.warmup_epochs, config.epochs - config.decay_epochs),
        'constant': float(config.epochs),
    }[config.schedule]
    share = (progress - begin) / max(config.epochs - begin, 1e-9)
    share = min(max(share, 0.0), 1.0)
    lowest = config.final_rate
    return peak * (lowest + (1.0 - lowest) * 0.5 * (1.0 + math.cos(math.pi * share)))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameters this learning rate."""
    for group in optimizer.param_groups:
        group['lr'] = rate


def build_optimizer(
    config: TrainConfig, model: Network, dtype: torch.dtype = torch.float32
) -> torch.optim.Optimizer:
    """AdamW, SGD or Muon; norms and biases are not decayed.

    Args:
        config: Names it, with its rate and its decay.
        model: What is trained.
        dtype: That matrices may be multiplied in.
    """
    matrices = [value for value in model.parameters() if value.ndim > 1]
    vectors = [value for value in model.parameters() if value.ndim <= 1]
    groups = [
        {'params': matrices, 'weight_decay': config.weight_decay},
        {'params': vectors, 'weight_decay': 0.0},
    ]
    if config.optimizer == 'sgd':
        return torch.optim.SGD(
            groups, config.learning_rate, config.momentum, nesterov=(config.momentum > 0)
        )
    if config.optimizer == 'muon':
        # The classifier's rows are the classes, whose gradients are not to be made equally long.
        hidden = [value for value in matrices if value is not model.head.weight]
        groups[0]['params'] = [model.head.weight]
        return Muon(hidden, groups, config.learning_rate, config.weight_decay, dtype)
    return torch.optim.AdamW(groups, config.learning_rate)


@torch.no_grad()
def update_average(
    average: torch.nn.Module, model: torch.nn.Module, decay: float, steps: int
) -> None:
    """Move the averaged weights and running statistics towards the trained ones.

    Args:
        average: Changed in place.
        model: What is trained.
        decay: Weight of the past in the long run.
        steps: Done so far; a young average forgets the random start quickly.
    """
    decay = min(decay, (1 + steps) / (10 + steps))
    values = model.state_dict().values()
    for mean, value in zip(average.state_dict().values(), values, strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1.0 - decay)
        else:
            mean.copy_(value)

"""The learning rate by step, and the optimizer."""

from __future__ import annotations

import math

import torch

from edgesegnet_ros.network.registry import Network
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.training.muon import Muon


def learning_rate(config: TrainConfig, done: float) -> float:
    """Linear warm-up, then half a cosine from the point where the schedule decays.

    A warm-up–stable–decay run (Hu et al., arXiv 2404.06395, section 4) can be lengthened by
    resuming it with more epochs; a cosine cannot.

    Args:
        config: The run.
        done: Finished share of the run, 0-1.
    """
    peak = config.learning_rate
    warmup = config.warmup_share or config.warmup_epochs / config.epochs
    decay = config.decay_share or config.decay_epochs / config.epochs
    if done < warmup:
        return peak * max(done / warmup, 0.01)
    begin = {
        'cosine': warmup,
        'wsd': max(warmup, 1.0 - decay),
        'constant': 1.0,
    }[config.schedule]
    share = min(max((done - begin) / max(1.0 - begin, 1e-9), 0.0), 1.0)
    lowest = config.final_rate
    return peak * (lowest + (1.0 - lowest) * 0.5 * (1.0 + math.cos(math.pi * share)))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group['lr'] = rate


def build_optimizer(
    config: TrainConfig,
    model: Network,
    dtype: torch.dtype = torch.float32,
    plain: Network | None = None,
) -> torch.optim.Optimizer:
    """AdamW, SGD or Muon; norms and biases are not decayed.

    Args:
        config: Its optimizer, learning rate and weight decay.
        model: The model to train.
        dtype: Number format for matrix multiplications.
        plain: The network without the zero padding of its filters; `model` if not
            given.
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
        # The classifier's rows are the classes, whose gradients should keep their lengths.
        hidden = {
            name: value
            for name, value in model.named_parameters()
            if value.ndim > 1 and value is not model.head.weight
        }
        groups[0]['params'] = [model.head.weight]
        shapes = [(plain or model).get_parameter(name).shape for name in hidden]
        return Muon(
            hidden.values(), groups, config.learning_rate, config.weight_decay, dtype, shapes
        )
    return torch.optim.AdamW(groups, config.learning_rate)

"""Checkpoints: one safetensors file that holds all a run needs to go on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.training.config import TrainConfig


class CheckpointError(EdgeSegNetError):
    """A checkpoint that cannot be resumed from."""


def save_checkpoint(
    path: Path,
    model: torch.nn.Module,
    average: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    config: TrainConfig,
) -> None:
    """Write a run's state after `epoch` epochs; the one before stays whole until this one is."""
    tensors: dict[str, torch.Tensor] = {}
    for prefix, module in (('model', model), ('average', average)):
        tensors.update({f'{prefix}/{name}': v for name, v in module.state_dict().items()})
    for index, state in optimizer.state_dict()['state'].items():
        tensors.update({f'optimizer/{index}/{name}': value for name, value in state.items()})
    partial = path.with_name(path.name + '.partial')
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        partial, {'epoch': str(epoch), 'config': json.dumps(asdict(config))},
    )  # fmt: skip
    with open(partial, 'rb') as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def load_checkpoint(
    path: Path,
    model: torch.nn.Module,
    average: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
) -> int:
    """Restore a run's state.

    Returns:
        The number of epochs that were done.

    Raises:
        CheckpointError: The file is truncated or of another network.
    """
    try:
        with safe_open(path, framework='pt') as file:
            epoch = int((file.metadata() or {})['epoch'])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        for prefix, module in (('model/', model), ('average/', average)):
            module.load_state_dict({
                name[len(prefix):]: value for name, value in tensors.items()
                if name.startswith(prefix)
            })  # fmt: skip
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f'{path}: cannot be resumed from ({reason}); give another --out, or remove the file '
            'to start again'
        ) from None
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith('optimizer/'):
            _, index, field = name.split('/')
            state.setdefault(int(index), {})[field] = value
    optimizer.load_state_dict(
        {'state': state, 'param_groups': optimizer.state_dict()['param_groups']}
    )
    return epoch

"""Checkpoints: one safetensors file that holds all a run needs to go on, to the bit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network.storage import write_whole
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.whole_file import WriteError

FORMAT = 'edgesegnet_ros-checkpoint/2'


class CheckpointError(EdgeSegNetError):
    """A checkpoint that cannot be resumed from, or cannot be written."""


@dataclass
class Progress:
    """How far a run is; chance needs no more, since it is drawn from these numbers.

    Attributes:
        epoch: Epochs that are done.
        step: Steps that are done in the next one.
        steps: Steps in all.
        loss: Sum of those steps' losses.
        best: Highest pixel accuracy on val so far, 0-1; -1 before the first.
        seconds: Spent on the epoch's steps that are done.
        history: A row of figures an epoch.
    """

    epoch: int = 0
    step: int = 0
    steps: int = 0
    loss: float = 0.0
    best: float = -1.0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


class Parts(NamedTuple):
    """What has a state; a checkpoint takes it from them and gives it back."""

    model: torch.nn.Module
    average: torch.nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler


def save_checkpoint(path: Path, parts: Parts, progress: Progress, config: TrainConfig) -> None:
    """Write a run's state; the checkpoint before stays whole until this one is.

    Raises:
        CheckpointError: It cannot be written.
    """
    tensors: dict[str, torch.Tensor] = {}
    for prefix, module in (('model', parts.model), ('average', parts.average)):
        tensors.update({f'{prefix}/{name}': v for name, v in module.state_dict().items()})
    for index, state in parts.optimizer.state_dict()['state'].items():
        tensors.update(
            {
                f'optimizer/{index}/{name}': value
                for name, value in state.items()
                if value is not None
            }
        )
    header = {
        'format': FORMAT,
        'progress': json.dumps(asdict(progress)),
        'config': json.dumps(asdict(config)),
        'scaler': json.dumps(parts.scaler.state_dict()),
    }
    try:
        write_whole(path, tensors, header)
    except WriteError as error:
        raise CheckpointError(
            f'{error}; the checkpoint that was there is unchanged: give the same command again '
            'to resume from it'
        ) from None


def load_checkpoint(path: Path, parts: Parts) -> tuple[Progress, dict[str, Any]]:
    """Restore a run's state.

    Returns:
        How far it was, and the settings that it had.

    Raises:
        CheckpointError: The file is truncated, of another network or of another version.
    """
    try:
        with safe_open(path, framework='pt') as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if header.get('format') != FORMAT:
            raise ValueError(f'not a checkpoint of {FORMAT}')
        progress = Progress(**json.loads(header['progress']))
        config = json.loads(header['config'])
        for prefix, module in (('model/', parts.model), ('average/', parts.average)):
            module.load_state_dict(
                {
                    name[len(prefix) :]: value
                    for name, value in tensors.items()
                    if name.startswith(prefix)
                }
            )
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith('optimizer/'):
                _, index, key = name.split('/')
                state.setdefault(int(index), {})[key] = value
        groups = parts.optimizer.state_dict()['param_groups']
        parts.optimizer.load_state_dict({'state': state, 'param_groups': groups})
        if parts.scaler.is_enabled() and json.loads(header['scaler']):
            parts.scaler.load_state_dict(json.loads(header['scaler']))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f'{path}: cannot be resumed from ({reason}); give another --out, or remove the file '
            'to start again'
        ) from None
    return progress, config


def changed_settings(before: dict[str, Any], config: TrainConfig) -> list[str]:
    """A line for each setting that a resumed run has otherwise than before.

    Settings that were not there yet when the checkpoint was written had their default's effect.
    """
    now = json.loads(json.dumps(asdict(config)))
    before = {**json.loads(json.dumps(asdict(TrainConfig()))), **before}
    return [
        f'{name} {value} (was {before[name]})'
        for name, value in now.items()
        if before[name] != value
    ]

"""Checkpoints: one safetensors file that holds all a run needs to go on, to the bit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from edgesegnet_ros.atomic_file import WriteError
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network.storage import write_tensors
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.training.learner import Learner

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
        trained: Seconds spent on all steps, validation left out.
        history: A row of figures an epoch.
    """

    epoch: int = 0
    step: int = 0
    steps: int = 0
    loss: float = 0.0
    best: float = -1.0
    seconds: float = 0.0
    trained: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


class Checkpoint(NamedTuple):
    """What a checkpoint file holds.

    Attributes:
        tensors: The state of network, average and optimizer (see `learner.Learner.state`).
        progress: How far the run was.
        settings: Those that it had.
        about: What it was trained on (see `begin.about`); empty in old files.
        scaler: State of the gradient scaler.
    """

    tensors: dict[str, torch.Tensor]
    progress: Progress
    settings: dict[str, Any]
    about: dict[str, Any]
    scaler: dict[str, Any]


def save_checkpoint(
    path: Path, learner: Learner, progress: Progress, config: TrainConfig, about: dict[str, Any]
) -> None:
    """Write a run's state; the checkpoint before stays whole until this one is.

    Raises:
        CheckpointError: It cannot be written.
    """
    header = {
        'format': FORMAT,
        'progress': json.dumps(asdict(progress)),
        'config': json.dumps(asdict(config)),
        'scaler': json.dumps(learner.scaler.state_dict()),
        'about': json.dumps(about),
    }
    try:
        write_tensors(path, learner.state(), header)
    except WriteError as error:
        raise CheckpointError(
            f'{error}; the checkpoint that was there is unchanged: give the same command again '
            'to resume from it'
        ) from None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a run's state.

    Raises:
        CheckpointError: The file is truncated or of another version.
    """
    try:
        with safe_open(path, framework='pt') as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if header.get('format') != FORMAT:
            raise ValueError(f'not a checkpoint of {FORMAT}')
        return Checkpoint(
            tensors,
            Progress(**json.loads(header['progress'])),
            json.loads(header['config']),
            json.loads(header.get('about', '{}')),
            json.loads(header['scaler']),
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _unusable(path, error) from None


def restore(path: Path, checkpoint: Checkpoint, learner: Learner) -> None:
    """Give the state back.

    Raises:
        CheckpointError: It is another network's.
    """
    try:
        learner.load_state(checkpoint.tensors, checkpoint.progress.steps)
        if learner.scaler.is_enabled() and checkpoint.scaler:
            learner.scaler.load_state_dict(checkpoint.scaler)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: Exception) -> CheckpointError:
    reason = str(error).splitlines()[0]
    return CheckpointError(
        f'{path}: cannot be resumed from ({reason}); give another --out, or remove the file to '
        'start again'
    )


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

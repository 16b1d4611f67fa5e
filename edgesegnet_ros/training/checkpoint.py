"""Checkpoints: one safetensors file with everything that a run needs to resume, to the bit."""

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
    """The progress of a run. All random numbers follow from these numbers and the seed.

    Attributes:
        epoch: Number of finished epochs.
        step: Number of finished steps of the next epoch.
        steps: Number of finished steps in total.
        loss: Sum of the losses of the finished steps of this epoch.
        best: Highest pixel accuracy on val so far, 0-1; -1 before the first.
        seconds: Time spent on the finished steps of this epoch.
        trained: Time spent on all steps, without validation, in s.
        history: One row of figures per epoch.
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
    """The content of a checkpoint file.

    Attributes:
        tensors: The state of network, average and optimizer (see `learner.Learner.state`).
        progress: Progress of the run.
        settings: Settings of the run.
        about: Description of the data (see `RunData.about`); empty in old files.
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
    """Write the state of a run; the previous checkpoint stays until this one is complete.

    Raises:
        CheckpointError: The file cannot be written.
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
    """Read the state of a run.

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
    """Restore the state of a run.

    Raises:
        CheckpointError: The checkpoint is of another network.
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
    """A line for each setting that differs between a resumed run and its checkpoint.

    Settings that did not exist yet when the checkpoint was written count as their defaults.
    """
    now = json.loads(json.dumps(asdict(config)))
    before = {**json.loads(json.dumps(asdict(TrainConfig()))), **before}
    return [
        f'{name} {value} (was {before[name]})'
        for name, value in now.items()
        if before[name] != value
    ]

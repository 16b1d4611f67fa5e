"""The logs of a run: a CSV row per epoch, TensorBoard logs, a plot of the curves."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgesegnet_ros.atomic_file import atomic_file
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.extras import need
from edgesegnet_ros.training.validation import Validation

LOG = 'log.csv'
CURVES = 'curves.png'
TENSORBOARD = 'tensorboard'


def bar_interval() -> float:
    """Seconds between two updates of a progress bar: 60 where each one is a line of a log."""
    return 0.2 if sys.stderr.isatty() else 60.0


class RunLog:
    """Writes the logs of one run.

    Args:
        out: Folder of the logs.
        tensorboard: Whether to write TensorBoard logs.
        steps: Number of steps before a resume; TensorBoard discards logs of later ones.

    Raises:
        MissingExtra: TensorBoard is not installed.
    """

    def __init__(self, out: Path, tensorboard: bool, steps: int) -> None:
        self._out = out
        self._board: Any = None
        if tensorboard:
            need('train', ('tensorboard',), 'TensorBoard logs (--no-tensorboard for none)')
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(out / TENSORBOARD), purge_step=steps)

    def step(self, steps: int, loss: float, rate: float) -> None:
        """Log a step, every few steps."""
        if self._board:
            self._board.add_scalar('loss/step', loss, steps)
            self._board.add_scalar('learning_rate', rate, steps)

    def epoch(
        self,
        history: list[dict[str, Any]],
        steps: int,
        found: Validation | None = None,
        classes: ClassSet | None = None,
    ) -> None:
        """Log the last row of `history`, and write log.csv with all rows.

        Args:
            history: One row of figures per epoch.
            steps: Number of steps so far.
            found: Validation of this epoch; None without one.
            classes: Names for the IoU by class.

        Raises:
            WriteError: The logs cannot be written.
        """
        row = history[-1]
        if self._board:
            for name, value in row.items():
                if name != 'epoch' and value is not None:
                    self._board.add_scalar(f'epoch/{name}', value, steps)
            if found and classes:
                self._note(found, classes, steps)
            self._board.flush()
        path = self._out / LOG
        with atomic_file(path) as partial, partial.open('w', newline='') as file:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
            writer.writerows(history)

    def _note(self, found: Validation, classes: ClassSet, steps: int) -> None:
        for name, iou in zip(classes.names, found.scores.iou, strict=True):
            if not np.isnan(iou):
                self._board.add_scalar(f'iou/{name}', float(iou), steps)
        for number, sample in enumerate(found.samples):
            self._board.add_image(f'val/{number}', sample, steps)

    def close(self) -> None:
        """Close TensorBoard's files."""
        if self._board:
            self._board.close()

    def draw(self, history: list[dict[str, Any]]) -> Path:
        """Plot loss, pixel accuracy and mIoU over the epochs.

        Raises:
            MissingExtra: Matplotlib is not installed.
            WriteError: The plot cannot be written.
        """
        need('train', ('matplotlib',), 'the plot of the curves')
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 4.5), layout='constrained')
        losses = figure.subplots()
        epochs = [row['epoch'] for row in history]
        losses.plot(epochs, [row['loss'] for row in history], color='0.5', label='training loss')
        scored = [row for row in history if row.get('val_loss') is not None]
        losses.plot(
            [row['epoch'] for row in scored],
            [row['val_loss'] for row in scored],
            color='0.2',
            linestyle=':',
            label='validation loss',
        )
        losses.set_xlabel('epoch')
        losses.set_ylabel('loss')
        losses.set_ylim(bottom=0)
        scored = [row for row in history if row['val_pixel_accuracy'] is not None]
        scores = losses.twinx()
        for name, label in (
            ('val_pixel_accuracy', 'pixel accuracy on val'),
            ('val_miou', 'mIoU on val'),
        ):
            scores.plot(
                [row['epoch'] for row in scored],
                [row[name] for row in scored],
                marker='.',
                label=label,
            )
        scores.set_ylim(0, 1)
        scores.grid(alpha=0.3)
        lines = losses.get_lines() + scores.get_lines()
        scores.legend(lines, [str(line.get_label()) for line in lines], loc='center right')
        path = self._out / CURVES
        with atomic_file(path) as partial:
            figure.savefig(partial, dpi=120)
        return path

"""The training loop."""

from __future__ import annotations

import logging
import math
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from signal import SIGTERM
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network.weights import WeightsInfo, load_weights, save_weights
from edgesegnet_ros.training.checkpoint import (
    Progress,
    changed_settings,
    read_checkpoint,
    restore,
    save_checkpoint,
)
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.training.distillation import open_teacher
from edgesegnet_ros.training.learner import Learner
from edgesegnet_ros.training.processes import ProcessGroup, join_process_group
from edgesegnet_ros.training.run_log import RunLog, bar_interval
from edgesegnet_ros.training.run_setup import (
    RunData,
    Sources,
    begin_network,
    check_batch,
    check_same_data,
    open_answers,
    read_data,
    without_streets,
)
from edgesegnet_ros.training.schedule import learning_rate
from edgesegnet_ros.training.stopping import StopRequest
from edgesegnet_ros.training.throughput import Throughput
from edgesegnet_ros.training.validation import Validation, validate

CHECKPOINT = 'checkpoint.safetensors'
WEIGHTS = 'weights.safetensors'
BEST = 'best.safetensors'
_LOOK_EVERY = 10
"""Steps between two readings of the loss, each of which waits for the GPU."""

log = logging.getLogger(__name__)


class TrainingError(EdgeSegNetError):
    """A run that cannot continue."""


class Outcome(NamedTuple):
    """The outcome of a run.

    Attributes:
        progress: Progress at the end.
        signal: Number of the signal that stopped the run; 0 if it finished.
        is_main: Whether this process has rank 0.
        trained: Whether a step was made; False if the run had been finished before.
    """

    progress: Progress
    signal: int
    is_main: bool
    trained: bool = True


def train(
    config: TrainConfig,
    sources: Sources,
    out: Path,
    device: str = 'auto',
    tensorboard: bool = True,
) -> Outcome:
    """Train to the end of the run; resume from the checkpoint in `out` if there is one.

    Under torchrun every process calls this function, and rank 0 writes.

    Args:
        config: The run.
        sources: Dataset and given weights.
        out: Folder for checkpoint.safetensors (all state), weights.safetensors (the averaged
            weights, deployable, each epoch), best.safetensors (those best on val), log.csv
            (a row per epoch), curves.png and TensorBoard's logs.
        device: auto, cpu, cuda or cuda:N.
        tensorboard: Whether to write TensorBoard logs.

    Raises:
        CheckpointError: The checkpoint cannot be used, or belongs to other data.
        DatasetError: The dataset is incomplete; nothing was trained.
        EdgeSegNetError: Other errors; the message says what to do.
    """
    with ExitStack() as stack:
        group = join_process_group(device)
        stack.callback(group.leave)
        config = without_streets(config, sources.classes)
        check_batch(config, len(sources.classes.classes), group.size)
        _check(config, group, out)
        if sources.init:
            load_weights(sources.init)  # a wrong file is refused before the data is read
        teacher = open_teacher(config, sources.teachers, sources.classes, group.device)
        data = read_data(config, sources, group)
        path = out / CHECKPOINT
        checkpoint = read_checkpoint(path) if path.exists() else None
        if checkpoint is not None:
            check_same_data(path, checkpoint, data.about)
            if _finished(config, checkpoint.progress):
                _tell_finished(config, checkpoint.settings, out)
                return Outcome(checkpoint.progress, 0, group.is_main, trained=False)
        network, info = begin_network(config, sources, data, group, checkpoint)
        answers = open_answers(config, sources, data, out, group)
        learner = Learner(config, network, info, data.class_weights, teacher, group, answers)
        progress = Progress()
        if checkpoint is not None:
            restore(path, checkpoint, learner)
            progress = checkpoint.progress
            _tell_resumed(config, checkpoint.settings, progress, group)
        run_log = RunLog(out, tensorboard, progress.steps) if group.is_main else None
        if run_log:
            stack.callback(run_log.close)
        run = _Run(config, sources, data, learner, info, group, progress, out, run_log)
        stack.enter_context(run.bar)
        stop = stack.enter_context(StopRequest())
        loader = data.batches.load(progress.epoch, progress.step, group.device.type == 'cuda')

        stopped = False
        while not run.finished:
            run.begin_epoch()
            while not run.epoch_is_over:
                run.step(loader)
                # All processes stop and save at the same step if one has to.
                stopped = group.any(bool(stop.signal))
                if run.epoch_is_over:
                    break
                if group.any(run.wants_a_checkpoint) or stopped:
                    run.save_within_epoch()
                    if stopped:
                        return Outcome(progress, stop.signal or SIGTERM, group.is_main)
            run.end_epoch()
            if stopped and not run.finished:
                return Outcome(progress, stop.signal or SIGTERM, group.is_main)
        if run_log and progress.history:
            run_log.draw(progress.history)
        return Outcome(progress, 0, group.is_main)


class _Run:
    """One run; `train` shows the order in which its methods are called."""

    def __init__(
        self,
        config: TrainConfig,
        sources: Sources,
        data: RunData,
        learner: Learner,
        info: WeightsInfo,
        group: ProcessGroup,
        progress: Progress,
        out: Path,
        run_log: RunLog | None,
    ) -> None:
        self._config, self._sources, self._data = config, sources, data
        self._learner, self._info, self._group = learner, info, group
        self._progress, self._out, self._log = progress, out, run_log
        self._about = {**data.about, 'normalisation': {'mean': info.mean, 'std': info.std}}
        self._steps = data.batches.steps_per_epoch
        self._throughput = Throughput()
        self._loss = torch.zeros((), dtype=torch.float64, device=group.device)
        self._loss += progress.loss if group.is_main else 0.0
        self._rate = 0.0
        self._saved = time.monotonic()
        self.bar = _bar(config, self._steps, progress, group)

    @property
    def finished(self) -> bool:
        """Whether all steps of the run are done."""
        return _finished(self._config, self._progress)

    @property
    def epoch_is_over(self) -> bool:
        """Whether all steps of the epoch are done, or the time of the run is over."""
        return self._progress.step >= self._steps or (
            self._progress.step > 0 and self._time_is_over
        )

    @property
    def _time_is_over(self) -> bool:
        config = self._config
        return config.minutes > 0 and self._trained() >= config.minutes * 60.0

    @property
    def wants_a_checkpoint(self) -> bool:
        """Whether the last checkpoint is older than `checkpoint_minutes`."""
        return time.monotonic() - self._saved >= self._config.checkpoint_minutes * 60.0

    def begin_epoch(self) -> None:
        """Set which parameters are trained, and start the clocks."""
        self._learner.begin_epoch(self._progress.epoch)
        self._began = time.monotonic()
        self._earlier = self._progress.seconds
        self._trained_before = self._progress.trained
        self._throughput.restart()

    def step(self, loader: Any) -> None:
        """Train on the next batch, and read the loss every few steps."""
        progress = self._progress
        images, labels, *positions = self._throughput.next(loader, self._config.batch)
        self._rate = learning_rate(self._config, self._share())
        position = (progress.epoch, progress.step)
        self._loss += self._learner.step(images, labels, position, self._rate, *positions)
        progress.steps += 1
        progress.step += 1
        self.bar.update()
        if progress.step % _LOOK_EVERY == 0 or self.epoch_is_over:
            self._look()

    def save_within_epoch(self) -> None:
        """Write a checkpoint from which the epoch can be resumed."""
        progress = self._progress
        progress.loss = self._group.sums([self._loss])[0].item()
        progress.seconds = self._seconds()
        progress.trained = self._trained()
        self._loss.fill_(progress.loss if self._group.is_main else 0.0)
        self._save()

    def end_epoch(self) -> None:
        """Validate, and write weights, checkpoint and logs."""
        progress, config = self._progress, self._config
        loss = self._group.sums([self._loss])[0].item() / max(progress.step, 1)
        self._loss.zero_()
        progress.trained = self._trained()
        progress.epoch, progress.step, progress.loss = progress.epoch + 1, 0, 0.0
        if self._log:
            row = {
                'epoch': progress.epoch,
                'loss': loss,
                'learning_rate': self._rate,
                'val_loss': None,
                'val_pixel_accuracy': None,
                'val_miou': None,
                'views_per_second': round(self._throughput.views_per_second, 2),
                'waiting_for_data': round(self._throughput.data_share, 3),
            }
            throughput = self._throughput.sentence(config.workers)
            found = None
            if self.finished or progress.epoch % config.validate_every == 0:
                found = self._validate(row)
            row['seconds'] = round(self._seconds())
            progress.history.append(row)
            progress.seconds = 0.0
            save_weights(self._out / WEIGHTS, self._learner.deployed(), self._info)
            self._save()
            self._log.epoch(progress.history, progress.steps, found, self._sources.classes)
            self.bar.write(f'{_sentence(row)}; {throughput}', file=sys.stderr)
        progress.seconds = 0.0

    def _validate(self, row: dict[str, Any]) -> Validation:
        deployed = self._learner.deployed()
        found = validate(
            deployed,
            self._info,
            self._data.val,
            self._group.device,
            self._data.class_weights,
            self._sources.classes,
        )
        scores = found.scores
        row['val_loss'] = found.loss if math.isfinite(found.loss) else None
        row['val_pixel_accuracy'], row['val_miou'] = scores.pixel_accuracy, scores.miou
        if scores.pixel_accuracy > self._progress.best:
            self._progress.best = scores.pixel_accuracy
            save_weights(self._out / BEST, deployed, self._info)
        return found

    def _look(self) -> None:
        progress = self._progress
        loss = self._loss.item() * self._group.size / progress.step
        if not math.isfinite(loss):
            raise TrainingError(
                f'the loss is {loss} in epoch {progress.epoch + 1}: lower --learning-rate '
                f'({self._config.learning_rate}); the last checkpoint in {self._out} is from '
                'before that'
            )
        self.bar.set_postfix(
            epoch=progress.epoch + 1,
            loss=f'{loss:.3f}',
            views_per_s=f'{self._throughput.views_per_second:.1f}',
            waits_for_data=f'{self._throughput.data_share:.0%}',
        )
        if self._log:
            self._log.step(progress.steps, loss, self._rate)

    def _save(self) -> None:
        if self._group.is_main:
            path = self._out / CHECKPOINT
            save_checkpoint(path, self._learner, self._progress, self._config, self._about)
        self._saved = time.monotonic()

    def _seconds(self) -> float:
        """Seconds spent on this epoch, including those before a stop."""
        return self._earlier + time.monotonic() - self._began

    def _trained(self) -> float:
        """Seconds spent on all steps of the run."""
        return self._trained_before + time.monotonic() - self._began

    def _share(self) -> float:
        """Finished share of the run, 0-1."""
        if self._config.minutes:
            return self._trained() / (self._config.minutes * 60.0)
        progress = self._progress
        return (progress.epoch + progress.step / self._steps) / self._config.epochs


def _finished(config: TrainConfig, progress: Progress) -> bool:
    if config.minutes:
        return progress.step == 0 and progress.trained >= config.minutes * 60.0
    return progress.epoch >= config.epochs


def _check(config: TrainConfig, group: ProcessGroup, out: Path) -> None:
    if config.minutes and group.size > 1:
        raise TrainingError(
            '--minutes is for one process, since several would not agree on the time: give '
            '--epochs under torchrun'
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f'{out}: cannot be made ({error.strerror})') from None


def _tell_finished(config: TrainConfig, before: dict[str, Any], out: Path) -> None:
    changed = changed_settings(before, config)
    text = ', '.join(changed) if changed else 'no setting was changed'
    log.warning(
        'the run in %s is finished already, and nothing was trained (%s); raise --epochs to '
        'lengthen it, or give another --out to begin a new run',
        out,
        text,
    )


def _tell_resumed(
    config: TrainConfig, before: dict[str, Any], progress: Progress, group: ProcessGroup
) -> None:
    if not group.is_main:
        return
    log.info('resuming after epoch %d and %d steps', progress.epoch, progress.step)
    for line in changed_settings(before, config):
        log.warning('a setting differs from that of the checkpoint: %s', line)


def _bar(config: TrainConfig, steps: int, progress: Progress, group: ProcessGroup) -> tqdm:
    """A progress bar over the whole run, so that it shows the time left of the run."""
    return tqdm(
        desc='training',
        unit='step',
        total=None if config.minutes else config.epochs * steps,
        initial=progress.epoch * steps + progress.step,
        disable=not group.is_main,
        mininterval=bar_interval(),
        smoothing=0.05,
        dynamic_ncols=sys.stderr.isatty(),
    )


def _sentence(row: dict[str, Any]) -> str:
    text = f'epoch {row["epoch"]}: loss {row["loss"]:.4f}, {row["seconds"]} s'
    if row['val_pixel_accuracy'] is None:
        return text
    return (
        f'{text}, val pixel accuracy {row["val_pixel_accuracy"]:.4f}, mIoU {row["val_miou"]:.4f}'
    )

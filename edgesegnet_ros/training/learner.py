"""The state of a training run that a step changes, and the step itself."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network.padding import pad_filters, unpadded_state
from edgesegnet_ros.network.registry import Network
from edgesegnet_ros.network.weights import WeightsInfo
from edgesegnet_ros.training.answers import Answers
from edgesegnet_ros.training.average import WeightAverage
from edgesegnet_ros.training.config import TrainConfig
from edgesegnet_ros.training.distillation import Teacher
from edgesegnet_ros.training.loss import class_table, cross_entropy, distance_to_teacher
from edgesegnet_ros.training.mixed_precision import Autocast
from edgesegnet_ros.training.normalised import NormalisedNetwork
from edgesegnet_ros.training.processes import ProcessGroup
from edgesegnet_ros.training.schedule import build_optimizer, set_rate

GPU_MULTIPLE = 8
"""Tensor cores are fastest if the numbers of filters are multiples of this."""


class OutOfMemory(EdgeSegNetError):
    """A batch that does not fit into the memory of the device."""


class Learner:
    """A network, the average of its weights, and the optimizer.

    On a GPU filters are padded with zeros to multiples of 8 while they are trained (see
    `network.padding`); everything that leaves this class has the network's own widths.

    Args:
        config: The run.
        network: Network with its initial weights; the learner owns it from then on.
        info: Header with the normalisation of the inputs.
        class_weights: (classes,) float32.
        teacher: Teacher of the distillation; None for none.
        group: Processes and device.
        answers: Keeps the teacher's answers; None to let it answer each time.
    """

    def __init__(
        self,
        config: TrainConfig,
        network: Network,
        info: WeightsInfo,
        class_weights: torch.Tensor,
        teacher: Teacher | None,
        group: ProcessGroup,
        answers: Answers | None = None,
    ) -> None:
        self._config, self._teacher, self._group = config, teacher, group
        self._answers = answers
        self._device = group.device
        self._plain = copy.deepcopy(network).cpu().eval()
        multiple = config.filter_multiple or (GPU_MULTIPLE if self._device.type == 'cuda' else 1)
        self._pads = multiple > 1
        self.network = pad_filters(network, multiple) if self._pads else network
        self.network.to(self._device, memory_format=torch.channels_last)
        self._table = class_table(class_weights).to(self._device)
        self._autocast = Autocast(config.precision, self._device)
        directions = torch.bfloat16 if self._autocast.precision == 'bf16' else torch.float32
        self.optimizer = build_optimizer(config, self.network, directions, network)
        self.average = WeightAverage(self.network, config.ema_decay)
        normalised = NormalisedNetwork(self.network, info.mean, info.std).to(self._device)
        self._model = group.wrap(normalised, unused=config.freeze_body_epochs > 0)
        if self._device.type == 'cuda':
            torch.backends.cudnn.benchmark = True

    def begin_epoch(self, epoch: int) -> None:
        """Set the modes of the layers, and which parameters are trained, for an epoch (from 0)."""
        frozen = epoch < self._config.freeze_body_epochs
        self.network.train()
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d) and (self._config.freeze_norms or frozen):
                module.eval()
        for name, value in self.network.named_parameters():
            value.requires_grad_(not frozen or name.startswith('head.'))

    def step(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        position: tuple[int, int],
        rate: float,
        positions: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Train on one batch; no operation waits for a GPU, except fp16's gradient scaler.

        Args:
            images: (n, 3, h, w) uint8, this process's share of the batch, in host memory.
            labels: (n, h, w) uint8, 255 for void.
            position: Epoch and step in it, which determine all random numbers inside the network.
            rate: Learning rate.
            positions: (n, 2) positions of the views, if answers to them are kept.

        Returns:
            The loss: a scalar on the device; its sum over the processes is that of the batch.

        Raises:
            OutOfMemory: The batch does not fit into the GPU's memory.
        """
        self._seed(position)
        set_rate(self.optimizer, rate)
        scaler = self._autocast.scaler
        try:
            objective = self.objective(
                images.to(self._device, non_blocking=True),
                labels.to(self._device, non_blocking=True),
                positions,
            )
            self.optimizer.zero_grad(set_to_none=True)
            scaler.scale(objective).backward()
            scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self._config.gradient_norm)
            scaler.step(self.optimizer)
            scaler.update()
            self.average.update_parameters(self.network)
        except torch.cuda.OutOfMemoryError:
            raise self._too_large() from None
        return objective.detach() / self._group.size

    def objective(
        self, images: torch.Tensor, labels: torch.Tensor, positions: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The loss to backpropagate: a scalar in every process.

        Args:
            images: (n, 3, h, w) uint8 on the device.
            labels: (n, h, w) uint8 on the device.
            positions: See `step`.
        """
        config, wanted = self._config, None
        with self._autocast():
            if self._teacher is not None:
                kept = None
                if self._answers is not None and positions is not None:
                    kept = self._answers.get(positions, images, self._teacher.logits)
                images, labels, wanted = self._teacher.distillation_batch(images, labels, kept)
            coarse = self._model(images)
        own = cross_entropy(coarse, labels, self._table, config.label_smoothing)
        terms = [own.weight]
        if wanted is not None:
            distance_loss = distance_to_teacher(
                coarse, wanted, labels, config.distillation_temperature
            )
            terms.append(distance_loss.weight)
        # The loss is divided by the pixels of all processes, so that they train as one would.
        weights = self._group.sums(terms)
        objective = own.total / weights[0].clamp_min(1e-9).float()
        if wanted is not None:
            distance = distance_loss.total / weights[1].clamp_min(1.0).float()
            objective = torch.lerp(objective, distance, config.distillation)
        return objective * self._group.size  # DistributedDataParallel divides by it

    def deployed(self) -> Network:
        """The averaged network, in its own widths and in evaluation mode, on the CPU.

        It is the same object each time.
        """
        self._plain.load_state_dict(self._cut(self.average.module.state_dict()))
        return self._plain

    def state(self) -> dict[str, torch.Tensor]:
        """All tensors that a resumed run needs, in the network's own widths."""
        tensors = {}
        for prefix, module in (('model', self.network), ('average', self.average.module)):
            values = self._cut(module.state_dict())
            tensors.update({f'{prefix}/{name}': value for name, value in values.items()})
        shapes = self._plain_shapes()
        for index, state in self.optimizer.state_dict()['state'].items():
            for name, value in state.items():
                if value is not None:
                    cut = value[tuple(slice(n) for n in shapes[index])] if value.ndim else value
                    tensors[f'optimizer/{index}/{name}'] = cut
        return tensors

    def load_state(self, tensors: dict[str, torch.Tensor], updates: int) -> None:
        """Restore a state that `state` returned.

        Args:
            tensors: Tensors by name.
            updates: Number of steps at that state.

        Raises:
            KeyError: Tensors are missing.
            RuntimeError: Or they do not fit.
        """
        for prefix, module in (('model/', self.network), ('average/', self.average.module)):
            like = module.state_dict()
            values = {
                name[len(prefix) :]: value
                for name, value in tensors.items()
                if name.startswith(prefix)
            }
            module.load_state_dict(
                {name: _grown(value, like.get(name), name) for name, value in values.items()}
            )
        self.average.n_averaged.fill_(updates)
        known = self.optimizer.state_dict()
        parameters = [p for group in self.optimizer.param_groups for p in group['params']]
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith('optimizer/'):
                _, index, key = name.split('/')
                like = parameters[int(index)] if value.ndim else None
                state.setdefault(int(index), {})[key] = _grown(value, like, key)
        self.optimizer.load_state_dict({'state': state, 'param_groups': known['param_groups']})

    @property
    def scaler(self) -> torch.amp.GradScaler:
        """The state of fp16's gradient scaler."""
        return self._autocast.scaler

    def _cut(self, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if not self._pads:
            return values
        return unpadded_state(values, self._plain.state_dict())

    def _plain_shapes(self) -> list[torch.Size]:
        """The parameters in the order of the optimizer."""
        plain = dict(self._plain.named_parameters())
        shapes = {p: plain[name].shape for name, p in self.network.named_parameters()}
        return [shapes[p] for group in self.optimizer.param_groups for p in group['params']]

    def _seed(self, position: tuple[int, int]) -> None:
        """Make random numbers inside the network (dropout) depend on the step alone."""
        sequence = np.random.SeedSequence([self._config.seed, *position, self._group.rank])
        torch.manual_seed(int(sequence.generate_state(1)[0]))

    def _too_large(self) -> OutOfMemory:
        config = self._config
        total = torch.cuda.get_device_properties(self._device).total_memory / 2**30
        height, width = config.view
        lower = (
            f'give --batch {config.batch // 2} or less'
            if config.batch > 1
            else 'give a smaller --crop'
        )
        return OutOfMemory(
            f'the {total:.0f} GiB of {self._device} do not hold the training of {config.network} '
            f'with {config.batch // self._group.size} views of {height}x{width}: {lower}'
        )


def _grown(value: torch.Tensor, like: torch.Tensor | None, name: str) -> torch.Tensor:
    """A tensor padded to the shape of another one, as `network.padding` pads."""
    if like is None or value.shape == like.shape or value.ndim != like.ndim:
        return value
    if any(own > wanted for own, wanted in zip(value.shape, like.shape, strict=True)):
        return value
    grown = torch.full_like(
        like, 1.0 if name.endswith('running_var') else 0.0, requires_grad=False
    )
    grown[tuple(slice(n) for n in value.shape)] = value.to(grown.device)
    return grown

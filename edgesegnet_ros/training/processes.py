"""The process group of a run: one process, or several that torchrun started."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import NamedTuple

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from edgesegnet_ros.engines.pytorch import choose_device

_PATIENCE = timedelta(hours=2)
"""Time that the other processes wait while the first one scores val."""


class ProcessGroup(NamedTuple):
    """The process group of a run.

    Attributes:
        rank: Rank of this process; only rank 0 writes and prints.
        size: Number of processes.
        device: Device of this process.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process has rank 0, which writes and prints."""
        return self.rank == 0

    def sums(self, values: list[torch.Tensor]) -> list[torch.Tensor]:
        """Scalars on `device`, each summed over the processes."""
        if self.size == 1:
            return values
        joined = torch.stack([value.detach().double() for value in values])
        distributed.all_reduce(joined)
        return list(joined)

    def any(self, value: bool) -> bool:
        """Whether the value is true in any process."""
        if self.size == 1:
            return value
        return self.sums([torch.tensor(float(value), device=self.device)])[0].item() > 0

    def wrap(self, model: torch.nn.Module, unused: bool = False) -> torch.nn.Module:
        """The model with its gradients averaged over the processes.

        Args:
            model: A model on the device of this process.
            unused: Whether some of its parameters may have no gradient.
        """
        if self.size == 1:
            return model
        ids = [self.device.index] if self.device.type == 'cuda' else None
        return DistributedDataParallel(model, device_ids=ids, find_unused_parameters=unused)

    def leave(self) -> None:
        """Leave the group; does nothing without one."""
        if self.size > 1:
            distributed.destroy_process_group()


def join_process_group(device: str) -> ProcessGroup:
    """Join the group that torchrun started; without torchrun, a group of one.

    Args:
        device: auto, cpu, cuda or cuda:N; under torchrun each process gets its own GPU.

    Raises:
        EngineError: The device does not exist.
    """
    count = int(os.environ.get('WORLD_SIZE', '1'))
    if count == 1:
        return ProcessGroup(0, 1, choose_device(device))
    if choose_device(device).type == 'cuda':
        own = choose_device(f'cuda:{os.environ["LOCAL_RANK"]}')
        torch.cuda.set_device(own)
    else:
        own = torch.device('cpu')
    backend = 'nccl' if own.type == 'cuda' else 'gloo'
    distributed.init_process_group(backend, timeout=_PATIENCE)
    return ProcessGroup(distributed.get_rank(), count, own)

"""The average of the weights over the last steps, which is scored and saved."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


class WeightAverage(AveragedModel):
    """An exponential average of weights and running statistics, in evaluation mode.

    It is updated by foreach operations. The count of its updates stays on the CPU, so that no
    update waits for a GPU; do not move the average to a device after it was made.

    Args:
        model: Its copy is averaged on the same device.
        decay: Weight of the past in the long run, 0-1. A young average forgets the random start
            quickly: its decay is at most (1 + n) / (10 + n) after n updates.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, multi_avg_fn=self._mix, use_buffers=True)
        self._decay = decay
        self.eval()
        self.requires_grad_(False)

    @torch.no_grad()
    def _mix(self, averages: list, values: list, _count: object) -> None:
        if not averages[0].is_floating_point():  # the number of batches that a norm has seen
            torch._foreach_copy_(averages, values)
            return
        updates = int(self.n_averaged) + 1
        torch._foreach_lerp_(
            averages, values, 1.0 - min(self._decay, (1 + updates) / (10 + updates))
        )

"""Muon for convolutions: momentum whose directions all have the same length.

Jordan et al., https://kellerjordan.github.io/posts/muon, with the step size of Liu et al.
(arXiv 2502.16982, section 2.2), which takes AdamW's learning rate and weight decay as they are.
torch.optim.Muon takes matrices only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_MOMENTUM = 0.95
_ADAMW_RMS = 0.2
"""Root mean square of AdamW's usual update of a weight, as a share of the rate."""


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix with its singular values brought to about 1 (0.7 to 1.2).

    Args:
        matrix: (rows, columns) floats; computed in its own precision.

    Returns:
        (rows, columns); zeros where the matrix is zero.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp_min(1e-7)
    a, b, c = _QUINTIC
    for _ in range(_ITERATIONS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


class Muon(torch.optim.AdamW):
    """Muon for filters, AdamW for everything else.

    Args:
        filters: (outputs, inputs, k, k) weights of hidden convolutions.
        others: Groups of parameters as AdamW takes them.
        lr: Learning rate of both.
        weight_decay: Weight decay of the filters.
        dtype: Number format of the directions; bf16 is enough where the hardware has it.
        shapes: Shapes of the filters without zero padding, which determine the length of a
            step; those of `filters` if not given.
    """

    def __init__(
        self,
        filters: Iterable[torch.Tensor],
        others: list[dict],
        lr: float,
        weight_decay: float,
        dtype: torch.dtype = torch.float32,
        shapes: Sequence[torch.Size] | None = None,
    ) -> None:
        self._dtype = dtype
        weights = list(filters)
        shapes = shapes or [weight.shape for weight in weights]
        sides = [max(shape[0], shape[1:].numel()) for shape in shapes]
        own = {'params': weights, 'weight_decay': weight_decay, 'muon': True, 'sides': sides}
        super().__init__([own] + [{**group, 'muon': False} for group in others], lr)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Update all parameters that have a gradient; the filters' gradients are overwritten."""
        for group in self.param_groups:
            if not group['muon']:
                continue
            for weight, side in zip(group['params'], group['sides'], strict=True):
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    # AdamW requires a step in every state that it loads.
                    state['step'] = torch.zeros(())
                    state['momentum'] = torch.zeros_like(weight)
                state['step'] += 1
                state['momentum'].lerp_(weight.grad, 1.0 - _MOMENTUM)
                ahead = weight.grad.lerp(state['momentum'], _MOMENTUM)
                flat = ahead.flatten(1)
                rate = group['lr'] * _ADAMW_RMS * side**0.5
                direction = orthogonalised(flat.to(self._dtype))
                weight.mul_(1.0 - group['lr'] * group['weight_decay'])
                weight.sub_(direction.to(weight.dtype).view_as(weight), alpha=rate)
                weight.grad = None
        super().step(closure)

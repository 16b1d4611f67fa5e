"""The inquisitor: probes a trained network, and advises changes of its design.

After generative synthesis (Wong et al., FermiNets, arXiv 1809.05989), where an inquisitor observes
how a generated network reacts to input and the generator learns from it. Here it takes one part at
a time away from the trained network (a block of a stage, a shortcut, the look at the scene), and
looks at what that costs on validation images; and it asks, by the product of activation and
gradient, how much the lesser half of a stage's channels contributes (Molchanov et al., arXiv
1611.06440). Its advice is the change of U that is expected of a network without the part, or with
one more: the parameters and the arithmetic of that network are counted, and its accuracy is
predicted from what the part contributes and from how well earlier predictions came true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from optuna.trial import FrozenTrial, TrialState
from torch import nn

from edgesegnet_ros.data.camvid import LabelledPair
from edgesegnet_ros.data.classes import VOID
from edgesegnet_ros.data.geometry import compute_placement, to_network
from edgesegnet_ros.exploration.figures import counted
from edgesegnet_ros.exploration.history import FIGURES, FINDINGS
from edgesegnet_ros.exploration.space import SPACE, Choice, Choices, design_from
from edgesegnet_ros.network import HEAD_STRIDE
from edgesegnet_ros.network.cost import gmac
from edgesegnet_ros.network.designed import DesignedNetwork
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.upsampling import upsample
from edgesegnet_ros.training.normalised import NormalisedNetwork

IMAGES = 6
"""Number of val images with which a network is probed."""
_SHARE_OF_CHANNELS = 0.5
_RECOVERED, _EVIDENCE = 0.3, 0.005
"""Before anything is known: the share of a part's contribution that a network which is trained
without it lacks, and how much that counts, in squares of accuracy."""

Worth = Callable[[Mapping[str, float]], float]
"""Figures of a network to its U, lowered where the requirement is not met."""


class Finding(NamedTuple):
    """The contribution of one part.

    Attributes:
        part: In words.
        choice: Key of SPACE that could change it.
        value: What the choice would become.
        lost: Accuracy that is lost without the part, 0 to 1; for a part that is to grow, what it
            now contributes.
        share: Share of the network's multiply-accumulates that the part costs.
        advice: Expected change of U.
    """

    part: str
    choice: str
    value: Choice
    lost: float
    share: float
    advice: float


def probe(
    network: DesignedNetwork,
    choices: Choices,
    val: Sequence[LabelledPair],
    size: tuple[int, int],
    figures: Mapping[str, float],
    worth: Worth,
    lacking: float = _RECOVERED,
) -> list[Finding]:
    """Ask what each part of a trained network contributes, and what a change would be worth.

    Args:
        network: Trained, in evaluation mode; it is left as it was.
        choices: That its design came of.
        val: Labelled images; the first IMAGES are looked at.
        size: Height and width of the network's input.
        figures: Its figures.
        worth: What is maximised.
        lacking: See `share_lacking`.

    Returns:
        Findings, the best advice first.
    """
    images, labels = _arranged(val[:IMAGES], size)
    normalised = NormalisedNetwork(network).eval()
    share = _shares(network, size)
    whole = _accuracy(normalised, images, labels)
    now = worth(figures)
    findings: list[Finding] = []

    def found(part: str, choice: str, smaller: bool, lost: float, cost: float) -> None:
        value = _neighbour(choice, choices[choice], -1 if smaller else 1)
        if value is None:
            return
        expected = _counted({**choices, choice: value}, network.num_classes, size, figures)
        change = -lost if smaller else lost
        expected['accuracy'] = min(1.0, max(0.01, figures['accuracy'] + lacking * change))
        advice = worth(expected) - now
        findings.append(Finding(part, choice, value, lost, cost, advice))

    for layer in network.design.layers:
        name, kind = layer.name, layer.kind
        if name.startswith('stage'):
            block = getattr(network, name)
            if isinstance(block, nn.Sequential):
                with _bypassed(block[-1]):
                    lost = whole - _accuracy(normalised, images, labels)
                cost = share[name] / len(block)
                found(f'last block of {name}', f'{name}_blocks', True, lost, cost)
                found(f'another block of {name}', f'{name}_blocks', False, lost, cost)
        if name == 'scene' and kind == 'pooled':
            with _bypassed(getattr(network, name)):
                lost = whole - _accuracy(normalised, images, labels)
            found('pooled scene', 'scene', True, lost, share[name])
        if name.startswith('up') and len(layer.sources) > 1:
            size_of_it = name[2:]
            fine = layer.sources[-1]
            network.severed = {(name, fine)}
            lost = whole - _accuracy(normalised, images, labels)
            network.severed = set()
            cost = share.get(fine, 0.0) if fine.startswith('fine') else 0.1 * share[name]
            found(f'shortcut at 1/{size_of_it}', f'shortcut{size_of_it}', True, lost, cost)
    for name, least in _lesser_halves(network, normalised, images, labels).items():
        choice = f'{name}_width' if name.startswith('stage') else 'refine_width'
        # One step narrower removes about a third of the channels: less than this half.
        found(f'lesser half of the channels of {name}', choice, True, least, share[name] / 2)
        found(f'more channels in {name}', choice, False, least, share[name] / 2)
    findings.sort(key=lambda one: -one.advice)
    return findings


def share_lacking(trials: Sequence[FrozenTrial]) -> float:
    """How much of what a part contributes is lacking after training without it, 0 to 1.

    A trained network without one of its parts is much worse than one that was trained without it.
    How much is learned from the networks that did differ from a probed one by what was found of
    it: the slope of their change of accuracy over the predicted one.

    Args:
        trials: Of the study.
    """
    products, squares = _RECOVERED * _EVIDENCE, _EVIDENCE
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    for parent in done:
        found = {
            (one['choice'], one['value']): one['lost']
            for one in parent.user_attrs.get(FINDINGS, [])
        }
        for child in done if found else []:
            changed = [
                name for name, value in child.params.items() if value != parent.params[name]
            ]
            if not changed or any((name, child.params[name]) not in found for name in changed):
                continue
            predicted = sum(
                _direction(name, parent.params[name], child.params[name])
                * found[name, child.params[name]]
                for name in changed
            )
            accuracies = [one.user_attrs[FIGURES]['accuracy'] for one in (parent, child)]
            products += predicted * (accuracies[1] - accuracies[0])
            squares += predicted**2
    return min(1.0, max(0.0, products / squares))


def _direction(choice: str, before: Choice, after: Choice) -> int:
    """1 where a part grew, -1 where it shrank or went."""
    values = SPACE[choice]
    if isinstance(before, bool):
        return 1 if after else -1
    return 1 if values.index(after) > values.index(before) else -1


def _counted(
    choices: Choices, num_classes: int, size: tuple[int, int], figures: Mapping[str, float]
) -> dict[str, float]:
    """Figures of a changed network but for its accuracy; its latency follows its arithmetic."""
    changed = counted(design_from(choices, 'changed'), num_classes, size)
    latency = figures['latency_ms'] * changed['gmac'] / max(figures['gmac'], 1e-9)
    return {**figures, **changed, 'latency_ms': latency}


def _arranged(
    pairs: Sequence[LabelledPair], size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 3, H, W) uint8 images and (N, H, W) int64 labels, of the network's size."""
    import cv2

    images, labels = [], []
    for image, truth in pairs:
        images.append(
            to_network(image, compute_placement(image.shape[:2], size, 'stretch')).transpose(
                2, 0, 1
            )
        )
        labels.append(cv2.resize(truth, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT))
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels)).long()


@torch.no_grad()
def _accuracy(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    right = known = 0
    for image, truth in zip(images.split(2), labels.split(2), strict=True):
        predicted = upsample(network(image), HEAD_STRIDE).argmax(1)
        right += int(((predicted == truth) & (truth != VOID)).sum())
        known += int((truth != VOID).sum())
    return right / max(1, known)


def _shares(network: DesignedNetwork, size: tuple[int, int]) -> dict[str, float]:
    """The share of each layer in the multiply-accumulates."""
    with torch.device('meta'):
        copy = build_network(network.design, network.num_classes).eval()
    inputs: dict[str, torch.Size] = {}
    handles = [
        getattr(copy, layer.name).register_forward_pre_hook(
            lambda _, given, name=layer.name: inputs.update({name: given[0].shape})
        )
        for layer in network.design.layers
    ]
    copy.coarse_logits(torch.zeros(1, 3, *size, device='meta'))
    for handle in handles:
        handle.remove()
    total = gmac(copy, size)
    return {
        name: _layer_gmac(getattr(copy, name), shape) / total for name, shape in inputs.items()
    }


def _layer_gmac(layer: nn.Module, shape: torch.Size) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(torch.zeros(shape, device='meta'))
    return counter.get_total_flops() / 2e9


@contextmanager
def _bypassed(block: nn.Module) -> Iterator[None]:
    """In this context, the block returns its input."""
    handle = block.register_forward_hook(lambda _, given, output: given[0])
    try:
        yield
    finally:
        handle.remove()


def _lesser_halves(
    network: DesignedNetwork,
    normalised: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
) -> dict[str, float]:
    """Accuracy lost without the less important half of the channels of each stage."""
    names = [
        layer.name
        for layer in network.design.layers
        if layer.name.startswith('stage') or layer.name == network.design.layers[-1].name
    ]
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_: nn.Module, __: tuple, output: torch.Tensor) -> None:
            if not output.requires_grad:  # the averaged weights need no gradients
                output.requires_grad_()
            output.retain_grad()
            seen[name] = output

        return hook

    handles = [getattr(network, name).register_forward_hook(keep(name)) for name in names]
    with torch.enable_grad():
        logits = upsample(normalised(images[:2]), HEAD_STRIDE)
        nn.functional.cross_entropy(logits, labels[:2], ignore_index=VOID).backward()
    for handle in handles:
        handle.remove()
    network.zero_grad(set_to_none=True)
    whole = _accuracy(normalised, images, labels)
    lost = {}
    for name, output in seen.items():
        matter = (output * output.grad).sum((2, 3)).abs().mean(0)
        count = max(1, int(len(matter) * _SHARE_OF_CHANNELS))
        kept = torch.ones(len(matter)).index_fill(0, matter.argsort()[:count], 0.0)
        handle = getattr(network, name).register_forward_hook(
            lambda _, __, value, kept=kept: value * kept.view(1, -1, 1, 1)
        )
        lost[name] = whole - _accuracy(normalised, images, labels)
        handle.remove()
    return lost


def _neighbour(choice: str, value: Choice, step: int) -> Choice | None:
    """The next value of a choice, up or down; None at the end."""
    values = SPACE[choice]
    if choice not in ('scene',) and isinstance(value, (str, bool)):
        others = [one for one in values if one != value]
        return others[0] if others and value else None
    index = values.index(value) + step
    return values[index] if 0 <= index < len(values) else None

"""The parity gate: compares the labels of every engine with those of the fp32 reference.

The reference is the network as its paper draws it, in eager PyTorch, fp32 with TF32 off.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import Any, Dict, Iterator, NamedTuple, Optional, Tuple

import numpy as np
import torch

from edgesegnet_ros.data.classes import VOID
from edgesegnet_ros.engines import onnxruntime
from edgesegnet_ros.engines.base import Engine
from edgesegnet_ros.engines.eager import EagerReference
from edgesegnet_ros.engines.image_sets import ImageSet
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.engines.request import EngineError, NonFiniteLogitsError
from edgesegnet_ros.engines.segmenter import Segmenter


class Threshold(NamedTuple):
    """The thresholds of a precision.

    Attributes:
        agreement: Smallest share of pixels labelled as by the reference.
        points: Largest loss of pixel accuracy in points, where the images have labels.
    """

    agreement: float
    points: float


THRESHOLDS = {
    'fp32': Threshold(0.9999, 0.2),
    'bf16': Threshold(0.99, 0.2),
    'fp16': Threshold(0.99, 0.2),
    'int8': Threshold(0.98, 0.3),
}


class EngineRefused(EngineError):
    """An engine whose labels differ too much from the reference's; the message has the figures."""


class Verdict(NamedTuple):
    """The result of the gate.

    Attributes:
        frames: Description of the images.
        images: Their number.
        agreement: Share of pixels labelled as by the reference, 0-1.
        points_lost: Pixel accuracy lost in points; None without labels.
        finite: Whether all logits were; the comparison ends with the first that are not.
        objection: Why it is refused; '' for a pass.
    """

    frames: str
    pictures: int
    agreement: float
    points_lost: Optional[float]
    finite: bool
    objection: str

    @property
    def figures(self) -> str:
        """The figures as text."""
        points = self.points_lost
        accuracy = '' if points is None else f', accuracy {0.0 - points:+.2f} points'
        return (
            f'{100 * self.agreement:.3f} % of the labels equal those of fp32{accuracy} on '
            f'{self.frames}'
        )

    @classmethod
    def from_record(cls, stored: Dict[str, Any]) -> Verdict:
        """Parse a verdict that was stored as JSON.

        Raises:
            TypeError, ValueError: It is none.
        """
        verdict = cls(**stored)
        number = (int, float)
        kinds: Tuple[Any, ...] = (str, int, number, (*number, type(None)), bool, str)
        if not all(isinstance(value, kind) for value, kind in zip(verdict, kinds)):
            raise ValueError(f'{stored!r} is no verdict')
        return verdict


def judge(engine: Engine, recipe: Recipe, frames: ImageSet) -> Verdict:
    """Compare an engine with the reference.

    Args:
        engine: Ready.
        recipe: What it was built from.
        frames: Pictures to compare on.

    Raises:
        EngineError: The engine failed, or an image cannot be read.
    """
    with _reference(recipe) as reference:
        ours, theirs = (Segmenter(one, recipe.resize_mode) for one in (engine, reference))
        same = pixels = right = right_before = labelled = pictures = 0
        finite = True
        for image, labels in frames.read(recipe.classes):
            try:
                found = ours.segment(image).labels
            except NonFiniteLogitsError:
                finite = False
                break
            expected = theirs.segment(image).labels
            same += int(np.count_nonzero(found == expected))
            pixels += found.size
            pictures += 1
            if labels is not None:
                known = labels != VOID
                labelled += int(np.count_nonzero(known))
                right += int(np.count_nonzero((found == labels) & known))
                right_before += int(np.count_nonzero((expected == labels) & known))
    points = 100.0 * (right_before - right) / labelled if labelled else None
    verdict = Verdict(frames.title, pictures, same / max(pixels, 1), points, finite, '')
    return verdict._replace(objection=_objection(verdict, recipe.precision))


def _objection(verdict: Verdict, precision: str) -> str:
    needed = THRESHOLDS[precision]
    if not verdict.finite:
        return 'it gives NaN or infinite logits'
    if verdict.agreement < needed.agreement:
        return f'at least {100 * needed.agreement:g} % of the labels must be equal in {precision}'
    if verdict.points_lost is not None and verdict.points_lost > needed.points:
        return f'at most {needed.points:g} points of accuracy may be lost in {precision}'
    return ''


@contextmanager
def _reference(recipe: Recipe) -> Iterator[Engine]:
    """Eager fp32, on the engine's CUDA device if it has one, with TF32 disabled.

    For a user's ONNX file, which has no network in PyTorch, ONNX Runtime in fp32.
    """
    if recipe.onnx is not None:
        engine = onnxruntime.reference(recipe)
        try:
            yield engine
        finally:
            engine.close()
        return
    on_cuda = torch.cuda.is_available() and recipe.device != 'cpu'
    device = recipe.device if recipe.device.startswith('cuda') else 'cuda'
    model = copy.deepcopy(recipe.model) if on_cuda else recipe.model
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(recipe.threads)
        yield EagerReference(
            model,
            recipe.info,
            recipe.input_size,
            device if on_cuda else 'cpu',
            recipe.classes.ignored,
        )
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before

"""The shared pool: views and the logits of the teachers, made once for all candidates.

A teacher may cost ten times as much as a candidate. With its logits in a file, a candidate costs
little more than its own training, and all candidates see the same data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from edgesegnet_ros.exploration.settings import ExplorationError
from edgesegnet_ros.network import HEAD_STRIDE

RECORD = 'pool.json'
_AT_ONCE = 4
"""Batch size of the teachers."""

Answer = Callable[[torch.Tensor], torch.Tensor]
"""(N, 3, H, W) uint8 views to (N, classes, H/4, W/4) logits."""
View = Callable[[int], tuple[torch.Tensor, torch.Tensor]]
"""Number of a view to its (3, H, W) uint8 pixels and (H, W) labels."""


class Pool(NamedTuple):
    """Views in memory-mapped files.

    Attributes:
        images: (views, 3, H, W) uint8 RGB.
        labels: (views, H, W) uint8, 255 for void.
        logits: (views, classes, H/4, W/4) float16; None without a teacher.
    """

    images: np.ndarray
    labels: np.ndarray
    logits: np.ndarray | None


def make_pool(
    folder: Path,
    count: int,
    size: tuple[int, int],
    view: View,
    answer: Answer | None,
    classes: int,
    made_from: dict,
    advance: Callable[[int], None] = lambda _: None,
) -> Pool:
    """Make the missing views, and open all of them.

    A killed process loses only its last few views, which the next call makes again.

    Args:
        folder: Folder of the files.
        count: Number of all views.
        size: Height and width of a view.
        view: Makes a view; the same number gives the same view.
        answer: Computes the logits of the teachers; None without teachers.
        classes: Number of outputs of the teachers.
        made_from: Everything that determines the views; a pool made from other values is refused.
        advance: Called with the number of new views.

    Raises:
        ExplorationError: The folder holds other views, or it cannot be written.
    """
    record = {'made_from': made_from, 'views': count}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = _made(folder, record)
        arrays = _arrays(folder, count, size, classes if answer else 0, new=made == 0)
        advance(made)
        while made < count:
            numbers = range(made, min(count, made + _AT_ONCE))
            pairs = [view(number) for number in numbers]
            images = torch.stack([image for image, _ in pairs])
            here = slice(numbers.start, numbers.stop)
            arrays.images[here] = images.numpy()
            arrays.labels[here] = torch.stack([labels for _, labels in pairs]).numpy()
            if arrays.logits is not None and answer is not None:
                arrays.logits[here] = answer(images).to(torch.float16).numpy()
            made = numbers.stop
            if made == count or made % 40 == 0:
                _write_record(folder, {**record, 'made': made})
            advance(len(numbers))
    except OSError as error:
        raise ExplorationError(
            f'{folder}: the pool of views cannot be written ({error}): free some space, or give '
            'another --out; finished views are kept'
        ) from None
    return arrays


def _made(folder: Path, record: dict) -> int:
    path = folder / RECORD
    if not path.exists():
        return 0
    found = json.loads(path.read_text())
    made = int(found.pop('made'))
    if found != json.loads(json.dumps(record)):
        raise ExplorationError(
            f'{folder}: holds views that were made with other settings; give another --out, or '
            'remove the folder'
        )
    return made


def _write_record(folder: Path, record: dict) -> None:
    partial = folder / (RECORD + '.partial')
    partial.write_text(json.dumps(record))
    partial.replace(folder / RECORD)


def _arrays(folder: Path, count: int, size: tuple[int, int], classes: int, new: bool) -> Pool:
    def array(name: str, shape: tuple[int, ...], kind: type) -> np.ndarray:
        path = folder / f'{name}.npy'
        if new:
            np.lib.format.open_memmap(path, 'w+', np.dtype(kind), shape)
            with path.open('r+b') as file:
                # Without space for a page later on, the process would end with SIGBUS.
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        return np.lib.format.open_memmap(path, 'r+')

    height, width = size
    coarse = (height // HEAD_STRIDE, width // HEAD_STRIDE)
    return Pool(
        array('images', (count, 3, height, width), np.uint8),
        array('labels', (count, height, width), np.uint8),
        array('logits', (count, classes, *coarse), np.float16) if classes else None,
    )

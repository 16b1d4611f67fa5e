"""The teachers' answers to views that come again, kept on disk.

Two teachers may cost five times what a step of the network does. With `reuse`, most views of an
epoch are views of earlier epochs, and their answers are read from here. The views themselves
follow from their positions and are cheap, so they are made again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgesegnet_ros.atomic_file import atomic_file, write_json
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.training.config import TrainConfig

RECORD = 'made_from.json'
_VIEW_SETTINGS = (
    'seed input_size resize_mode crop teacher_margin scale_min scale_max aspect flip color tone '
    'light mix paste shrinking camvid_views drive_balance rendered rendered_pool'
).split()
"""The settings that decide what a position shows."""


class AnswersError(EdgeSegNetError):
    """A folder of answers that cannot be used."""


class Answers:
    """(views, C, h/4, w/4) float16 logits in a file for each epoch in which views were new.

    An answer that is not there yet is NaN, so that a kill loses nothing but what was being
    written, and nothing has to be counted.

    Args:
        folder: Takes the files; each process needs its own.
        new_views: Number of an epoch to the number of views that are new in it.
        made_from: What decides views and answers; answers to others are refused.

    Raises:
        AnswersError: The folder holds other answers, or cannot be written.
    """

    def __init__(
        self, folder: Path, new_views: Callable[[int], int], made_from: dict[str, Any]
    ) -> None:
        self._folder, self._new_views = folder, new_views
        self._files: dict[int, np.ndarray] = {}
        record = folder / RECORD
        made_from = json.loads(json.dumps(made_from))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not record.exists():
                write_json(record, made_from)
            before = json.loads(record.read_text())
        except (OSError, ValueError) as error:
            raise AnswersError(f'{folder}: cannot be used for answers ({error})') from None
        differing = [name for name in made_from if before.get(name) != made_from[name]]
        if differing:
            raise AnswersError(
                f"{folder}: holds the teachers' answers to a run with other values of "
                f'{", ".join(differing)}; remove the folder to let them answer again, or give '
                'another --out'
            )

    def get(
        self,
        positions: torch.Tensor,
        images: torch.Tensor,
        answer: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """The answers to views; those that are not there yet are asked for, and kept.

        Args:
            positions: (n, 2) epoch and index of each view.
            images: (n, 3, h, w) uint8, on any device.
            answer: (m, 3, h, w) images to (m, C, h/4, w/4) logits.

        Returns:
            (n, C, h/4, w/4) float16 on the images' device.

        Raises:
            WriteError: The disk is full.
            AnswersError: A file of answers cannot be opened.
        """
        keys = [(int(epoch), int(index)) for epoch, index in positions]
        kept = [self._kept(epoch, index) for epoch, index in keys]
        missing = [number for number, one in enumerate(kept) if one is None]
        if missing:
            new = answer(images[missing]).to(torch.float16).cpu().numpy()
            for number, one in zip(missing, new, strict=True):
                epoch, index = keys[number]
                self._file(epoch, one.shape)[index] = one
                kept[number] = one
        return torch.from_numpy(np.stack([one for one in kept if one is not None])).to(
            images.device, non_blocking=True
        )

    def _kept(self, epoch: int, index: int) -> np.ndarray | None:
        if epoch not in self._files and not self._path(epoch).exists():
            return None
        one = np.asarray(self._file(epoch, ())[index])
        return None if np.isnan(one).any() else one

    def _path(self, epoch: int) -> Path:
        return self._folder / f'epoch{epoch:05d}.npy'

    def _file(self, epoch: int, shape: tuple[int, ...]) -> np.ndarray:
        if epoch not in self._files:
            path = self._path(epoch)
            if not path.exists():
                # Written whole: a page that finds no room later would end the process.
                empty = np.full((self._new_views(epoch), *shape), np.nan, np.float16)
                with atomic_file(path) as partial:
                    np.save(partial, empty)
            try:
                self._files[epoch] = np.lib.format.open_memmap(path, 'r+')
            except OSError as error:
                raise AnswersError(f'{path}: cannot be opened ({error.strerror})') from None
        return self._files[epoch]


def decided_by(config: TrainConfig, about: dict[str, Any], teachers: list[str]) -> dict[str, Any]:
    """What decides the views of a run and the answers to them.

    Args:
        config: The run.
        about: Description of its data (see `RunData.about`).
        teachers: SHA-256 of each teacher's file.
    """
    settings = asdict(config)
    return {
        **{name: settings[name] for name in _VIEW_SETTINGS},
        'data': about,
        'teachers': teachers,
    }

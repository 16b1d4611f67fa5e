"""Timing in turns, so that other load on the machine affects all contestants equally."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

Infer = Callable[[np.ndarray, np.ndarray], None]
"""Takes an (H, W, 3) uint8 RGB image, writes its (H, W) uint8 class ids."""


def time_frames(
    contestants: Sequence[Infer], size: tuple[int, int], frames: int, warm_up: int = 2
) -> tuple[np.ndarray, dict[int, Exception]]:
    """Time each contestant from a uint8 image to class ids, in turns, frame by frame.

    A turn is one frame that is not timed and one that is: the first takes back caches and waits
    out the threads of the contestant before, which go on spinning for a while.

    Args:
        contestants: Called with the same image.
        size: Height and width.
        frames: Timed frames of each.
        warm_up: Rounds that are thrown away.

    Returns:
        (contestants, frames) milliseconds, and what the contestants raised that failed: they take
        no further turn.
    """
    from tqdm import tqdm

    image = np.random.default_rng(0).integers(0, 255, size + (3,), np.uint8)
    labels = np.empty(size, np.uint8)
    times = np.full((len(contestants), frames), np.nan)
    failed: dict[int, Exception] = {}
    total = (warm_up + frames) * len(contestants)
    title = f'timing at {size[0]}x{size[1]}'
    with tqdm(total=total, desc=title, unit='turn', leave=False) as bar:
        for frame in range(-warm_up, frames):
            for index, infer in enumerate(contestants):
                bar.update()
                if index in failed:
                    continue
                try:
                    infer(image, labels)
                    started = time.perf_counter()
                    infer(image, labels)
                    elapsed = time.perf_counter() - started
                except Exception as error:
                    failed[index] = error
                    continue
                if frame >= 0:
                    times[index, frame] = elapsed * 1e3
    return times, failed

"""Timing in turns, so that other load on the machine affects all cases equally."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

Infer = Callable[[np.ndarray, np.ndarray], None]
"""Takes an (H, W, 3) uint8 RGB image, writes its (H, W) uint8 class ids."""


def time_frames(
    cases: Sequence[Infer], size: tuple[int, int], frames: int, warm_up: int = 2
) -> tuple[np.ndarray, dict[int, Exception]]:
    """Time each case from a uint8 image to class ids, in turns, frame by frame.

    A turn is one frame that is not timed and one that is. The first refills the caches and gives
    the threads of the previous case time to stop spinning.

    Args:
        cases: The inference of each case; all are called with the same image.
        size: Height and width.
        frames: Number of timed frames of each case.
        warm_up: Number of rounds that are discarded.

    Returns:
        (cases, frames) milliseconds, and the exceptions of the cases that failed, by index. A
        case that failed takes no further turn.
    """
    from tqdm import tqdm

    image = np.random.default_rng(0).integers(0, 255, size + (3,), np.uint8)
    labels = np.empty(size, np.uint8)
    times = np.full((len(cases), frames), np.nan)
    failed: dict[int, Exception] = {}
    total = (warm_up + frames) * len(cases)
    title = f'timing at {size[0]}x{size[1]}'
    with tqdm(total=total, desc=title, unit='turn', leave=False) as bar:
        for frame in range(-warm_up, frames):
            for index, infer in enumerate(cases):
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

"""Running replays: a single bag in this process, several in a pool of processes or on Ray."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesegnet_ros.engines import cpu
from edgesegnet_ros.evaluation.replay.options import ReplayOptions

if TYPE_CHECKING:
    from edgesegnet_ros.evaluation.replay.one_bag import BagOutcome
    from edgesegnet_ros.evaluation.replay.worker_pool import Job, WorkerPool


def replay_bags(
    args: argparse.Namespace,
    options: ReplayOptions,
    out: Path,
    jobs: list[tuple[Path, str]],
    bags: int,
) -> Iterator[BagOutcome]:
    """Replay bags in this process, in a pool of processes or on Ray, with a progress bar.

    Args:
        args: Parsed arguments of the command.
        options: Options of the replay.
        out: Folder of the results.
        jobs: Bags that are not finished yet, each with its fingerprint.
        bags: Number of all bags, the finished ones included.

    Yields:
        The outcome of each bag, in the order in which they finish.
    """
    from tqdm import tqdm

    from edgesegnet_ros.evaluation.replay.worker_pool import Job

    if not jobs:
        return
    if args.live or (bags == 1 and not args.ray):
        yield from _replay_here(options, out, jobs)
        return
    with tqdm(
        total=bags, initial=bags - len(jobs), desc='replaying', unit='bag', disable=None
    ) as bar:
        for outcome in _replay_in_pool(args, options, out, [Job(str(b), key) for b, key in jobs]):
            bar.update()
            yield outcome


def _replay_in_pool(
    args: argparse.Namespace, options: ReplayOptions, out: Path, jobs: list[Job]
) -> Iterator[BagOutcome]:
    from edgesegnet_ros.evaluation.replay.worker_pool import (
        schedule,
        shares,
        with_threads,
    )

    pool: WorkerPool
    if args.ray:
        from edgesegnet_ros.evaluation.replay.ray_pool import RayPool, connect, disconnect

        size, threads = shares(options, len(jobs), args.jobs, connect(args.ray))
        try:
            pool = RayPool(with_threads(options, threads), str(out), threads)
            yield from schedule(jobs, pool, size)
        finally:
            disconnect()
        return
    from edgesegnet_ros.evaluation.replay.local_pool import LocalPool

    size, threads = shares(options, len(jobs), args.jobs, cpu.cores())
    print(f'replaying {len(jobs)} bags in {size} processes of {threads} threads')
    pool = LocalPool(with_threads(options, threads), str(out))
    yield from schedule(jobs, pool, size)


def _replay_here(
    options: ReplayOptions, out: Path, jobs: list[tuple[Path, str]]
) -> Iterator[BagOutcome]:
    import cv2
    from tqdm import tqdm

    from edgesegnet_ros.evaluation.replay.one_bag import replay_bag
    from edgesegnet_ros.evaluation.replay.replay_engines import ReplayEngines

    # The engine uses all cores; more threads of OpenCV would only compete with it.
    cv2.setNumThreads(1)
    engines = None if options.live else ReplayEngines(options)
    for bag, key in jobs:
        with tqdm(desc=bag.name, unit='frame', disable=None) as bar:

            def on_frame(done: int, total: int, bar: Any = bar) -> None:
                bar.total = max(total, done)
                bar.update(done - bar.n if done > bar.n else 1)

            yield replay_bag(bag, options, engines, out, key, on_frame)

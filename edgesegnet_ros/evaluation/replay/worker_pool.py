"""Distributes bags to workers: a free worker gets the next bag, and a dead one a retry."""

from __future__ import annotations

import collections
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.evaluation.replay.one_bag import BagOutcome
from edgesegnet_ros.evaluation.replay.options import ReplayOptions
from edgesegnet_ros.evaluation.replay.result import Problem, ReplayError

ATTEMPTS = 3

_log = logging.getLogger(__name__)


class Job(NamedTuple):
    """One bag to replay.

    Attributes:
        bag: Its path.
        key: Its fingerprint.
    """

    bag: str
    key: str


class Death(NamedTuple):
    """A worker that ended in the middle of its job.

    Attributes:
        cause: As far as it is known, such as `killed by SIGKILL`.
    """

    cause: str


class WorkerPool(Protocol):
    """Workers of one kind; a worker is whatever `start_worker` gives."""

    def start_worker(self) -> Any:
        """A new worker, who has no job."""

    def submit(self, worker: Any, job: Job) -> None:
        """Give it a job."""

    def wait(self, workers: list[Any]) -> list[tuple[Any, BagOutcome | Death]]:
        """Those of the workers that have finished or died; at least one."""

    def shutdown(self) -> None:
        """End all of them."""


def schedule(jobs: list[Job], pool: WorkerPool, size: int) -> Iterator[BagOutcome]:
    """Have every job done.

    Args:
        jobs: In the order in which they are begun.
        pool: Does them.
        size: Workers at one time.

    Yields:
        What came of each, in the order in which they finish.

    Raises:
        ReplayError: A worker cannot work at all.
    """
    waiting = collections.deque(jobs)
    busy: dict[Any, Job] = {}
    idle: list[Any] = []
    deaths: collections.Counter[str] = collections.Counter()
    try:
        while waiting or busy:
            while waiting and len(busy) < size:
                worker = idle.pop() if idle else pool.start_worker()
                job = waiting.popleft()
                pool.submit(worker, job)
                busy[worker] = job
            for worker, outcome in pool.wait(list(busy)):
                job = busy.pop(worker)
                if isinstance(outcome, Death):
                    deaths[job.bag] += 1
                    if deaths[job.bag] < ATTEMPTS:
                        waiting.appendleft(job)
                        continue
                    yield _given_up(job, outcome)
                    continue
                idle.append(worker)
                if outcome.fatal is not None:
                    raise ReplayError(outcome.fatal)
                if deaths[job.bag]:
                    outcome.notes.append(
                        f'{job.bag}: its worker died {deaths[job.bag]} times; another worker '
                        'replayed it'
                    )
                yield outcome
    finally:
        pool.shutdown()


def _given_up(job: Job, death: Death) -> BagOutcome:
    return BagOutcome(
        job.bag,
        problems=[
            Problem(
                'worker_died',
                job.bag,
                f'the process that replayed it died {ATTEMPTS} times ({death.cause}): skipped',
            )
        ],
    )


def shares(options: ReplayOptions, bags: int, jobs: int, cores: int) -> tuple[int, int]:
    """How many processes, and how many threads each, so that they share the cores.

    Args:
        options: May name the threads.
        bags: Left to do.
        jobs: Processes that the user asked for; 0 for as many as make sense.
        cores: To share.
    """
    threads = options.request.num_threads
    if not jobs:
        # One thread a process wastes nothing on waiting for the others.
        jobs = max(1, cores // (threads or 1))
    jobs = max(1, min(jobs, bags))
    return jobs, threads or max(1, cores // jobs)


def with_threads(options: ReplayOptions, threads: int) -> ReplayOptions:
    """The options with both engines limited to this many threads."""
    against = options.against
    return replace(
        options,
        request=options.request._replace(num_threads=threads),
        against=against and against._replace(num_threads=threads),
    )


class BagWorker:
    """What a worker does, in whatever kind of process: engines loaded once, then bag by bag.

    Args:
        options: Options of the replay.
        out: Folder of all results.
    """

    def __init__(self, options: ReplayOptions, out: str) -> None:
        self._options, self._out = options, Path(out)
        self._engines: Any = None

    def replay(self, job: Job) -> BagOutcome:
        """Replay one bag; what goes wrong is in the outcome."""
        import cv2

        from edgesegnet_ros.evaluation.replay.one_bag import replay_bag
        from edgesegnet_ros.evaluation.replay.replay_engines import ReplayEngines

        try:
            if self._engines is None:
                cv2.setNumThreads(1)  # the cores are the engine's
                self._engines = ReplayEngines(self._options)
        except EdgeSegNetError as error:
            return BagOutcome(job.bag, fatal=str(error))
        try:
            return replay_bag(Path(job.bag), self._options, self._engines, self._out, job.key)
        except EdgeSegNetError as error:
            return BagOutcome(job.bag, problems=[Problem('unreadable', job.bag, str(error))])
        except Exception as error:  # a bug must not cost the results of the other bags
            _log.exception('%s: replaying it failed', job.bag)
            reason = f'replaying it failed: {type(error).__name__}: {error}'
            return BagOutcome(job.bag, problems=[Problem('worker_died', job.bag, reason)])

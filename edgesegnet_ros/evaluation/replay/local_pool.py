"""A pool of worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgesegnet_ros.evaluation.replay.one_bag import BagOutcome
from edgesegnet_ros.evaluation.replay.options import ReplayOptions
from edgesegnet_ros.evaluation.replay.worker_pool import BagWorker, Death, Job

# A fork would copy the threads' locks of torch and OpenCV in whatever state they are.
_SPAWN = multiprocessing.get_context('spawn')


@dataclass(eq=False)
class LocalWorker:
    """A worker process and the connection to it."""

    process: Any
    line: Any


class LocalPool:
    """A WorkerPool of processes.

    Args:
        options: Options of the replay.
        out: Folder of all results.
        on_submit: Called with the process id and the job, when it is given one.
    """

    def __init__(
        self,
        options: ReplayOptions,
        out: str,
        on_submit: Callable[[int, Job], None] = lambda pid, job: None,
    ) -> None:
        self._options, self._out, self._on_submit = options, out, on_submit
        self._workers: list[LocalWorker] = []

    def start_worker(self) -> LocalWorker:
        """See WorkerPool."""
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(
            target=_work, args=(theirs, self._options, self._out), daemon=True
        )
        process.start()
        theirs.close()
        self._workers.append(LocalWorker(process, ours))
        return self._workers[-1]

    def submit(self, worker: LocalWorker, job: Job) -> None:
        """See WorkerPool."""
        try:
            worker.line.send(job)
        except OSError:  # it has died: `wait` will tell
            return
        self._on_submit(worker.process.pid, job)

    def wait(self, workers: list[LocalWorker]) -> list[tuple[LocalWorker, BagOutcome | Death]]:
        """See WorkerPool."""
        by_line = {worker.line: worker for worker in workers}
        finished: list[tuple[LocalWorker, BagOutcome | Death]] = []
        for line in multiprocessing.connection.wait(list(by_line)):
            worker = by_line[line]
            try:
                finished.append((worker, worker.line.recv()))
            except (EOFError, OSError):
                worker.process.join()
                worker.line.close()
                self._workers.remove(worker)
                finished.append((worker, Death(_cause(worker.process.exitcode))))
        return finished

    def shutdown(self) -> None:
        """See WorkerPool."""
        for worker in self._workers:
            worker.line.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
        self._workers = []


def _cause(status: int | None) -> str:
    """The cause of a process's end, from its exit status."""
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        hint = ', perhaps because memory ran out' if name == 'SIGKILL' else ''
        return f'killed by {name}{hint}'
    return f'exit status {status}'


def _work(line: Any, options: ReplayOptions, out: str) -> None:
    # Ctrl-C reaches the whole group; the parent ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = BagWorker(options, out)
    while True:
        try:
            job = line.recv()
        except EOFError:
            return
        line.send(worker.replay(job))

"""A pool of workers as actors of a Ray cluster, or of a local Ray.

Bags and results are on a file system that every node sees under the same path, and
edgesegnet_ros is installed on each.
"""

from __future__ import annotations

from typing import Any

from edgesegnet_ros.engines import cpu
from edgesegnet_ros.evaluation.replay.one_bag import BagOutcome
from edgesegnet_ros.evaluation.replay.options import ReplayOptions
from edgesegnet_ros.evaluation.replay.result import ReplayError
from edgesegnet_ros.evaluation.replay.worker_pool import BagWorker, Death, Job
from edgesegnet_ros.extras import need

LOCAL = 'local'


def connect(address: str) -> int:
    """Join a cluster, or start one on this machine; returns the CPUs that it has.

    Args:
        address: `local`, `auto`, or of the head, such as `10.0.0.1:6379` or `ray://host:10001`.

    Raises:
        MissingExtra: Ray is not installed.
        ReplayError: There is no such cluster.
    """
    need('cluster', ['ray'], '--ray')
    import ray

    try:
        if address == LOCAL:
            ray.init(
                num_cpus=cpu.cores(),
                include_dashboard=False,
                log_to_driver=False,
                configure_logging=False,
            )
        else:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ReplayError(
            f'--ray {address}: no cluster answers there ({error}); `local` starts one here'
        ) from error
    return max(1, int(ray.cluster_resources().get('CPU', 1)))


def disconnect() -> None:
    """Leave the cluster; end it, if it was started here."""
    import ray

    ray.shutdown()


class RayPool:
    """A WorkerPool of actors.

    Args:
        options: Options of the replay.
        out: Folder of all results, which every node sees.
        threads: CPUs of each.
    """

    def __init__(self, options: ReplayOptions, out: str, threads: int) -> None:
        import ray

        self._ray = ray
        self._actor = ray.remote(num_cpus=threads, max_restarts=0)(BagWorker)
        self._arguments = (options, out)
        self._actors: list[Any] = []
        self._answers: dict[Any, Any] = {}

    def start_worker(self) -> Any:
        """See WorkerPool."""
        self._actors.append(self._actor.remote(*self._arguments))
        return self._actors[-1]

    def submit(self, worker: Any, job: Job) -> None:
        """See WorkerPool."""
        self._answers[worker] = worker.replay.remote(job)

    def wait(self, workers: list[Any]) -> list[tuple[Any, BagOutcome | Death]]:
        """See WorkerPool."""
        by_answer = {self._answers[worker]: worker for worker in workers}
        ready, _ = self._ray.wait(list(by_answer), num_returns=1)
        finished: list[tuple[Any, BagOutcome | Death]] = []
        for answer in ready:
            worker = by_answer[answer]
            try:
                finished.append((worker, self._ray.get(answer)))
            except self._ray.exceptions.RayActorError as error:
                finished.append((worker, Death(str(error).strip().partition('\n')[0])))
        return finished

    def shutdown(self) -> None:
        """See WorkerPool."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []

"""The number of CPU threads of an engine if several segmentation nodes share a machine.

Waiting threads of OpenMP spin for a while, which is fast as long as each thread has a core. Two
torch nodes with two threads each on two cores took 350 to 700 ms for a frame that takes
34 ms alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Tuple

NODE = 'segmentation_node'
_MODULE = 'edgesegnet_ros.node.segmentation_node'


def wait_passively() -> None:
    """Let waiting threads of OpenMP sleep; call this before torch is loaded.

    A value that is already set in the environment is kept.
    """
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')


def other_nodes(proc: Path = Path('/proc')) -> int:
    """How many other processes on this machine run the segmentation node.

    Args:
        proc: The process file system, which does not show processes of other containers.
    """
    found = 0
    for folder in proc.glob('[0-9]*'):
        if int(folder.name) == os.getpid():
            continue
        try:
            words = (folder / 'cmdline').read_bytes().split(b'\0')[:4]
        except OSError:  # the process has ended
            continue
        texts = [word.decode(errors='replace') for word in words]
        started = any(Path(text).name == NODE for text in texts[:2])
        found += started or texts[1:3] == ['-m', _MODULE]
    return found


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def share(num_threads: int, others: int, of: int) -> int:
    """The number of threads for an engine: that of the user, or an equal share of the cores.

    Args:
        num_threads: Value of the parameter; 0 for a share of the cores.
        others: Number of other segmentation nodes on the machine.
        of: Number of cores.

    Returns:
        0 for all cores.
    """
    if num_threads or not others:
        return num_threads
    return max(1, of // (1 + others))


def share_of_this_node(num_threads: int) -> Tuple[int, str]:
    """The number of threads for an engine, considering the other nodes that run now.

    Args:
        num_threads: Value of the parameter; 0 for a share of the cores.

    Returns:
        The number, and a sentence about why it differs from the parameter; empty if it does not.
    """
    others, of = other_nodes(), cores()
    shared = share(num_threads, others, of)
    if shared == num_threads:
        return shared, ''
    return shared, (
        f'{others} more segmentation nodes on this machine: this one uses {shared} of {of} cores '
        '(num_threads changes that)'
    )

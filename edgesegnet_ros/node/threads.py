"""CPU threads of an engine beside other nodes of its kind on the same machine.

OpenMP's threads spin for a while when they wait, which is fast as long as each has a core of its
own. Two torch nodes with two threads each on two cores took 350 to 700 ms for a frame that takes
34 ms alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Tuple

NODE = 'segmentation_node'
_MODULE = 'edgesegnet_ros.node.segmentation_node'


def wait_passively() -> None:
    """Let OpenMP's threads sleep while they wait; must be called before torch is loaded.

    A value that the environment has already is kept.
    """
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')


def other_nodes(proc: Path = Path('/proc')) -> int:
    """How many other processes on this machine run the segmentation node.

    Args:
        proc: The process file system. Processes of other containers are not in it.
    """
    found = 0
    for folder in proc.glob('[0-9]*'):
        if int(folder.name) == os.getpid():
            continue
        try:
            words = (folder / 'cmdline').read_bytes().split(b'\0')[:4]
        except OSError:  # it has ended
            continue
        texts = [word.decode(errors='replace') for word in words]
        started = any(Path(text).name == NODE for text in texts[:2])
        found += started or texts[1:3] == ['-m', _MODULE]
    return found


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # no Linux
        return os.cpu_count() or 1


def share(num_threads: int, others: int, of: int) -> int:
    """Threads for an engine: what the user says, or else an equal share of the cores.

    Args:
        num_threads: The parameter; 0 leaves it to the node.
        others: Nodes of this kind on the machine.
        of: Cores.

    Returns:
        0 for all cores.
    """
    if num_threads or not others:
        return num_threads
    return max(1, of // (1 + others))


def share_of_this_node(num_threads: int) -> Tuple[int, str]:
    """Threads for an engine beside the other nodes that run now, and a sentence on them.

    Args:
        num_threads: The parameter; 0 leaves it to the node.

    Returns:
        The number, and why it is another one than the parameter; empty where it is not.
    """
    others, of = other_nodes(), cores()
    shared = share(num_threads, others, of)
    if shared == num_threads:
        return shared, ''
    return shared, (
        f'{others} more segmentation nodes on this machine: this one uses {shared} of {of} cores '
        '(num_threads changes that)'
    )

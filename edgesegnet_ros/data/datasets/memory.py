"""The free memory of this machine."""

from __future__ import annotations

from pathlib import Path

_MEMINFO = Path('/proc/meminfo')


def available() -> int:
    """Bytes that a process can still allocate without swapping (proc(5)); 0 if unknown."""
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return 0
    sizes = [line.split()[1] for line in lines if line.startswith('MemAvailable:')]
    return int(sizes[0]) * 1024 if sizes else 0

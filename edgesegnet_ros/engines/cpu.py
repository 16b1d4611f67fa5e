"""The number formats that this machine's CPU computes natively."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import FrozenSet

_CPUINFO = Path('/proc/cpuinfo')
_BF16_FLAGS = {'avx512_bf16', 'amx_bf16', 'bf16'}
_FP16_FLAGS = {'avx512_fp16', 'amx_fp16'}
_INT8_FLAGS = {'avx512_vnni', 'avx_vnni', 'amx_int8', 'asimddp', 'i8mm'}
_ENGINE_FLAGS = (
    {
        'sse4_2',
        'avx',
        'avx2',
        'fma',
        'avx512f',
        'asimd',
        'sve',
    }
    | _INT8_FLAGS
    | _BF16_FLAGS
    | _FP16_FLAGS
)
"""Instruction sets that the machine code of an engine depends on."""


def flags(cpuinfo: Path = _CPUINFO) -> FrozenSet[str]:
    """Instruction set flags of the first core, as the Linux kernel names them; none elsewhere."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        name, _, value = line.partition(':')
        if name.strip() in ('flags', 'Features'):
            return frozenset(value.split())
    return frozenset()


def has_bf16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether bf16 is computed natively; where it is not, torch emulates it many times slower."""
    return bool(flags(cpuinfo) & _BF16_FLAGS)


def has_fp16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether fp16 convolutions are computed natively."""
    return bool(flags(cpuinfo) & _FP16_FLAGS)


def has_int8_dot_product(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether products of bytes are summed in 32 bits; older CPUs do it in 16, and overflow."""
    return bool(flags(cpuinfo) & _INT8_FLAGS)


def name(cpuinfo: Path = _CPUINFO) -> str:
    """The CPU's model name."""
    try:
        for line in cpuinfo.read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def target(cpuinfo: Path = _CPUINFO) -> str:
    """The target of an engine for this CPU: its name and the relevant instruction sets."""
    return f'{name(cpuinfo)} ({" ".join(sorted(flags(cpuinfo) & _ENGINE_FLAGS))})'


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""Checks what the machine must have before the set-up: a Python, its headers, a compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

WHEEL_PYTHONS = ((3, 10), (3, 13))
"""First and last CPython that the wheels of ROS 2 are built for."""

PROBE = """
import importlib.util, os, sys, sysconfig
print(*sys.version_info[:2])
print(sys.executable)
print(os.path.isfile(os.path.join(sysconfig.get_paths()['include'], 'Python.h')))
print(importlib.util.find_spec('ensurepip') is not None)
"""


class SetUpError(Exception):
    """Something that the user has to correct; the message says how."""


class Interpreter(NamedTuple):
    """A Python that an environment can be made from.

    Attributes:
        version: Major and minor.
        executable: Its path.
        has_headers: Whether C extensions can be compiled against it.
        has_ensurepip: Whether it can make a virtual environment with pip in it.
    """

    version: tuple[int, int]
    executable: Path
    has_headers: bool
    has_ensurepip: bool

    def __str__(self) -> str:
        """Version and path, for messages."""
        return f'Python {self.version[0]}.{self.version[1]} ({self.executable})'


def probe(command: str) -> Interpreter | None:
    """The properties of an interpreter; None if it does not run."""
    # A name such as python3.12 may be a version manager's shim that runs nothing. Isolated (-I),
    # so that a sourced ROS's PYTHONPATH does not change the answer.
    try:
        result = subprocess.run([command, '-I', '-c', PROBE], capture_output=True, text=True)
    except OSError:
        return None
    if result.returncode:
        return None
    version, executable, headers, ensurepip = result.stdout.splitlines()
    major, minor = version.split()
    return Interpreter(
        (int(major), int(minor)), Path(executable), headers == 'True', ensurepip == 'True'
    )


def find_python(asked: str | None, any_version: bool = False) -> Interpreter:
    """The interpreter for the environment.

    Args:
        asked: The user's choice (`PYTHON=…`), or None.
        any_version: Whether versions without wheels are allowed, as they are where ROS is sourced.

    Raises:
        SetUpError: No interpreter is suitable.
    """
    first, last = WHEEL_PYTHONS
    names = [asked] if asked else ['python3', *(f'python3.{n}' for n in range(last[1], 9, -1))]
    found = [python for python in map(probe, names) if python]
    fitting = [python for python in found if any_version or first <= python.version <= last]
    complete = [python for python in fitting if python.has_headers and python.has_ensurepip]
    if fitting:
        return (complete or fitting)[0]
    seen = ', '.join(dict.fromkeys(map(str, found))) or 'none'
    raise SetUpError(
        f'the wheels of ROS 2 need CPython {first[0]}.{first[1]} to {last[0]}.{last[1]}; '
        f'{"PYTHON=" + asked + " is" if asked else "on PATH there is"} {seen}. Install one of '
        'them and name it with PYTHON=/path/to/python3.'
    )


def check_tools(python: Interpreter) -> None:
    """Check that messages can be compiled.

    Raises:
        SetUpError: Something is missing; the message has the one line that installs it.
    """
    version = f'python{python.version[0]}.{python.version[1]}'
    # Debian's and Fedora's names for what is missing.
    missing = []
    if not (shutil.which('cc') and shutil.which('c++')):
        missing.append(('a C and C++ compiler', 'g++', 'gcc-c++'))
    if not shutil.which('make'):
        missing.append(('make', 'make', 'make'))
    if not python.has_headers:
        missing.append((f'the headers of {python}', f'{version}-dev', f'{version}-devel'))
    if not python.has_ensurepip:
        missing.append((f'venv for {python}', f'{version}-venv', version))
    if not missing:
        return
    what = ', '.join(name for name, _, _ in missing)
    sudo = '' if os.geteuid() == 0 else 'sudo '
    if shutil.which('apt-get'):
        line = f'{sudo}apt-get update && {sudo}apt-get install -y '
        line += ' '.join(debian for _, debian, _ in missing)
    elif shutil.which('dnf'):
        line = f'{sudo}dnf install -y ' + ' '.join(fedora for _, _, fedora in missing)
    else:
        raise SetUpError(f"missing: {what}. Install it with this system's package manager.")
    raise SetUpError(f'missing: {what}. This line installs it:\n\n    {line}\n')


def check_wheels_exist() -> None:
    """Check that there are wheels for this machine.

    Raises:
        SetUpError: The machine is not x86-64 Linux.
    """
    machine = os.uname().machine
    if sys.platform != 'linux' or machine not in ('x86_64', 'AMD64'):
        raise SetUpError(
            f'the wheels of ROS 2 are built for x86-64 Linux, this is {sys.platform} on '
            f'{machine}. Install ROS 2 (docs.ros.org), source its setup.bash and run make again.'
        )

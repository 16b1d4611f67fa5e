"""colcon build, against the wheels in an environment or against the sourced ROS."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from workspace import Workspace


def colcon_build(
    workspace: Workspace, sources: list[Path], build: Path, install: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run `colcon build` and capture its output.

    Args:
        workspace: Workspace with the ROS 2 to build against.
        sources: Folders of the packages.
        build: Build base; colcon's logs go to its log/.
        install: Install base.
        options: Further options of `colcon build`.
    """
    cmake = ['-DBUILD_TESTING=OFF', '-DCMAKE_BUILD_TYPE=Release']
    # colcon's own flags would wait for the machine's load to fall.
    environment = {**os.environ, 'MAKEFLAGS': f'-j{os.cpu_count() or 1}'}
    if not workspace.sourced:
        cmake.append(f'-DPython3_EXECUTABLE={workspace.python}')
        environment.pop('PYTHONPATH', None)
        environment['PATH'] = f'{workspace.venv / "bin"}{os.pathsep}{environment["PATH"]}'
        for name in ('AMENT_PREFIX_PATH', 'CMAKE_PREFIX_PATH'):
            environment[name] = str(workspace.venv)
    command = ['colcon', '--log-base', str(build / 'log'), 'build']
    command += ['--paths', *map(str, sources), '--build-base', str(build)]
    command += ['--install-base', str(install), *options, '--cmake-args', *cmake]
    return subprocess.run(
        command,
        cwd=build.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

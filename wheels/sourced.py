"""The set-up where a ROS 2 is installed and sourced: an environment on top of it.

Nothing of the system is shadowed: NumPy stays the one that cv_bridge was built for, OpenCV and
YAML stay apt's.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pip_runs
from pip_runs import Progress
from prerequisites import Interpreter, SetUpError, probe
from workspace import ROOT, Workspace, digest

FROM_THE_SYSTEM = ('numpy', 'opencv-python-headless', 'pyyaml', 'torch')

# Import name: Debian package; {distro} is the sourced distribution.
SYSTEM_MODULES = {
    'cv2': 'python3-opencv',
    'diagnostic_msgs': 'ros-{distro}-diagnostic-msgs',
    'lifecycle_msgs': 'ros-{distro}-lifecycle-msgs',
    'numpy': 'python3-numpy',
    'sensor_msgs': 'ros-{distro}-sensor-msgs',
    'vision_msgs': 'ros-{distro}-vision-msgs',
    'yaml': 'python3-yaml',
}
FIND_MODULES = """
import importlib.util, sys
print(*[name for name in sys.argv[1:] if importlib.util.find_spec(name) is None])
"""
REQUIREMENTS = """
import importlib.metadata, sys
from pip._vendor.packaging.requirements import Requirement
for text in importlib.metadata.requires('edgesegnet_ros'):
    one = Requirement(text)
    wanted = not one.marker or any(one.marker.evaluate({'extra': extra}) for extra in sys.argv[2:])
    if wanted and one.name.lower() not in sys.argv[1].split(','):
        print(one.name, one.specifier, sep='')
"""


def find_ros_python(asked: str | None) -> Interpreter:
    """The interpreter of the sourced ROS.

    Args:
        asked: The user's choice (`PYTHON=…`), or None.

    Raises:
        SetUpError: It cannot import rclpy.
    """
    names = [asked] if asked else ['python3', '/usr/bin/python3']
    for name in names:
        imported = shutil.which(name) and subprocess.run(
            [name, '-c', 'import rclpy'], capture_output=True
        )
        python = probe(name)
        if imported and imported.returncode == 0 and python:
            return python
    raise SetUpError(
        f'ROS 2 {os.environ["ROS_DISTRO"]} is sourced, but {" and ".join(names)} cannot import '
        "rclpy. Leave conda's or pyenv's environment, or name the Python that this ROS was built "
        'for with PYTHON=/usr/bin/python3.'
    )


def install_package(workspace: Workspace, extras: tuple[str, ...]) -> None:
    """Install this package in place, with only those packages that the system does not have.

    Raises:
        SetUpError: The system lacks something; the message has the line that installs it.
    """
    wanted = digest(ROOT / 'setup.py', ROOT / 'wheels/sourced.py', extras)
    if workspace.stamp('package') == wanted:
        return
    progress = Progress(f'[2/4] what ROS 2 {workspace.distribution} has')
    check_system(workspace)
    progress.done()
    progress = Progress('[3/4] torch and the tools of a workstation')
    pip_runs.install(workspace.python, ['--no-deps', '-e', str(ROOT)], progress, workspace.log)
    listed = workspace.run_python(REQUIREMENTS, ','.join(FROM_THE_SYSTEM), *extras)
    needed = listed.stdout.splitlines()
    if not workspace.runs('import torch'):
        needed.append(workspace.torch_spec)
    numpy = workspace.run_python('import numpy; print(numpy.__version__)').stdout.strip()
    constraints = workspace.venv / 'constraints.txt'
    constraints.write_text(f'numpy=={numpy}\n')
    pip_runs.install(workspace.python, [*needed, '-c', str(constraints)], progress, workspace.log)
    workspace.set_stamp('extras', ','.join(extras))
    workspace.set_stamp('package', wanted)
    progress.done()


def check_system(workspace: Workspace) -> None:
    """Check that the system has the packages that pip must not install.

    Raises:
        SetUpError: A package is missing; the message has the line that installs it.
    """
    missing = workspace.run_python(FIND_MODULES, *SYSTEM_MODULES).stdout.split()
    packages = [SYSTEM_MODULES[name] for name in missing]
    if not shutil.which('colcon'):
        packages.append('python3-colcon-common-extensions')
    if packages:
        line = ' '.join(packages).format(distro=workspace.distribution)
        raise SetUpError(
            f'ROS 2 {workspace.distribution} is sourced, but packages that this package requires '
            f'are missing. This line installs them:\n\n    sudo apt-get install -y {line}\n'
        )


def write_command(workspace: Workspace) -> None:
    """Make `.venv/bin/edgesegnet` source the workspace first, because it needs the messages."""
    command = workspace.venv / 'bin/edgesegnet'
    command.write_text(
        '#!/usr/bin/env bash\n'
        f'. "{workspace.install}/setup.bash"\n'
        f'exec "{workspace.python}" -m edgesegnet_ros.cli "$@"\n'
    )
    command.chmod(0o755)

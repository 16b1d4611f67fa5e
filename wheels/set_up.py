"""Make the environment for `make demo` and `make test`; quick if it exists already.

Without ROS on the machine: a virtual environment with ROS 2 from wheels, and the messages of this
package (and the two of vision_msgs that it uses) built with colcon and linked into it, so that its
Python finds everything with nothing sourced. With ROS sourced: sourced.py.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pip_runs
import sourced
from colcon_build import colcon_build
from extras import SETS, wanted_extras
from pip_runs import Progress
from prerequisites import (
    SetUpError,
    check_tools,
    check_wheels_exist,
    find_python,
    probe,
)
from workspace import ROOT, Workspace, digest

REQUIREMENTS = ROOT / 'wheels/requirements'

BUILD_FARM_FOLDERS = """
import pathlib, re, sys, sysconfig
import numpy
here = [
    (r'/opt/python/cp\\d+-cp\\d+/lib/python3\\.\\d+/site-packages/numpy/(_core|core)/include',
     numpy.get_include()),
    (r'/opt/python/cp\\d+-cp\\d+/include/python3\\.\\d+', sysconfig.get_paths()['include']),
]
for file in pathlib.Path(sys.prefix, 'share').rglob('*.cmake'):
    text = file.read_text()
    new = text
    for there, folder in here:
        new = re.sub(there, lambda _: folder, new)
    if new != text:
        file.write_text(new)
"""
"""CMake targets in the wheels name two folders of the machine that built them."""


def make_environment(workspace: Workspace, asked: str | None) -> None:
    """Create the virtual environment, unless there is a suitable one.

    Args:
        workspace: Workspace of the environment.
        asked: The interpreter that the user named, or None; an environment that is there then
            keeps its own, whatever is first on PATH by now.
    """
    wanted = digest(workspace.kind, ROOT)
    there = workspace.stamp('environment')
    version = workspace.stamp('python')
    if there == wanted and workspace.python.exists():
        named = probe(asked) if asked else None
        if not asked or (named and str(named.version) == version):
            return
    if workspace.sourced:
        python = sourced.find_ros_python(asked)
    else:
        check_wheels_exist()
        python = find_python(asked)
    check_tools(python)
    progress = Progress(f'[1/4] {workspace.venv.name} from {python}')
    if there:
        progress.note(
            'the environment was made for another kind of ROS: creating '
            f'{workspace.venv.name} again'
        )
        shutil.rmtree(workspace.venv)
    for folder in (workspace.build, workspace.install):
        shutil.rmtree(folder, ignore_errors=True)
    # An environment that the user made is kept, with its torch.
    if not workspace.runs(f'import pip, sys; sys.exit(sys.version_info[:2] != {python.version})'):
        options = ['--clear'] + (['--system-site-packages'] if workspace.sourced else [])
        made = subprocess.run(
            [str(python.executable), '-m', 'venv', *options, str(workspace.venv)],
            capture_output=True,
            text=True,
        )
        if made.returncode:
            raise SetUpError(
                f'{python} could not make {workspace.venv}:\n{made.stdout}{made.stderr}'
            )
    workspace.set_stamp('python', str(python.version))
    workspace.set_stamp('environment', wanted)
    progress.done()


def install_wheels(workspace: Workspace) -> None:
    """Install ROS 2 and the build tools for messages, and correct the paths in the CMake files."""
    files = [
        REQUIREMENTS / f'{workspace.distribution}.txt',
        REQUIREMENTS / 'build.txt',
        REQUIREMENTS / 'constraints.txt',
    ]
    wanted = digest(*files)
    if workspace.stamp('wheels') == wanted:
        return
    progress = Progress(f'[2/4] ROS 2 {workspace.distribution.capitalize()} from wheels')
    pip_runs.install(
        workspace.python,
        ['-r', str(files[0]), '-r', str(files[1]), '-c', str(files[2])],
        progress,
        workspace.log,
    )
    mended = workspace.run_python(BUILD_FARM_FOLDERS)
    if mended.returncode:
        raise SetUpError(
            f'the paths in the CMake files of the wheels could not be corrected:\n{mended.stderr}'
        )
    workspace.set_stamp('wheels', wanted)
    progress.done()


def install_package(workspace: Workspace, extras: tuple[str, ...]) -> None:
    """Install this package in place, with torch and what the extras name."""
    files = [ROOT / 'setup.py', REQUIREMENTS / 'constraints.txt']
    wanted = digest(*files, extras)
    if workspace.stamp('package') == wanted:
        return
    progress = Progress('[3/4] torch, OpenCV and the tools of a workstation')
    pip_runs.install(
        workspace.python,
        [
            *torch_to_install(workspace, progress),
            '--no-build-isolation',
            '-e',
            f'{ROOT}[{",".join(extras)}]',
            '-c',
            str(files[1]),
        ],
        progress,
        workspace.log,
    )
    workspace.set_stamp('extras', ','.join(extras))
    workspace.set_stamp('package', wanted)
    progress.done()


def torch_to_install(workspace: Workspace, progress: Progress) -> list[str]:
    """The requirement for torch; nothing if a torch is installed already."""
    there = workspace.run_python('from importlib.metadata import version; print(version("torch"))')
    if there.returncode == 0:
        progress.note(f'keeping the installed torch {there.stdout.strip()}')
        return []
    return [workspace.torch_spec]


def build_messages(workspace: Workspace) -> None:
    """Build this package with colcon, and vision_msgs if it is not installed."""
    wanted = workspace.build_digest()
    if workspace.stamp('messages') == wanted and workspace.install.is_dir():
        return
    progress = Progress(f'[4/4] colcon build into {workspace.install.name}/')
    sources = [source_folder(workspace)]
    if not workspace.sourced:
        sources.append(ROOT / 'wheels/vision_msgs')
    built = colcon_build(
        workspace,
        sources,
        workspace.build,
        workspace.install,
        '--merge-install',
        '--symlink-install',
    )
    with workspace.log.open('a') as log:
        log.write(built.stdout)
    if built.returncode:
        raise SetUpError(
            f'colcon could not build the messages (its whole output: {workspace.log}):\n'
            f'{built.stdout[-3000:]}'
        )
    if workspace.sourced:
        sourced.write_command(workspace)
    else:
        link_messages(workspace)
    workspace.set_stamp('messages', wanted)
    progress.done()


def source_folder(workspace: Workspace) -> Path:
    """A link to the checkout, so that the environment is not below the source folder.

    CMake refuses to export targets whose include folders (here NumPy's, in .venv) are part of the
    source folder.
    """
    source = workspace.build / 'source/edgesegnet_ros'
    source.parent.mkdir(parents=True, exist_ok=True)
    if not source.is_symlink():
        source.symlink_to(ROOT)
    return source


def link_messages(workspace: Workspace) -> None:
    """Make what colcon installed importable in the environment.

    The wheels' loader looks for type support libraries in the environment's lib/, so links to
    these are created there. A .pth file names the folder of the Python modules, after the
    checkout.
    """
    libraries = workspace.venv / 'lib'
    for link in libraries.glob('*.so'):
        if link.is_symlink() and workspace.install in Path(os.readlink(link)).parents:
            link.unlink()
    for library in (workspace.install / 'lib').glob('*.so'):
        (libraries / library.name).symlink_to(library)
    for modules in workspace.install.glob('lib/python3*/site-packages'):
        beside = libraries / modules.parent.name / 'site-packages/edgesegnet_ros_messages.pth'
        beside.write_text(f'{modules}\n')


def main() -> int:
    """Set up what is missing, or tell the user what to do first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--ros',
        default='kilted',
        choices=('kilted', 'jazzy'),
        help='ROS 2 distribution to install from wheels; a sourced ROS is used instead',
    )
    parser.add_argument(
        '--extras', default='commands', choices=SETS, help='set of extras to install'
    )
    parser.add_argument('--python', help='interpreter from which the environment is made')
    arguments = parser.parse_args()
    workspace = Workspace.choose(arguments.ros)
    # A lock, because two set-ups at once would disturb each other.
    lock = os.open(ROOT / 'wheels', os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        make_environment(workspace, arguments.python)
        extras = wanted_extras(workspace, arguments.extras)
        if workspace.sourced:
            sourced.install_package(workspace, extras)
        else:
            install_wheels(workspace)
            install_package(workspace, extras)
        build_messages(workspace)
    except SetUpError as error:
        print(f'\nset-up: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('set-up: interrupted; run it again to continue', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())

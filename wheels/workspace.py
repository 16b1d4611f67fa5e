"""The folders of a set-up, and the stamps that record which steps are up to date."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TORCH_SPEC = 'torch==2.13.0'


class Workspace(NamedTuple):
    """One environment with its colcon folders.

    Attributes:
        distribution: ROS 2 distribution, such as kilted.
        sourced: Whether that ROS is installed and sourced, instead of from wheels.
        venv: The virtual environment.
        build: colcon's build base.
        install: colcon's install base, merged.
        torch_spec: Requirement for torch, if none is installed.
    """

    distribution: str
    sourced: bool
    venv: Path
    build: Path
    install: Path
    torch_spec: str

    @classmethod
    def choose(cls, distribution: str) -> Workspace:
        """The workspace of the sourced ROS, or else of a distribution from wheels."""
        there = os.environ.get('ROS_DISTRO')
        suffix = '' if there or distribution == 'kilted' else f'-{distribution}'
        return cls(
            there or distribution,
            bool(there),
            ROOT / f'.venv{suffix}',
            ROOT / f'build{suffix}',
            ROOT / f'install{suffix}',
            os.environ.get('TORCH_SPEC') or TORCH_SPEC,
        )

    @classmethod
    def of_environment(cls, venv: Path) -> Workspace:
        """The workspace of this environment."""
        return cls.choose('jazzy' if venv.name == '.venv-jazzy' else 'kilted')._replace(venv=venv)

    @property
    def kind(self) -> str:
        """The kind of workspace; kinds must not be mixed."""
        return f'{self.distribution} {"sourced" if self.sourced else "wheels"}'

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.venv / 'bin/python'

    @property
    def log(self) -> Path:
        """The log with all output of pip and colcon."""
        return self.venv / 'set-up.log'

    def run_python(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run code in the environment's interpreter, output captured."""
        return subprocess.run(
            [str(self.python), '-c', code, *arguments], capture_output=True, text=True
        )

    def runs(self, code: str) -> bool:
        """Whether the environment's interpreter is there and the code succeeds in it."""
        return self.python.exists() and self.run_python(code).returncode == 0

    def build_digest(self) -> str:
        """Digest of the inputs of the colcon build.

        The Python modules and the shipped files are linked, not copied: their names count, so
        that new ones get their link, and their content does not.
        """
        content = [ROOT / 'CMakeLists.txt', ROOT / 'package.xml', *files_in('msg')]
        content += files_in('wheels/vision_msgs')
        names = [
            path.relative_to(ROOT)
            for folder in ('edgesegnet_ros', 'scripts', 'config', 'launch', 'models', 'rviz')
            for path in files_in(folder)
        ]
        return digest(self.stamp('python'), self.stamp('wheels'), *content, *map(str, names))

    def stamp(self, step: str) -> str | None:
        """The digest with which a step was done last."""
        return self._stamps().get(step)

    def set_stamp(self, step: str, value: str) -> None:
        """Record that a step is done."""
        stamps = {**self._stamps(), step: value}
        (self.venv / 'set-up.json').write_text(json.dumps(stamps, indent=2) + '\n')

    def _stamps(self) -> dict[str, str]:
        try:
            return json.loads((self.venv / 'set-up.json').read_text())
        except (OSError, ValueError):
            return {}


def files_in(folder: str) -> list[Path]:
    """All files below a folder of the checkout, sorted, without caches."""
    return sorted(
        path
        for path in (ROOT / folder).rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    )


def digest(*parts: object) -> str:
    """SHA-256 over values, and over the content of those that are files."""
    total = hashlib.sha256()
    for part in parts:
        total.update(repr(str(part)).encode())
        if isinstance(part, Path) and part.is_file():
            total.update(part.read_bytes())
    return total.hexdigest()

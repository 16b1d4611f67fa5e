"""Runs pip with its output in a log, and prints only the progress."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

from prerequisites import SetUpError

WORTH_A_LINE_MB = 20.0
SIZE_MB = {'kB': 1e-3, 'MB': 1.0, 'GB': 1e3}


class Progress:
    """One line per step; on a terminal the current action is shown behind it and overwritten."""

    def __init__(self, step: str):
        self.started = time.monotonic()
        self.live = sys.stdout.isatty()
        print(step, flush=True)

    def show(self, text: str) -> None:
        """Show a passing state, on a terminal only."""
        if self.live:
            print(f'\r\x1b[K      {text[:90]}', end='', flush=True)

    def note(self, text: str) -> None:
        """Print a line that stays."""
        print(f'{self._clear()}      {text}', flush=True)

    def done(self, text: str = 'done') -> None:
        """End the step, and print how long it took."""
        print(f'{self._clear()}      {text} ({time.monotonic() - self.started:.0f} s)', flush=True)

    def _clear(self) -> str:
        return '\r\x1b[K' if self.live else ''


def install(python: Path, arguments: list[str], progress: Progress, log: Path) -> None:
    """Run `python -m pip install`, under the user's own pip configuration.

    Args:
        python: The environment's interpreter.
        arguments: Requirements and options.
        progress: Reports the progress.
        log: The output of pip is appended to this file.

    Raises:
        SetUpError: pip failed; the message has its last lines.
    """
    command = [str(python), '-m', 'pip', 'install', '--progress-bar', 'off', *arguments]
    command += ['--disable-pip-version-check']
    said: list[str] = []
    with log.open('a') as everything:
        print('+', *command, file=everything, flush=True)
        pip = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in pip.stdout or ():
            everything.write(line)
            said.append(line.rstrip())
            _report(line.strip(), progress)
        pip.wait()
    if pip.returncode:
        said = [f'    {line}' for line in said if not line.startswith('WARNING')]
        raise SetUpError(
            f'pip could not install this (its whole output: {log}):\n' + '\n'.join(said[-20:])
        )


def _report(line: str, progress: Progress) -> None:
    download = re.match(r'Downloading (?:.*/)?(\S+?)(?:\.metadata)? \(([\d.]+) (kB|MB|GB)\)', line)
    if download:
        name, size, unit = download[1], download[2], download[3]
        if float(size) * SIZE_MB[unit] >= WORTH_A_LINE_MB:
            progress.note(f'downloading {name} ({size} {unit})')
        else:
            progress.show(f'downloading {name}')
    elif line.startswith('Collecting '):
        progress.show(f'finding {line.split()[1]}')
    elif line.startswith('Installing collected packages:'):
        progress.note(f'installing {line.count(",") + 1} packages')

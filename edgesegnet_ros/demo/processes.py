"""Runs the executables of the node as child processes, which end with the command."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Callable, Dict, List, Optional, Type

from edgesegnet_ros.child_process import end_with_parent

GRACE_S = 5.0
"""Time in s that a process has to end after SIGINT, and again after SIGTERM."""
LAST_LINES = 12


class ProcessFailed(Exception):
    """A process ended unexpectedly; the message has its last log lines."""


class Child:
    """One process in its own process group.

    Attributes:
        name: Name in messages and of the log file.
        log: Log file of its standard error, and of its standard output unless that is piped.
        process: The process.
    """

    def __init__(
        self, name: str, command: List[str], log: Path, environment: Dict[str, str], piped: bool
    ) -> None:
        self.name = name
        self.log = log
        with log.open('wb') as file:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else file,
                stderr=file,
                env=environment,
                # A new group, because this process forwards Ctrl-C of the terminal.
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    def last_lines(self, count: int = LAST_LINES) -> List[str]:
        """The last lines of the log."""
        said = self.log.read_text(errors='replace').splitlines()
        return [line for line in said if line.strip()][-count:]

    def failed(self, what: str) -> ProcessFailed:
        """The error for an unexpected end of the process."""
        tail = '\n'.join(f'    {line}' for line in self.last_lines()) or '    (nothing)'
        return ProcessFailed(f'{self.name} {what}. Its last lines ({self.log}):\n{tail}')

    def end(self) -> int:
        """Stop the group: SIGINT, then SIGTERM, then SIGKILL; returns the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if self.process.poll() is None:
                self._signal(number)
                try:
                    self.process.wait(GRACE_S)
                except subprocess.TimeoutExpired:
                    continue
        # Even if the process has ended, others may remain in its group.
        self._signal(signal.SIGKILL)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return self.process.wait()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass


class Processes:
    """A context manager that starts child processes and ends all of them on exit.

    Args:
        logs: Folder of the log files.
        environment: Environment of the children.
    """

    def __init__(self, logs: Path, environment: Dict[str, str]) -> None:
        self._logs = logs
        self._environment = environment
        self._children: List[Child] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        # A second Ctrl-C must not interrupt this.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for child in self._children:
                child.end()
        finally:
            signal.signal(signal.SIGINT, before)

    def start(
        self, executable: str, arguments: List[str], name: str = '', piped: bool = False
    ) -> Child:
        """Start one of the executables of the node.

        Args:
            executable: A module of edgesegnet_ros.node.
            arguments: Arguments of its command line.
            name: Name in messages and of the log; by default that of the executable.
            piped: Whether its standard output is read by `follow`.
        """
        name = name or executable
        command = [sys.executable, '-m', f'edgesegnet_ros.node.{executable}', *arguments]
        return self.start_command(name, command, piped=piped)

    def start_command(
        self,
        name: str,
        command: List[str],
        environment: Optional[Dict[str, str]] = None,
        piped: bool = False,
    ) -> Child:
        """Start any program.

        Args:
            name: Name in messages and of the log.
            command: Command line.
            environment: Environment; by default that of all others.
            piped: Whether its standard output is read by `follow`.
        """
        child = Child(
            name, command, self._logs / f'{name}.log', environment or self._environment, piped
        )
        self._children.append(child)
        return child

    def follow(
        self,
        child: Child,
        on_line: Callable[[str], None] = lambda line: None,
        about: Optional[Child] = None,
    ) -> None:
        """Wait until a child process ends with status 0 while all others run.

        Args:
            child: The process that ends.
            on_line: Called with each line of its standard output, if that is piped.
            about: The process whose log has the reason for a failure, if not this one.

        Raises:
            ProcessFailed: It ended with another status, or another process ended.
        """
        output = child.process.stdout
        rest = b''
        with selectors.DefaultSelector() as selector:
            if output is not None:
                selector.register(output, selectors.EVENT_READ)
            while True:
                ended = child.process.poll() is not None
                if output is None:
                    time.sleep(0 if ended else 0.05)
                elif selector.select(0.1):
                    read = os.read(output.fileno(), 65536)
                    *lines, rest = (rest + read).split(b'\n')
                    for line in lines:
                        on_line(line.decode())
                    # The rest of the pipe is read before the end counts.
                    ended = not read and child.process.poll() is not None
                    if not read and not ended:
                        time.sleep(0.05)
                if ended:
                    break
                self._check_others(child)
        self._children.remove(child)
        status = child.end()
        if status != 0:
            # The log of the process that it waited for has the reason.
            self._check_others(child)
            if about is not None:
                raise about.failed('failed: ' + ' '.join(child.last_lines(1)))
            raise child.failed(f'ended with status {status}')

    def end(self, child: Child) -> None:
        """Stop one child process with SIGINT.

        Raises:
            ProcessFailed: It ended with another status than 0.
        """
        self._children.remove(child)
        status = child.end()
        if status != 0:
            raise child.failed(f'ended with status {status}')

    def _check_others(self, child: Child) -> None:
        for other in self._children:
            status = other.process.poll()
            if other is not child and status is not None:
                raise other.failed(
                    f'was killed by signal {-status}'
                    if status < 0
                    else f'ended early, with status {status}'
                )

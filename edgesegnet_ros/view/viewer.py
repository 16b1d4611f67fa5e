"""The Rerun viewer as a separate process: a window, or a page for browsers."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, NamedTuple
from urllib.parse import quote

from edgesegnet_ros.errors import EdgeSegNetError

LOCAL = '127.0.0.1'
START_S = 30.0
"""Time in s after which the viewer must listen; on an idle machine it takes a second."""


class ViewerError(EdgeSegNetError):
    """The viewer cannot be started here."""


class Viewer(NamedTuple):
    """How to start a viewer, and how to reach it.

    Attributes:
        command: Command line of the viewer.
        data_url: URL to which recordings send their data.
        page: URL for a browser; empty for a window.
        ports: TCP ports on which the viewer listens.
        address: Address of these ports on this machine.
    """

    command: List[str]
    data_url: str
    page: str
    ports: List[int]
    address: str


def has_display() -> bool:
    """Whether a window can be opened: X11 or Wayland on Linux; elsewhere always."""
    if not sys.platform.startswith('linux'):
        return True
    return bool(os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'))


def window() -> Viewer:
    """A viewer in a window.

    Raises:
        ViewerError: There is no display.
    """
    if not has_display():
        raise ViewerError(
            'there is no display to open a window on: give --web for a page in a browser, or '
            '--save FILE.rrd to record'
        )
    port = free_port()
    command = [_executable(), '--bind', LOCAL, '--port', str(port), '--expect-data-soon']
    return Viewer(command, _data_url(LOCAL, port), '', [port], LOCAL)


def web(bind: str, port: int) -> Viewer:
    """A viewer as a web page.

    Args:
        bind: Address of the network interface to listen on; 0.0.0.0 for all.
        port: Port of the page. The data use the next port.

    Raises:
        ViewerError: A port is in use, or the address does not belong to this machine.
    """
    for number in (port, port + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((bind, number))
            except (OSError, OverflowError) as error:
                raise ViewerError(
                    f'--bind {bind} --port {port}: cannot listen on port {number}: '
                    f'{getattr(error, "strerror", None) or error}'
                ) from None
    everywhere = bind == '0.0.0.0'
    host = socket.gethostname() if everywhere else bind
    command = [
        *(_executable(), '--serve-web', '--bind', bind),
        *('--web-viewer-port', str(port), '--port', str(port + 1)),
        *('--cors-allow-origin', f'http://{"*" if everywhere else host}:{port}'),
    ]
    page = f'http://{host}:{port}/?url={quote(_data_url(host, port + 1), safe="")}'
    here = LOCAL if everywhere else bind
    return Viewer(command, _data_url(here, port + 1), page, [port, port + 1], here)


def environment(folder: Path) -> Dict[str, str]:
    """The environment of a viewer that does not send usage statistics.

    Rerun sends them unless its configuration file disables that.

    Args:
        folder: Folder for that configuration; the configuration of the user is not changed.

    Raises:
        ViewerError: The viewer cannot be run.
    """
    result = {**os.environ, 'XDG_CONFIG_HOME': str(folder), 'RUST_LOG': 'warn'}
    command = [_executable(), 'analytics', 'disable']
    try:
        done = subprocess.run(command, env=result, capture_output=True, text=True, timeout=START_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ViewerError(f'{command[0]} does not run: {error}') from None
    if done.returncode:
        raise ViewerError(f'{command[0]} does not run: {done.stderr.strip()}')
    return result


def wait_until_ready(viewer: Viewer, process: subprocess.Popen) -> bool:
    """Wait until the viewer listens; returns False if its process ends or the time is up."""
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        if all(_listens(viewer.address, port) for port in viewer.ports):
            return True
        time.sleep(0.05)
    return False


def free_port() -> int:
    """A free TCP port."""
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return int(probe.getsockname()[1])


def _listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((address, port)) == 0


def _data_url(host: str, port: int) -> str:
    return f'rerun+http://{host}:{port}/proxy'


def _executable() -> str:
    found = importlib.util.find_spec('rerun_cli')
    if found is None or not found.origin:
        raise ViewerError('rerun-sdk has no viewer here (the module rerun_cli is missing)')
    return str(Path(found.origin).with_name('rerun'))

"""Starts the node: checks its modules, writes a parameter file, and activates it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Dict, Optional

import edgesegnet_ros.errors
from edgesegnet_ros.demo.processes import Child, Processes
from edgesegnet_ros.engines.request import EngineRequest

NODE = '/edgesegnet'
ROS_ARGUMENTS = ['--ros-args', '--disable-external-lib-logs']


class NodeMissing(edgesegnet_ros.errors.EdgeSegNetError):
    """The node cannot be started here."""


def check_node_is_there() -> None:
    """Check that the modules of the node are installed.

    Raises:
        NodeMissing: A module is missing; the message says how to install it.
    """
    for module in ('rclpy', 'edgesegnet_ros.msg'):
        if importlib.util.find_spec(module) is None:
            raise NodeMissing(
                f'the node requires the Python module {module}, which is missing: in a checkout '
                'run `make setup` and then .venv/bin/edgesegnet; with ROS 2 installed, source it '
                'and the workspace (. install/setup.bash)'
            )


def write_parameters(
    path: Path, request: EngineRequest, more: Optional[Dict[str, object]] = None
) -> Path:
    """Write the node's parameter file: unlike the command line, YAML keeps a text a text.

    Args:
        path: Path of the file.
        request: Model, classes and engine.
        more: Further parameters.
    """
    import yaml

    path.write_text(
        yaml.safe_dump(
            {
                '/**': {
                    'ros__parameters': {
                        'model': _absolute(request.model),
                        'classes': _absolute(request.classes),
                        'engine': request.engine,
                        'precision': request.precision,
                        'device': request.device,
                        'input_size': list(request.input_size),
                        'resize_mode': request.resize_mode,
                        **(more or {}),
                    }
                }
            }
        )
    )
    return path


def bring_up(processes: Processes, node: Child, timeout_s: float) -> None:
    """Activate the node and wait until a collector receives its mask.

    Args:
        processes: The processes of the demo.
        node: The node, whose log is shown after a failure.
        timeout_s: Time for all of this.

    Raises:
        ProcessFailed: A process ended, or the node did not become active.
    """
    processes.follow(
        processes.start(
            'graph_probe',
            [
                '--bring-up',
                NODE,
                '--node',
                '/collector',
                '--lifecycle',
                f'{NODE}=active',
                '--publishers',
                '/segmentation/mask=1',
                '--subscribers',
                '/segmentation/mask=1',
                '--timeout',
                str(timeout_s),
                *ROS_ARGUMENTS,
            ],
        ),
        about=node,
    )


def _absolute(name: str) -> str:
    path = Path(name)
    return str(path.resolve()) if path.is_file() else name

"""Bring up one node per camera, each in the camera's namespace, with the CPU divided among them.

    ros2 launch edgesegnet_ros cameras.launch.py cameras:="[front, left, right]" image:=image_raw

starts /front/edgesegnet, which segments /front/image_raw, and so on. All other arguments are those
of edgesegnet.launch.py and apply to every node.
"""

from __future__ import annotations

import os
from pathlib import Path

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from edgesegnet_ros.interface.parameter_table import BY_NAME

BRING_UP = Path(__file__).resolve().parent / 'edgesegnet.launch.py'


def names_of(text):
    """The namespaces that `cameras` names.

    Raises:
        ValueError: It is no list of different names.
    """
    try:
        names = yaml.safe_load(text)
    except yaml.YAMLError:
        names = None
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise ValueError(f'cameras:={text} is refused: expected a list of names: [front, left]')
    names = [name.strip('/') for name in names]
    if len(set(names)) < len(names):
        raise ValueError(f'cameras:={text} is refused: each name must differ from the others')
    return names


def bring_up(context):
    """The bring-up once per camera, each with its share of the cores."""
    names = names_of(LaunchConfiguration('cameras').perform(context))
    namespace = LaunchConfiguration('namespace').perform(context).rstrip('/')
    threads = LaunchConfiguration('num_threads').perform(context)
    share = max(1, len(os.sched_getaffinity(0)) // len(names))
    source = PythonLaunchDescriptionSource(str(BRING_UP))
    return [
        GroupAction(
            [
                IncludeLaunchDescription(
                    source,
                    launch_arguments=[
                        ('namespace', f'{namespace}/{name}' if namespace else name),
                        ('num_threads', threads or str(share)),
                    ],
                )
            ]
        )
        for name in names
    ]


def generate_launch_description():
    """The bring-up's arguments, two of them with another meaning, and the cameras."""
    threads = BY_NAME['num_threads']
    own = [
        DeclareLaunchArgument(
            'cameras', description='Names of the cameras, which are their namespaces: [a, b].'
        ),
        DeclareLaunchArgument(
            'namespace', default_value='', description='Namespace above those of the cameras.'
        ),
        DeclareLaunchArgument(
            'num_threads',
            default_value='',
            description=f'{threads.description} By default each camera gets an equal share of the '
            'cores.',
        ),
    ]
    bring_up_file = PythonLaunchDescriptionSource(str(BRING_UP))
    shared = bring_up_file.get_launch_description(LaunchContext()).get_launch_arguments()
    names = {argument.name for argument in own}
    return LaunchDescription(
        [
            *own,
            *(argument for argument in shared if argument.name not in names),
            OpaqueFunction(function=bring_up),
        ]
    )

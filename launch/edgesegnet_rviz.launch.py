"""Bring the node up and show image, overlay and masks in RViz."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.shipped import DEFAULT_CLASSES

HERE = Path(__file__).resolve().parent
SHIPPED_CONFIG = HERE.parent / 'rviz' / 'edgesegnet.rviz'
GROUPS = 'segmentation/masks/'


def wanted(context):
    """Whether RViz is asked for, in the spelling of any launch file."""
    return IfCondition(LaunchConfiguration('rviz')).evaluate(context)


def check_rviz(context):
    """Refuse to start where RViz is missing, before any process runs.

    Raises:
        RuntimeError: The package is not installed.
    """
    if wanted(context):
        try:
            get_package_prefix('rviz2')
        except PackageNotFoundError:
            distribution = os.environ.get('ROS_DISTRO', '$ROS_DISTRO')
            raise RuntimeError(
                'rviz:=true, but rviz2 is not installed: sudo apt install '
                f'ros-{distribution}-rviz2, or set rviz:=false'
            ) from None


def groups_of(context):
    """Names of the groups of the class file that the node will use."""
    classes = LaunchConfiguration('classes').perform(context)
    if not classes:
        file = Path(LaunchConfiguration('params_file').perform(context)).expanduser()
        for node in (yaml.safe_load(file.read_text()) or {}).values():
            classes = (node or {}).get('ros__parameters', {}).get('classes') or classes
    return list(load_classes(classes or DEFAULT_CLASSES).groups)


def with_groups(config, groups):
    """The shipped configuration, with one image display per group.

    Args:
        config: The file's content; changed in place.
        groups: Names; the first one is shown at the start.
    """
    displays = config['Visualization Manager']['Displays']
    masks = [each for each in displays if each['Topic']['Value'].startswith(GROUPS)]
    index = displays.index(masks[0])
    others = [each for each in displays if each not in masks]
    of_groups = [
        {
            **masks[0],
            'Name': group.replace('_', ' ').capitalize(),
            'Enabled': number == 0,
            'Value': number == 0,
            'Topic': {**masks[0]['Topic'], 'Value': GROUPS + group},
        }
        for number, group in enumerate(groups)
    ]
    config['Visualization Manager']['Displays'] = others[:index] + of_groups + others[index:]
    return config


def start_rviz(context):
    """RViz in the node's namespace, since the topics of its configuration are relative."""
    if not wanted(context):
        return []
    config = LaunchConfiguration('rviz_config').perform(context)
    if config == str(SHIPPED_CONFIG):
        content = with_groups(yaml.safe_load(SHIPPED_CONFIG.read_text()), groups_of(context))
        handle, config = tempfile.mkstemp(prefix='edgesegnet_', suffix='.rviz')
        with os.fdopen(handle, 'w') as file:
            yaml.safe_dump(content, file, sort_keys=False)
    return [
        Node(
            package='rviz2',
            executable='rviz2',
            namespace=LaunchConfiguration('namespace'),
            arguments=['-d', config],
            remappings=[('image', LaunchConfiguration('image'))],
            parameters=[{'use_sim_time': LaunchConfiguration('use_sim_time')}],
            output='log',
        )
    ]


def generate_launch_description():
    """The bring-up's arguments, and RViz."""
    return LaunchDescription(
        [
            DeclareLaunchArgument('rviz', default_value='true', description='Start RViz.'),
            DeclareLaunchArgument(
                'rviz_config',
                default_value=str(SHIPPED_CONFIG),
                description='Configuration file of RViz; its relative topics follow namespace and '
                'image. The default shows one mask per group of the class file.',
            ),
            OpaqueFunction(function=check_rviz),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(HERE / 'edgesegnet.launch.py'))
            ),
            OpaqueFunction(function=start_rviz),
        ]
    )

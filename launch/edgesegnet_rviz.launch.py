"""Bring the node up and show image, overlay and masks in RViz."""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

HERE = Path(__file__).resolve().parent


def generate_launch_description():
    """RViz stands in the node's namespace, since the topics of its configuration are relative."""
    return LaunchDescription(
        [
            DeclareLaunchArgument('rviz', default_value='true', description='Start RViz.'),
            DeclareLaunchArgument(
                'rviz_config',
                default_value=str(HERE.parent / 'rviz' / 'edgesegnet.rviz'),
                description='Configuration of RViz; relative topics follow namespace and image.',
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(HERE / 'edgesegnet.launch.py'))
            ),
            Node(
                condition=IfCondition(LaunchConfiguration('rviz')),
                package='rviz2',
                executable='rviz2',
                namespace=LaunchConfiguration('namespace'),
                arguments=['-d', LaunchConfiguration('rviz_config')],
                remappings=[('image', LaunchConfiguration('image'))],
                parameters=[{'use_sim_time': LaunchConfiguration('use_sim_time')}],
                output='log',
            ),
        ]
    )

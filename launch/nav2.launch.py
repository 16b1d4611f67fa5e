"""Bring the node up for semantic_segmentation_layer, a costmap layer of Nav2.

The layer wants a mask as large as its pixel-aligned point cloud, and names its topics absolutely;
config/nav2_costmap.yaml shows its side. Let Nav2's lifecycle manager drive the node with
autostart:=false, the node among its node_names, and bond_timeout: 0.0.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import SetRemap

from edgesegnet_ros.interface.parameter_table import BY_NAME

BRING_UP = Path(__file__).resolve().parent / 'edgesegnet.launch.py'
TOPICS = {
    'segmentation_topic': 'segmentation/mask',
    'confidence_topic': 'segmentation/confidence',
    'labels_topic': 'segmentation/label_info',
}
"""The layer's own names of its parameters, and the topics of the node."""


def generate_launch_description():
    """The topics can be moved to what the layer's parameters say."""
    resolution = BY_NAME['output_resolution']
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(
                    argument,
                    default_value=topic,
                    description=f'Where {topic} goes: the parameter of this name of the layer.',
                )
                for argument, topic in TOPICS.items()
            ),
            DeclareLaunchArgument(
                'output_resolution',
                default_value='input',
                choices=resolution.choices,
                description=resolution.description
                + ' The mask must be as large as the point cloud.',
            ),
            GroupAction(
                [
                    *(
                        SetRemap(topic, LaunchConfiguration(name))
                        for name, topic in TOPICS.items()
                    ),
                    IncludeLaunchDescription(PythonLaunchDescriptionSource(str(BRING_UP))),
                ]
            ),
        ]
    )

"""Bring the node up for semantic_segmentation_layer, a costmap layer of Nav2.

The layer requires a mask as large as its pixel-aligned point cloud. config/nav2_costmap.yaml holds
Nav2's side: the layer's parameters, how to merge them into yours, and a lifecycle manager of its
own for this node, for use with autostart:=false.
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
                    description=f"Topic of the node's {topic}, as in the layer's parameter of "
                    'this name.',
                )
                for argument, topic in TOPICS.items()
            ),
            DeclareLaunchArgument(
                'output_resolution',
                default_value='input',
                choices=resolution.choices,
                description=resolution.description
                + ' The mask must have as many pixels as the point cloud has points.',
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

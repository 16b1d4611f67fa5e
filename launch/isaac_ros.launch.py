"""Bring the node up with the topics, the resolution and the QoS of Isaac ROS's UNet decoder.

What listened to isaac_ros_unet (raw mask mono8, coloured mask rgb8, reliable, depth 10) then
listens to this node. A class keeps the id and the colour of its class file.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import SetParameter, SetRemap
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from edgesegnet_ros.interface.parameter_table import BY_NAME

BRING_UP = Path(__file__).resolve().parent / 'edgesegnet.launch.py'
TOPICS = {
    'segmentation/mask': 'unet/raw_segmentation_mask',
    'segmentation/color': 'unet/colored_segmentation_mask',
}
QOS = {'reliability': 'reliable', 'history': 'keep_last', 'depth': 10}


def override_qos(context):
    """Give the outputs Isaac's QoS; its parameters are named by the resolved topic."""
    namespace = make_namespace_absolute(
        prefix_namespace(
            context.launch_configurations.get('ros_namespace'),
            LaunchConfiguration('namespace').perform(context),
        )
    )
    return [
        SetParameter(f'qos_overrides.{namespace.rstrip("/")}/{topic}.publisher.{policy}', value)
        for topic in TOPICS.values()
        for policy, value in QOS.items()
    ]


def generate_launch_description():
    """Only remaps and parameters, on top of the bring-up."""
    resolution = BY_NAME['output_resolution']
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'namespace',
                default_value='',
                description='Namespace of the node and its topics; use one namespace per camera.',
            ),
            DeclareLaunchArgument(
                'output_resolution',
                default_value='network',
                choices=resolution.choices,
                description=resolution.description + " The decoder publishes the network's.",
            ),
            GroupAction(
                [
                    *(SetRemap(topic, isaac) for topic, isaac in TOPICS.items()),
                    OpaqueFunction(function=override_qos),
                    IncludeLaunchDescription(PythonLaunchDescriptionSource(str(BRING_UP))),
                ]
            ),
        ]
    )

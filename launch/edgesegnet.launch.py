"""Bring the node up. The other launch files of this folder include this one.

An argument takes precedence over params_file, and params_file over the node's defaults.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

from edgesegnet_ros.interface.parameter_table import PARAMETERS, NodeParameter
from edgesegnet_ros.shipped import find

NOT_GIVEN = ''
USE_SIM_TIME = NodeParameter(
    'use_sim_time', False, 'Take time from /clock, as bags and simulators publish it.'
)
ARGUMENTS = (
    ('namespace', '', 'Namespace of the node and its topics; use one namespace per camera.'),
    ('name', 'edgesegnet', 'Name of the node.'),
    (
        'image',
        'image',
        'Camera image topic. With image_transport:=compressed the node subscribes to '
        '<image>/compressed.',
    ),
    ('camera_info', NOT_GIVEN, 'CameraInfo topic; by default camera_info beside the image topic.'),
    ('params_file', str(find('config', 'edgesegnet')), 'Parameter file (YAML).'),
    ('use_sim_time', 'false', USE_SIM_TIME.description),
    (
        'log_level',
        'info',
        'Log level of the node: debug, info, warn, error or fatal; <logger>:=<level> sets the '
        'level of one logger.',
    ),
)
LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal', 'unset')
KINDS = {bool: 'true or false', int: 'a whole number', float: 'a number', list: 'a list: [a, b]'}


def parameter_argument(parameter):
    """Declare a parameter of the node as an argument."""
    choices = (NOT_GIVEN, *parameter.choices) if parameter.choices else None
    if parameter.name == 'autostart':
        return DeclareLaunchArgument(
            'autostart',
            default_value='true',
            description=(
                parameter.description
                + ' Takes precedence over params_file; set it to false under a lifecycle manager.'
            ),
        )
    default = yaml.safe_dump(parameter.default, default_flow_style=True).split('\n')[0]
    return DeclareLaunchArgument(
        parameter.name,
        default_value=NOT_GIVEN,
        choices=choices,
        description=f'{parameter.description} By default from params_file, else {default}.',
    )


def parameter_value(parameter, text):
    """The value that was typed, of the parameter's type.

    Raises:
        ValueError: It has another type or is out of range; says what is allowed.
    """
    if isinstance(parameter.default, str):
        value = text
    else:
        kind = type(parameter.default)
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = None
        if kind is float and type(value) is int:
            value = float(value)
        if value == []:
            value = ['']  # An empty list has no type that a parameter file could tell.
        if type(value) is not kind:
            raise ValueError(f'{parameter.name}:={text} is refused: it takes {KINDS[kind]}')
    objection = parameter.objection(value)
    if objection:
        raise ValueError(objection)
    # Without its type, a text such as 11 or on would reach the node as a number or a bool.
    return ParameterValue(value, value_type=str) if isinstance(value, str) else value


def check_log_level(text):
    """Refuse a level that would end the node's process with a message of the ROS library.

    Raises:
        ValueError: Says what is allowed.
    """
    level = text.rpartition(':=')[2]
    if level.lower() not in LOG_LEVELS:
        raise ValueError(
            f'log_level:={text} is refused: expected one of {", ".join(LOG_LEVELS)}, or '
            '<logger>:=<level>'
        )


def bring_up(context):
    """The node, with the parameters that were given."""
    argument = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    params_file = Path(argument['params_file']).expanduser()
    if not params_file.is_file():
        raise FileNotFoundError(f'params_file:={params_file}: no such file')
    check_log_level(argument['log_level'])
    given = {}
    for parameter in (USE_SIM_TIME, *PARAMETERS):
        text = LaunchConfiguration(parameter.name).perform(context)
        if text != NOT_GIVEN:
            given[parameter.name] = parameter_value(parameter, text)
    remappings = [('image', argument['image'])]
    if argument['camera_info'] != NOT_GIVEN:
        remappings.append(('camera_info', argument['camera_info']))
    return [
        LifecycleNode(
            package='edgesegnet_ros',
            executable='segmentation_node',
            namespace=argument['namespace'],
            name=argument['name'],
            parameters=[str(params_file), given],
            remappings=remappings,
            ros_arguments=['--log-level', argument['log_level']],
            output='both',
            # Lines appear as they are written. An emulated terminal would do that too, but puts
            # colour codes into the log files.
            additional_env={'PYTHONUNBUFFERED': '1'},
            # A busy robot may need more than the usual 5 s to free an engine.
            sigterm_timeout='20',
        )
    ]


def generate_launch_description():
    """Every parameter of the node is an argument."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            *map(parameter_argument, PARAMETERS),
            OpaqueFunction(function=bring_up),
        ]
    )

"""Play a bag into the node, which takes its time from the bag; rviz:=true shows the result.

The node skips inference when no output has a subscriber: start RViz or a subscriber of your own,
or set lazy:=false.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

BRING_UP = Path(__file__).resolve().parent / 'edgesegnet_rviz.launch.py'
SECONDS_FOR_LAST_FRAMES = 2.0
"""Time that the node has for its last frames when the bag ends."""
ARGUMENTS = (
    ('bag', None, 'A ROS 2 bag (.mcap, .db3 or its folder), a folder of images, or a video.'),
    ('topic', '', 'Image topic in the bag; by default the first one.'),
    ('rate', '1.0', 'Playback speed relative to the recording; 0 plays without pauses.'),
    ('loop', 'false', 'Start again when the bag ends.'),
    ('shutdown_at_end', 'true', 'Stop all processes when the bag ends.'),
    ('rviz', 'false', 'Start RViz.'),
    ('use_sim_time', 'true', 'Take time from /clock, which the player publishes.'),
)


def yes(context, name):
    """Whether an argument is true, in any spelling of launch files."""
    return IfCondition(LaunchConfiguration(name)).evaluate(context)


def check_bag(context):
    """Refuse a bag that is not there before anything has started."""
    bag = Path(LaunchConfiguration('bag').perform(context)).expanduser()
    if not bag.exists():
        raise FileNotFoundError(f'bag:={bag}: no such file or folder')


def end(event, context):
    """Stop everything: at once when the player failed, else when the last frames are through.

    Raises:
        RuntimeError: The player failed; `ros2 launch` then ends with status 1.
    """
    if context.is_shutdown:
        return None  # Ctrl-C: a second shutdown would fail in launch_ros.
    if event.returncode:
        raise RuntimeError(f'bag_player ended with status {event.returncode}; see its error above')
    shutdown = EmitEvent(event=Shutdown(reason='the bag has ended'))
    return TimerAction(period=SECONDS_FOR_LAST_FRAMES, actions=[shutdown])


def play(context):
    """The player, in the node's namespace and on its image topic."""
    argument = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    bag = str(Path(argument['bag']).expanduser())
    arguments = [bag, '--rate', argument['rate'], '--wait-for', 'image']
    if argument['topic']:
        arguments += ['--topic', argument['topic']]
    if yes(context, 'loop'):
        arguments.append('--loop')
    player = Node(
        package='edgesegnet_ros',
        executable='bag_player',
        namespace=LaunchConfiguration('namespace'),
        arguments=arguments,
        remappings=[('image', LaunchConfiguration('image'))],
        output='both',
    )
    if not yes(context, 'shutdown_at_end'):
        return [player]
    return [player, RegisterEventHandler(OnProcessExit(target_action=player, on_exit=end))]


def generate_launch_description():
    """Everything that the bring-up takes is an argument here, too."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            OpaqueFunction(function=check_bag),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(BRING_UP))),
            OpaqueFunction(function=play),
        ]
    )

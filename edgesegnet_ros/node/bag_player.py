"""Plays a bag, a folder of images, a video or a camera into ROS 2 topics.

Publishes `image` (rgb8), `camera_info`, `labels` (mono8 class ids, 255 = void) if the source
has ground truth, and for recorded sources `/clock`, so that nodes with `use_sim_time` use the time
of the recording. Image, camera_info and labels of one frame have the same stamp.

In lock step (`--lock-step TOPIC`) the next frame waits until the stamp of this one is published on
TOPIC as a std_msgs/Header. A frame without an answer is published again, because the node
subscribes with best effort and may lose frames.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import List

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.utilities import remove_ros_args

from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.sources import Source, open_source
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.node.ending import shut_down
from edgesegnet_ros.node.playback import BagPlayer, PlaybackError, repeated
from edgesegnet_ros.node.signals import interrupt_once


def parse(arguments: List[str]) -> argparse.Namespace:
    """Parse the command line without its ROS arguments."""
    parser = argparse.ArgumentParser(
        prog='bag_player', description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('source', help='bag, folder of images, video, or camera:NUMBER')
    parser.add_argument('--topic', help='image topic of a bag; by default the first one')
    parser.add_argument(
        '--labels', help='ground truth topic of a bag; by default found by its name'
    )
    parser.add_argument(
        '--tolerant', action='store_true', help='play the readable part of a damaged bag'
    )
    parser.add_argument(
        '--classes',
        metavar='NAME|FILE',
        help='class file of the labels: the name of a shipped one, or a path; if not given, the '
        'labels of a folder are read as camvid11, and those of a bag are not checked',
    )
    parser.add_argument(
        '--rate',
        type=float,
        default=1.0,
        help='playback speed relative to the recording; 0 plays without pauses (1.0)',
    )
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument('--frames', type=int, help='stop after this many frames')
    parser.add_argument('--frame-id', default='camera')
    parser.add_argument(
        '--wait-for',
        action='append',
        default=[],
        metavar='TOPIC[=COUNT]',
        help='wait for subscribers of image, camera_info or labels before playing',
    )
    parser.add_argument(
        '--wait-timeout', type=float, default=60.0, help='time to wait for subscribers, in s (60)'
    )
    parser.add_argument(
        '--lock-step',
        metavar='TOPIC',
        help='wait after each frame for its stamp on this topic (std_msgs/Header)',
    )
    parser.add_argument(
        '--answer-timeout', type=float, default=10.0, help='time to wait for an answer, in s (10)'
    )
    parser.add_argument(
        '--progress',
        action='store_true',
        help='print one line of JSON per frame to standard output',
    )
    args = parser.parse_args(arguments)
    if args.rate < 0:
        parser.error('--rate: 0 or more')
    try:
        args.wait_for = {
            name: int(count or 1)
            for name, _, count in (text.partition('=') for text in args.wait_for)
        }
    except ValueError:
        parser.error('--wait-for: TOPIC or TOPIC=COUNT')
    for name in args.wait_for:
        if name not in ('image', 'camera_info', 'labels'):
            parser.error(f'--wait-for {name}: image, camera_info or labels')
    return args


def source_of(args: argparse.Namespace) -> Source:
    """Open the source of the command line.

    Raises:
        EdgeSegNetError: The source or the class file cannot be read.
    """
    classes = None if args.classes is None else load_classes(args.classes)
    return open_source(args.source, args.topic, args.labels, args.tolerant, classes=classes)


def main() -> int:
    """Play to the end.

    Returns:
        The exit status: 0 for success, 1 if no node subscribes or answers, 2 for a source that
        cannot be played.
    """
    args = parse(remove_ros_args(sys.argv)[1:])

    def say(**event: object) -> None:
        if args.progress:
            print(json.dumps(event), flush=True)

    try:
        interrupt_once()
        source = source_of(args)
        rclpy.init()
        player = BagPlayer(source, args.frame_id, args.lock_step, args.answer_timeout)
        player.wait_for_subscribers(args.wait_for, args.wait_timeout)
        say(event='matched', total=source.total)
        figures = player.play(
            repeated(source, args.frames, args.loop),
            args.rate,
            lambda published: say(
                event='frame',
                published=published,
                stamp_ns=player.last_published[0],
                at_s=player.last_published[1],
            ),
        )
        say(
            event='done',
            skipped=source.skipped,
            reasons=source.reasons,
            **figures._asdict(),
        )
    except PlaybackError as error:
        print(f'bag_player: {error}', file=sys.stderr)
        return 1
    except EdgeSegNetError as error:
        print(f'bag_player: {error}', file=sys.stderr)
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        shut_down()
    return 0


if __name__ == '__main__':
    sys.exit(main())

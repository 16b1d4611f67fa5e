"""Waits until the ROS 2 graph is as expected, and reports what is missing after a timeout.

    graph_probe --lifecycle /edgesegnet=active --topic /segmentation/mask --timeout 30

With --bring-up it also configures and activates a node, and fails as soon as a transition fails.

Exit status: 0 success, 1 timeout or failed transition, 2 usage error.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Dict, List, Optional

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.task import Future
from rclpy.utilities import remove_ros_args

from edgesegnet_ros.node.ending import shut_down
from edgesegnet_ros.node.signals import interrupt_once

STATES = ('unconfigured', 'inactive', 'active', 'finalized')
ANSWER_S = 2.0


class GraphProbe(Node):
    """Reads the graph, and asks lifecycle nodes for their state.

    Args:
        **kwargs: Arguments of rclpy.node.Node.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__('graph_probe', **kwargs)
        # Keys are fully qualified node names.
        self._state_clients: Dict[str, Client] = {}
        self._asked: Dict[str, Future] = {}
        self._asked_at: Dict[str, float] = {}
        self.states: Dict[str, str] = {}

    def missing(self, expected: argparse.Namespace) -> List[str]:
        """Sentences about what is missing.

        Args:
            expected: Lists `node` and `topic`, mappings `publishers`, `subscribers` (topic ->
                least number) and `lifecycle` (node -> state); all names absolute.
        """
        nodes = {
            f'{namespace.rstrip("/")}/{name}'
            for name, namespace in self.get_node_names_and_namespaces()
        }
        topics = dict(self.get_topic_names_and_types())
        found = [f'node {name} is not there' for name in expected.node if name not in nodes]
        found += [f'topic {name} is not there' for name in expected.topic if name not in topics]
        for what, count in (
            ('publishers', self.count_publishers),
            ('subscribers', self.count_subscribers),
        ):
            for topic, least in getattr(expected, what).items():
                if count(topic) < least:
                    found.append(f'{topic} has {count(topic)} of {least} {what}')
        for name, state in expected.lifecycle.items():
            self._ask_state(name)
            if self.states.get(name) != state:
                there = self.states.get(name, 'not answering')
                found.append(f'node {name} is {there}, not {state}')
        return found

    def _ask_state(self, name: str) -> None:
        if name not in self._state_clients:
            self._state_clients[name] = self.create_client(GetState, f'{name}/get_state')
        client = self._state_clients[name]
        asked = self._asked.get(name)
        if asked is not None and asked.done():
            self.states[name] = asked.result().current_state.label
        elif asked is not None and time.monotonic() < self._asked_at[name] + ANSWER_S:
            return
        self._asked.pop(name, None)
        if client.service_is_ready():
            self._asked[name] = client.call_async(GetState.Request())
            self._asked_at[name] = time.monotonic()

    def bring_up(self, name: str, timeout_s: float) -> Optional[str]:
        """Configure and activate a lifecycle node; returns an error message, or None.

        Args:
            name: Fully qualified.
            timeout_s: For both transitions together.
        """
        end = time.monotonic() + timeout_s
        client = self.create_client(ChangeState, f'{name}/change_state')
        for label, number in (
            ('configure', Transition.TRANSITION_CONFIGURE),
            ('activate', Transition.TRANSITION_ACTIVATE),
        ):
            while not client.service_is_ready():
                if time.monotonic() > end:
                    return f'node {name} is not there'
                rclpy.spin_once(self, timeout_sec=0.05)
            request = ChangeState.Request(transition=Transition(id=number, label=label))
            asked = client.call_async(request)
            rclpy.spin_until_future_complete(self, asked, timeout_sec=end - time.monotonic())
            if not asked.done():
                return f'node {name} does not answer to {label}'
            if not asked.result().success:
                return f'node {name} could not {label}; its own log says why'
        return None

    def wait(self, expected: argparse.Namespace, timeout_s: float) -> List[str]:
        """Spin until nothing is missing; returns what is still missing at the timeout."""
        end = time.monotonic() + timeout_s
        while True:
            missing = self.missing(expected)
            if not missing or time.monotonic() > end:
                return missing
            rclpy.spin_once(self, timeout_sec=0.05)


def _absolute(name: str) -> str:
    return name if name.startswith('/') else '/' + name


def parse(arguments: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line without its ROS arguments."""
    parser = argparse.ArgumentParser(
        prog='graph_probe', description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add('--node', action='append', default=[], metavar='NAME', help='is in the graph')
    add('--topic', action='append', default=[], metavar='NAME', help='is in the graph')
    add('--publishers', action='append', default=[], metavar='TOPIC=COUNT', help='at least')
    add('--subscribers', action='append', default=[], metavar='TOPIC=COUNT', help='at least')
    add('--lifecycle', action='append', default=[], metavar='NODE=STATE', help=', '.join(STATES))
    add('--bring-up', action='append', default=[], metavar='NODE', help='configure, activate')
    add('--timeout', type=float, default=60.0, help='s (60)')
    args = parser.parse_args(arguments)
    args.bring_up = [_absolute(name) for name in args.bring_up]
    if not any(value for name, value in vars(args).items() if name != 'timeout'):
        parser.error('nothing to wait for')
    args.node = [_absolute(name) for name in args.node]
    args.topic = [_absolute(name) for name in args.topic]
    for what in ('publishers', 'subscribers', 'lifecycle'):
        pairs = [text.partition('=') for text in getattr(args, what)]
        for name, _, value in pairs:
            if not (value in STATES if what == 'lifecycle' else value.isdigit()):
                parser.error(
                    f'--{what} {name}={value}: expected '
                    + (f'NODE={"|".join(STATES)}' if what == 'lifecycle' else 'TOPIC=COUNT')
                )
        setattr(
            args,
            what,
            {
                _absolute(name): value if what == 'lifecycle' else int(value)
                for name, _, value in pairs
            },
        )
    return args


def main() -> int:
    """Wait; returns the exit status that the module describes."""
    args = parse(remove_ros_args(sys.argv)[1:])
    end = time.monotonic() + args.timeout
    try:
        interrupt_once()
        rclpy.init()
        probe = GraphProbe()
        for name in args.bring_up:
            problem = probe.bring_up(name, end - time.monotonic())
            if problem is not None:
                print(f'graph_probe: {problem}', file=sys.stderr)
                return 1
        missing = probe.wait(args, end - time.monotonic())
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130
    finally:
        shut_down()
    if missing:
        print(f'graph_probe: after {args.timeout:g} s: {"; ".join(missing)}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())

"""Observes a running ROS 2 graph for some seconds, and prints one JSON document about it.

    graph_snapshot --seconds 3 [--node /front/edgesegnet] [--watch image=/camera/image_raw ...]

It finds the segmentation nodes by their diagnostics, asks each for its lifecycle state and its
parameters, lists the publishers and subscribers of the relevant topics with their QoS, and
samples the images, masks and label information. `edgesegnet doctor` runs it in a separate process
and evaluates the document.

Exit status: 0 the document was printed, 2 usage error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, Dict, List, Optional

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from vision_msgs.msg import LabelInfo

from edgesegnet_ros.interface.diagnostic_keys import IMAGE_TOPIC, STATUS_SUFFIX
from edgesegnet_ros.node.ending import shut_down

PARAMETERS = (
    'model',
    'classes',
    'engine',
    'precision',
    'device',
    'image_transport',
    'output_resolution',
    'max_age_ms',
    'unlabeled_below',
    'lazy',
    'use_sim_time',
)
KINDS = {
    'image': Image,
    'compressed': CompressedImage,
    'mask': Image,
    'confidence': Image,
    'labels': LabelInfo,
    'cloud': PointCloud2,
    'camera_info': CameraInfo,
}
"""Kinds of topics that can be watched, with their message types."""
_KEPT_STAMPS = 200
_SAMPLE_QOS = QoSProfile(
    depth=5, reliability=ReliabilityPolicy.BEST_EFFORT, durability=DurabilityPolicy.VOLATILE
)
_LATCHED_QOS = QoSProfile(
    depth=5, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


class GraphSnapshot(Node):
    """Collects the content of the document.

    Args:
        watched: (kind, absolute topic) pairs; kinds are those of KINDS.
        kwargs: Arguments of rclpy.node.Node.
    """

    def __init__(self, watched: List[List[str]], **kwargs: object) -> None:
        super().__init__('graph_snapshot', **kwargs)
        self.statuses: Dict[str, Dict[str, Any]] = {}
        self.samples: Dict[str, Dict[str, Any]] = {}
        self._pixels: Dict[str, Dict[str, np.ndarray]] = {}
        self._asked: Dict[str, Dict[str, Any]] = {}
        self.answers: Dict[str, Dict[str, Any]] = {}
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        for kind, topic in watched:
            self.watch(kind, topic)

    def watch(self, kind: str, topic: str) -> None:
        """Sample a topic from now on, if it is not sampled yet."""
        if topic in self.samples:
            return
        self.samples[topic] = {'kind': kind, 'received': 0, 'stamps': []}
        qos = _LATCHED_QOS if kind == 'labels' else _SAMPLE_QOS
        self.create_subscription(
            KINDS[kind], topic, lambda message: self._on_sample(topic, message), qos
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith(STATUS_SUFFIX):
                level = status.level
                self.statuses['/' + status.name[: -len(STATUS_SUFFIX)].lstrip('/')] = {
                    'level': level[0] if isinstance(level, bytes) else int(level),
                    'message': status.message,
                    'values': {pair.key: pair.value for pair in status.values},
                }

    def _on_sample(self, topic: str, message: Any) -> None:
        sample = self.samples[topic]
        sample['received'] += 1
        stamp = f'{message.header.stamp.sec}.{message.header.stamp.nanosec:09d}'
        sample['stamps'] = (sample['stamps'] + [stamp])[-_KEPT_STAMPS:]
        sample['frame_id'] = message.header.frame_id
        sample['last_at'] = time.monotonic()
        if isinstance(message, LabelInfo):
            sample['classes'] = {one.class_name: one.class_id for one in message.class_map}
            return
        for name in ('height', 'width', 'step', 'encoding', 'format', 'is_bigendian'):
            if hasattr(message, name):
                sample[name] = getattr(message, name)
        if hasattr(message, 'data'):
            sample['bytes'] = len(message.data)
        if sample['kind'] in ('mask', 'confidence'):
            self._compare(topic, stamp, message)

    def _compare(self, topic: str, stamp: str, message: Image) -> None:
        """Count confident pixels where the mask of the same stamp is unlabelled (255)."""
        pixels = np.frombuffer(bytes(message.data), np.uint8)
        kind = self.samples[topic]['kind']
        if kind == 'mask':
            self.samples[topic]['ids'] = [int(value) for value in np.unique(pixels)]
        kept = self._pixels.setdefault(stamp, {})
        kept[kind] = pixels
        if len(kept) == 2 and kept['mask'].size == kept['confidence'].size:
            unlabelled = kept['mask'] == 255
            counts = self.samples[topic].setdefault('compared', [0, 0])
            counts[0] += 1
            counts[1] += int(np.count_nonzero(kept['confidence'][unlabelled]))
        while len(self._pixels) > 8:
            self._pixels.pop(next(iter(self._pixels)))

    def ask(self, name: str) -> None:
        """Ask a node for its state and parameters; the answers come while spinning."""
        if name in self._asked:
            return
        state = self.create_client(GetState, f'{name}/get_state')
        parameters = self.create_client(GetParameters, f'{name}/get_parameters')
        self._asked[name] = {'state': (state, None), 'parameters': (parameters, None)}

    def advance(self) -> None:
        """Send requests to services that have appeared, and collect their answers."""
        for name, asked in self._asked.items():
            answers = self.answers.setdefault(name, {})
            for what, (client, future) in list(asked.items()):
                if future is None and client.service_is_ready():
                    request = (
                        GetState.Request()
                        if what == 'state'
                        else GetParameters.Request(names=list(PARAMETERS))
                    )
                    asked[what] = (client, client.call_async(request))
                elif future is not None and future.done() and what not in answers:
                    result = future.result()
                    if what == 'state':
                        answers[what] = result.current_state.label
                    else:
                        answers[what] = {
                            key: _plain(parameter_value_to_python(value))
                            for key, value in zip(PARAMETERS, result.values)
                        }

    def endpoints(self, topic: str) -> Dict[str, List[Dict[str, str]]]:
        """Publishers and subscribers of a topic, with their type and QoS."""
        return {
            'publishers': [_endpoint(info) for info in self.get_publishers_info_by_topic(topic)],
            'subscribers': [
                _endpoint(info)
                for info in self.get_subscriptions_info_by_topic(topic)
                if info.node_name != self.get_name()
            ],
        }

    def published_by(self, name: str) -> Dict[str, List[str]]:
        """Topics that a node publishes, with their types; empty if it is not in the graph."""
        namespace, _, base = name.rpartition('/')
        try:
            return dict(self.get_publisher_names_and_types_by_node(base, namespace or '/'))
        except Exception:  # rclpy raises a different error on each distribution
            return {}

    def document(self) -> Dict[str, Any]:
        """The document."""
        names = [
            f'{namespace.rstrip("/")}/{name}'
            for name, namespace in self.get_node_names_and_namespaces()
            if name != self.get_name()
        ]
        types = dict(self.get_topic_names_and_types())
        interesting = set(self.samples)
        for status in self.statuses.values():
            interesting.add(status['values'].get(IMAGE_TOPIC, ''))
        image_types = {'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'}
        interesting |= {topic for topic, kinds in types.items() if image_types & set(kinds)}
        now = time.monotonic()
        for sample in self.samples.values():
            if 'last_at' in sample:
                sample['last_s_ago'] = round(now - sample.pop('last_at'), 3)
        return {
            'nodes': sorted(set(names)),
            'doubled': sorted({name for name in names if names.count(name) > 1}),
            'topics': {topic: types.get(topic, []) for topic in sorted(types)},
            'statuses': self.statuses,
            'answers': self.answers,
            'published': {name: self.published_by(name) for name in self._asked},
            'endpoints': {topic: self.endpoints(topic) for topic in sorted(interesting - {''})},
            'samples': self.samples,
        }


def _endpoint(info: Any) -> Dict[str, str]:
    # TopicEndpointInfo is in rclpy.topic_endpoint_info, and in rclpy.endpoint_info from Lyrical.
    return {
        'node': f'{info.node_namespace.rstrip("/")}/{info.node_name}',
        'type': info.topic_type,
        'reliability': info.qos_profile.reliability.name.lower(),
        'durability': info.qos_profile.durability.name.lower(),
    }


def _plain(value: Any) -> Any:
    return list(value) if hasattr(value, 'tolist') else value


def take(watched: List[List[str]], node: Optional[str], seconds: float) -> Dict[str, Any]:
    """Observe the graph for this many seconds, and return the document."""
    snapshot = GraphSnapshot(watched)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rclpy.spin_once(snapshot, timeout_sec=0.05)
        if node is not None:
            snapshot.ask(node)
        for name, status in list(snapshot.statuses.items()):
            if node in (None, name):
                snapshot.ask(name)
                topic = status['values'].get(IMAGE_TOPIC)
                if topic:
                    kind = 'compressed' if topic.endswith('/compressed') else 'image'
                    snapshot.watch(kind, topic)
                for mask in snapshot.published_by(name):
                    if mask.endswith('segmentation/mask'):
                        snapshot.watch('mask', mask)
        snapshot.advance()
    return snapshot.document()


def main() -> int:
    """Print the document; see the module for the exit status."""
    parser = argparse.ArgumentParser(
        prog='graph_snapshot', description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--seconds', type=float, default=3.0, help='how long to look (3)')
    parser.add_argument('--node', help='fully qualified name of the node to ask (all)')
    parser.add_argument(
        '--watch',
        action='append',
        default=[],
        metavar='KIND=TOPIC',
        help=f'a topic to take samples of; KIND is one of {", ".join(KINDS)}',
    )
    args = parser.parse_args(remove_ros_args(sys.argv)[1:])
    watched = [text.split('=', 1) for text in args.watch]
    for pair in watched:
        if len(pair) != 2 or pair[0] not in KINDS or not pair[1].startswith('/'):
            parser.error(f'--watch {"=".join(pair)}: expected KIND=/TOPIC')
    try:
        rclpy.init()
        print(json.dumps(take(watched, args.node, args.seconds)), flush=True)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130
    finally:
        shut_down()
    return 0


if __name__ == '__main__':
    sys.exit(main())

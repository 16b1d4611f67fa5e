"""The running graph: cameras, segmentation nodes, and what flows between them.

This module checks the document that `edgesegnet_ros.node.graph_snapshot` prints, and can be tested
without ROS.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional

from edgesegnet_ros.doctor.finding import ERROR, OK, WARNING, Finding
from edgesegnet_ros.interface.diagnostic_keys import ENGINE, IMAGE_TOPIC, PRECISION, RATE_IN_HZ

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
_LEVELS = {0: OK, 1: WARNING, 2: ERROR, 3: ERROR}
"""Levels of diagnostic_msgs/DiagnosticStatus: OK, WARN, ERROR, STALE."""
Document = Dict[str, Any]


def findings(document: Document, node: Optional[str] = None) -> Iterator[Finding]:
    """Findings about the segmentation nodes in the graph.

    Args:
        document: Document of `graph_snapshot`.
        node: Fully qualified name of the node to check; None for all that report.
    """
    names = segmentation_nodes(document, node)
    for name in document['doubled']:
        if name in names:
            yield Finding(
                ERROR,
                name,
                'two nodes have this name, so that services and parameters reach either of them',
                'Give one of them another name or namespace: --ros-args -r __ns:=/front',
            )
    if not names:
        yield _no_node(document, node)
        yield _cameras(document)
        return
    for name in names:
        yield from _node(document, name)


def segmentation_nodes(document: Document, node: Optional[str] = None) -> List[str]:
    """Fully qualified names of the segmentation nodes in the graph, or only the named one."""
    if node is not None:
        return [node] if node in document['nodes'] else []
    return sorted(document['statuses'])


def _no_node(document: Document, node: Optional[str]) -> Finding:
    others = ', '.join(document['nodes'][:8]) or 'none at all'
    if node is not None:
        message = f'there is no node {node} in the graph; nodes that are there: {others}'
    else:
        message = f'no segmentation node reports on /diagnostics; nodes that are there: {others}'
    return Finding(
        ERROR,
        'node',
        message,
        'Start one: ros2 launch edgesegnet_ros edgesegnet.launch.py image:=/camera/image_raw. If '
        'it runs already, ROS_DOMAIN_ID and ROS_AUTOMATIC_DISCOVERY_RANGE must be the same here.',
    )


def camera_topics(document: Document) -> List[str]:
    """Image topics of publishers that are not segmentation nodes."""
    own = set(document['statuses'])
    return [
        topic
        for topic, ends in document['endpoints'].items()
        if any(one['type'] in IMAGE_TYPES and one['node'] not in own for one in ends['publishers'])
    ]


def _cameras(document: Document) -> Finding:
    topics = camera_topics(document)
    if topics:
        return Finding(OK, 'cameras', f'images are published on {", ".join(topics)}')
    return Finding(
        WARNING,
        'cameras',
        'nobody publishes images',
        'Start the camera driver, and compare ROS_DOMAIN_ID of both sides.',
    )


def _node(document: Document, name: str) -> Iterator[Finding]:
    answers = document['answers'].get(name, {})
    status = document['statuses'].get(name)
    state = answers.get('state')
    if state is None:
        yield Finding(
            ERROR,
            name,
            'it is in the graph, but does not answer get_state',
            'See the log of the node; if it hangs, end it and start it again.',
        )
    elif state != 'active':
        transition = 'activate' if state == 'inactive' else 'configure'
        yield Finding(
            ERROR,
            name,
            f'its lifecycle state is {state}, so that it segments nothing',
            f'ros2 lifecycle set {name} {transition}'
            + ('' if state == 'inactive' else f' && ros2 lifecycle set {name} activate'),
        )
    else:
        yield Finding(OK, name, 'its lifecycle state is active')
    if status is None:
        yield Finding(
            WARNING,
            name,
            'no diagnostics of it arrived',
            'Observe longer: --seconds 10. If nothing arrives, the node hangs: see its log.',
        )
        return
    remedy = '' if status['level'] == 0 else 'docs/troubleshooting.md explains this message.'
    yield Finding(
        _LEVELS.get(status['level'], ERROR),
        f'{name} diagnostics',
        status['message'],
        remedy,
    )
    topic = status['values'].get(IMAGE_TOPIC, '')
    if topic:
        yield from _input(document, name, topic, answers.get('parameters', {}))
    if state == 'active':
        yield _last_mask(document, name)
    engine = status['values'].get(ENGINE)
    if engine:
        precision = status['values'].get(PRECISION, '?')
        yield Finding(OK, f'{name} engine', f'{engine} {precision}')


def _input(
    document: Document, name: str, topic: str, parameters: Dict[str, Any]
) -> Iterator[Finding]:
    """The image topic: its publishers, their type and QoS, and what arrives."""
    subject = f'{name} image topic'
    transport = parameters.get('image_transport', 'raw')
    expected = IMAGE_TYPES[1 if transport == 'compressed' else 0]
    ends = document['endpoints'].get(topic, {'publishers': [], 'subscribers': []})
    publishers = ends['publishers']
    fitting = [one for one in publishers if one['type'] == expected]
    if not publishers:
        others = [other for other in camera_topics(document) if other != topic]
        yield Finding(
            ERROR,
            subject,
            f'nobody publishes {topic}',
            f'Start the node with image:={_argument(others[0])}, which is published.'
            if others
            else 'Start the camera driver, or name its topic: image:=/camera/image_raw',
        )
        return
    if not fitting:
        other = 'compressed' if transport == 'raw' else 'raw'
        yield Finding(
            ERROR,
            subject,
            f'{topic} carries {publishers[0]["type"]}, but the node expects {expected}',
            f'Start the node with image_transport:={other} image:={_argument(topic)}',
        )
        return
    yield from _incompatible(fitting, ends['subscribers'], name)
    sample = document['samples'].get(topic, {})
    if not sample.get('received'):
        yield Finding(
            WARNING,
            subject,
            f'{topic} has {len(fitting)} publisher(s), but no image arrived',
            'Check the camera driver; for large images see config/fastdds.xml.',
        )
        return
    size = ''
    if 'width' in sample:
        size = f', {sample["width"]}x{sample["height"]} {sample["encoding"]}'
    rate = document['statuses'][name]['values'].get(RATE_IN_HZ, '?')
    yield Finding(OK, subject, f'{topic}{size}, {rate} Hz reach the node')
    if all(stamp == '0.000000000' for stamp in sample.get('stamps', [])):
        yield Finding(
            WARNING,
            subject,
            'the images have no stamp, so that neither their age nor masks can be matched',
            'Let the camera driver set header.stamp.',
        )


def _incompatible(
    publishers: List[Dict[str, str]], subscribers: List[Dict[str, str]], name: str
) -> Iterator[Finding]:
    """Publishers whose QoS is incompatible with the request of the subscription."""
    for wanted in (one for one in subscribers if one['node'] == name):
        for offered in publishers:
            for policy, weak, strong in (
                ('reliability', 'best_effort', 'reliable'),
                ('durability', 'volatile', 'transient_local'),
            ):
                if offered[policy] == weak and wanted[policy] == strong:
                    yield Finding(
                        ERROR,
                        f'{name} QoS',
                        f'{offered["node"]} offers {policy} {weak}, but the node requests '
                        f'{strong}, so that DDS does not connect them',
                        f'Remove qos_overrides of the image topic, or set its {policy} to {weak}.',
                    )


def _last_mask(document: Document, name: str) -> Finding:
    subject = f'{name} mask'
    masks = [
        (topic, document['samples'][topic])
        for topic in document['published'].get(name, {})
        if document['samples'].get(topic, {}).get('kind') == 'mask'
    ]
    for topic, sample in masks:
        if sample['received']:
            return Finding(
                OK,
                subject,
                f'{sample["received"]} masks on {topic}, the last '
                f'{sample["last_s_ago"]:.1f} s ago',
            )
    return Finding(
        ERROR,
        subject,
        'no mask arrived',
        'The diagnostics above say why; if images arrive, the log of the node says more.',
    )


def _argument(topic: str) -> str:
    """The value of `image` for a topic, without the suffix of the transport."""
    suffix = '/compressed'
    return topic[: -len(suffix)] if topic.endswith(suffix) else topic

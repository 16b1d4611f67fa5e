"""What `make test` does for seconds and `make soak` for as long as is asked: cycles and frames."""

from __future__ import annotations

import time

import numpy as np
import psutil
from harness import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, Client, image_message
from sensor_msgs.msg import Image

from edgesegnet_ros.interface import diagnostic_keys as keys

GREY = np.full((48, 64, 3), 128, np.uint8)
GROWTH = 1.05
"""Of resident memory, from the warmed-up node to the end."""


class Resources:
    """Of the node's process: memory, threads, files, and its topics in the graph."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._process = psutil.Process(client.target.process.pid)

    def now(self) -> dict[str, int]:
        graph = self._client.node
        space = self._client.target.namespace
        return {
            'rss': self._process.memory_info().rss,
            'threads': self._process.num_threads(),
            'files': self._process.num_fds(),
            'publishers': len(graph.get_publisher_names_and_types_by_node('edgesegnet', space)),
            'subscriptions': len(
                graph.get_subscriber_names_and_types_by_node('edgesegnet', space)
            ),
            'services': len(graph.get_service_names_and_types_by_node('edgesegnet', space)),
        }

    def wait_for_no_more_than(self, before: dict[str, int]) -> None:
        """A topic or file that was just closed goes in its own time; what leaks stays."""

        def no_more() -> bool:
            now = self.now()
            grown = now.pop('rss') > GROWTH * before['rss']
            return not grown and all(count <= before[what] for what, count in now.items())

        self._client.wait(no_more, f'no more than {before}, found {self.now()}', 10.0)


def cycles(client: Client, count: int, warm_up: int) -> None:
    """Whole cycles under images; nothing may be refused, leak or grow.

    Args:
        client: Of an unconfigured node.
        count: Cycles that are judged.
        warm_up: Cycles before them, in which allocators find their size.
    """
    camera = client.publisher(Image, 'image', matched=False)
    image = image_message(GREY)
    stream = client.node.create_timer(0.02, lambda: camera.publish(image))
    resources = Resources(client)
    before: dict[str, int] = {}
    for number in range(warm_up + count):
        for transition in (CONFIGURE, ACTIVATE, DEACTIVATE, CLEANUP):
            assert client.change_state(transition), client.target.log
        if number == warm_up - 1:
            before = resources.now()
    client.node.destroy_timer(stream)
    resources.wait_for_no_more_than(before)
    values = client.diagnostics(lambda v: v[keys.STATE] == 'unconfigured', 'unconfigured')
    assert values[keys.ESCAPED] == '0' and values['level'] == b'\x00'
    assert 'Traceback' not in client.target.log


def stream(client: Client, seconds: float, rate_hz: float, warm_up: int) -> dict[str, str]:
    """Images at a camera's rate; every frame is accounted for, and memory stays flat.

    Args:
        client: Of an active node with a subscriber.
        seconds: How long it is judged.
        rate_hz: Of the images.
        warm_up: Frames that are published before.

    Returns:
        The node's values at the end, after the last frame.
    """
    camera = client.publisher(Image, 'image')
    resources = Resources(client)
    picture = image_message(np.resize(GREY, (240, 320, 3)))

    def send() -> None:
        picture.header.stamp = client.node.get_clock().now().to_msg()
        camera.publish(picture)

    timer = client.node.create_timer(1.0 / rate_hz, send)
    client.diagnostics(lambda v: keys.count(v, 'out') >= warm_up, 'a node that is warm')
    before = resources.now()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client.diagnostics(lambda v: True, 'a report')
        for messages in client.received.values():
            del messages[:-100]
    client.node.destroy_timer(timer)
    resources.wait_for_no_more_than(before)

    def balanced(values: dict[str, str]) -> bool:
        ends = sum(keys.count(values, what) for what in ('out', *keys.DROPS))
        return keys.count(values, 'in') == ends

    return client.diagnostics(balanced, 'received = published + each named drop')

"""What `make test` does for seconds and `make soak` for as long as is asked: cycles and frames."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import psutil
from harness import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, Client, image_message
from sensor_msgs.msg import Image

from edgesegnet_ros.interface import diagnostic_keys as keys

GREY = np.full((48, 64, 3), 128, np.uint8)
GROWTH_PERCENT = 5.0
"""Of resident memory, from the warmed-up node to the end."""
SETTLE_S = 10.0
"""A topic or file that was just closed goes in its own time; what leaks stays."""
Tell = Callable[[float, dict[str, int]], None]
"""Told from time to time which share is done, 0-1, and what the node holds."""


class Limit(NamedTuple):
    """One requirement and what was found.

    Attributes:
        what: Is required.
        found: Was measured.
        allowed: In words.
        met: Whether it is fulfilled.
    """

    what: str
    found: object
    allowed: str
    met: bool


def unmet(limits: list[Limit]) -> list[str]:
    """A sentence for each limit that is not fulfilled."""
    return [f'{one.what}: {one.found}, allowed: {one.allowed}' for one in limits if not one.met]


class Resources:
    """Of the node's process: memory, threads, files, and its entities in the graph.

    Args:
        client: Of the node.

    Attributes:
        samples: What `now` has found, with the time in s since the start.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._process = psutil.Process(client.target.process.pid)
        self._started = time.monotonic()
        self.samples: list[dict[str, int]] = []
        self._before: dict[str, int] = {}
        self._names: Counter = Counter()

    def now(self) -> dict[str, int]:
        """Counts, and resident memory in kB."""
        graph = self._client.node
        space = self._client.target.namespace
        found = {
            'rss_kb': self._process.memory_info().rss // 1024,
            'threads': self._process.num_threads(),
            'files': self._process.num_fds(),
            'publishers': len(graph.get_publisher_names_and_types_by_node('edgesegnet', space)),
            'subscriptions': len(
                graph.get_subscriber_names_and_types_by_node('edgesegnet', space)
            ),
            'services': len(graph.get_service_names_and_types_by_node('edgesegnet', space)),
        }
        self.samples.append({'at_s': int(time.monotonic() - self._started), **found})
        return found

    def _thread_names(self) -> Counter:
        tasks = Path(f'/proc/{self._process.pid}/task')
        return Counter((task / 'comm').read_text().strip() for task in tasks.iterdir())

    def begin(self) -> None:
        """Judge from now on: the node is warm.

        The least of some samples counts, since a thread that has just ended holds its memory for
        a moment.
        """
        self._before, self._names = self.now(), self._thread_names()
        for _ in range(5):
            time.sleep(0.1)
            now = self.now()
            if now['rss_kb'] < self._before['rss_kb']:
                self._before, self._names = now, self._thread_names()

    def limits(self) -> list[Limit]:
        """Nothing more than at the beginning, when what was closed has had time to go."""
        before = self._before
        deadline = time.monotonic() + SETTLE_S
        while True:
            now = self.now()
            limits = [
                Limit(what, f'{count} -> {now[what]}', 'no more', now[what] <= count)
                for what, count in before.items()
                if what != 'rss_kb'
            ]
            grown = 100.0 * (now['rss_kb'] / before['rss_kb'] - 1.0)
            found = f'{before["rss_kb"]} -> {now["rss_kb"]} kB ({grown:+.1f} %)'
            allowed = f'+{GROWTH_PERCENT:g} %'
            limits.append(Limit('resident memory', found, allowed, grown < GROWTH_PERCENT))
            if not unmet(limits) or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        new = self._thread_names() - self._names
        return [
            one._replace(found=f'{one.found}, new: {dict(new)}')
            if one.what == 'threads' and not one.met
            else one
            for one in limits
        ]


def without_exception(client: Client, values: dict[str, str]) -> list[Limit]:
    """The node has caught no exception, and printed none."""
    escaped = int(values[keys.ESCAPED])
    traces = client.target.log.count('Traceback')
    return [
        Limit('exceptions in callbacks', escaped, 'none', escaped == 0),
        Limit('stack traces in the log', traces, 'none', traces == 0),
    ]


def balance(values: dict[str, str]) -> Limit:
    """Received = published + each named drop."""
    drops = {reason: keys.count(values, reason) for reason in keys.DROPS}
    received, published = keys.count(values, 'in'), keys.count(values, 'out')
    named = ', '.join(f'{count} {reason}' for reason, count in drops.items() if count)
    return Limit(
        'frames',
        f'{received} received, {published} published, dropped: {named or "none"}',
        'received = published + each named drop',
        received == published + sum(drops.values()),
    )


def cycles(
    client: Client, count: int, warm_up: int, tell: Tell = lambda share, found: None
) -> tuple[list[Limit], Resources]:
    """Whole lifecycle cycles under images; nothing may be refused, leak or grow.

    Args:
        client: Of an unconfigured node.
        count: Cycles that are judged.
        warm_up: Cycles before them, in which allocators find their size.
        tell: Of the progress.
    """
    camera = client.publisher(Image, 'image', matched=False)
    image = image_message(GREY)
    timer = client.node.create_timer(0.02, lambda: camera.publish(image))
    resources = Resources(client)
    refused = []
    for number in range(warm_up + count):
        if number == warm_up:
            resources.begin()
        for transition in (CONFIGURE, ACTIVATE, DEACTIVATE, CLEANUP):
            if not client.change_state(transition):
                refused.append((number, transition))
        if number % 10 == 0:
            tell(number / (warm_up + count), resources.now())
    client.node.destroy_timer(timer)
    limits = resources.limits()
    values = client.diagnostics(lambda v: v[keys.STATE] == 'unconfigured', 'unconfigured')
    return [
        Limit('cycles', count, f'{4 * count} transitions, none refused', not refused),
        Limit('level in the end', values['message'], 'OK', values['level'] == b'\x00'),
        *without_exception(client, values),
        *limits,
    ], resources


class Stream:
    """Images at a camera's rate to an active node, and its masks back.

    Args:
        client: Of the node.
        rate_hz: Of the images.
        size: Height and width of the images.

    Attributes:
        rate_hz: Of the images from the next `begin` on.
        sent: Images.
        masks: Received.
        seconds: For which images have been sent.
        stamps: Of the images sent, in ns, ascending.
        strays: Masks whose stamp is none of an image, or that came twice or out of order.
    """

    def __init__(self, client: Client, rate_hz: float, size: tuple[int, int]) -> None:
        self._client = client
        self._camera = client.publisher(Image, 'image')
        self._picture = image_message(np.resize(GREY, (*size, 3)))
        self.stamps: list[int] = []
        self._known: set[int] = set()
        self._last = 0
        self.sent = self.masks = self.strays = 0
        self.seconds = 0.0
        self._subscription = client.node.create_subscription(
            Image, 'segmentation/mask', self._on_mask, 50
        )
        client.diagnostics(lambda v: 'mask' in v[keys.OUTPUTS_SUBSCRIBED], 'the mask is served')
        self.rate_hz = rate_hz
        self._started = time.monotonic()
        self.begin()

    def begin(self) -> None:
        """Send images, at `rate_hz`."""
        self._timer = self._client.node.create_timer(1.0 / self.rate_hz, self._send)

    def _send(self) -> None:
        stamp = self._client.node.get_clock().now()
        self._picture.header.stamp = stamp.to_msg()
        self.stamps.append(stamp.nanoseconds)
        self._known.add(stamp.nanoseconds)
        self.sent += 1
        self._camera.publish(self._picture)

    def _on_mask(self, mask: Image) -> None:
        stamp = mask.header.stamp.sec * 10**9 + mask.header.stamp.nanosec
        self.masks += 1
        self.strays += stamp not in self._known or stamp <= self._last
        self._last = stamp

    def warm_up(self, masks: int) -> dict[str, str]:
        """Wait for so many masks; the node's values then."""
        while self.masks < masks:
            before = self.masks
            self._client.wait(lambda before=before: self.masks > before, 'masks')
        return self._client.diagnostics(lambda v: keys.count(v, 'out') >= masks, 'a warm node')

    def pause(self) -> None:
        """Stop sending; what was sent may still come back."""
        self._client.node.destroy_timer(self._timer)

    def close(self) -> None:
        """Stop sending for good."""
        self.pause()
        self.seconds = time.monotonic() - self._started

    def destroy(self) -> None:
        """Take the topics down."""
        self._client.node.destroy_subscription(self._subscription)
        self._client.node.destroy_publisher(self._camera)


def stream(
    client: Client,
    seconds: float,
    rate_hz: float,
    warm_up: int,
    tell: Tell = lambda share, found: None,
    size: tuple[int, int] = (240, 320),
) -> tuple[list[Limit], dict[str, str], Resources, Stream]:
    """Images at a camera's rate; every frame is accounted for, and memory stays flat.

    Args:
        client: Of an active node.
        seconds: How long it is judged.
        rate_hz: Of the images.
        warm_up: Frames that are published before.
        tell: Of the progress.
        size: Height and width of the images.

    Returns:
        Limits; the node's values at the end, after the last frame; what it held meanwhile; and
        the images.
    """
    resources = Resources(client)
    images = Stream(client, rate_hz, size)
    images.warm_up(warm_up)
    resources.begin()
    started, looked = time.monotonic(), 0.0
    while time.monotonic() < started + seconds:
        client.diagnostics(lambda v: True, 'a report')
        for messages in client.received.values():
            del messages[:-100]
        if time.monotonic() > looked + 10.0:
            looked = time.monotonic()
            tell((looked - started) / seconds, resources.now())
    images.close()
    limits = resources.limits()
    values = client.diagnostics(lambda v: balance(v).met, 'a balance of the frames')
    # What does not come is shown by the limit on masks.
    with suppress(AssertionError):
        client.wait(lambda: images.masks >= keys.count(values, 'out'), 'the last masks', SETTLE_S)
    images.destroy()
    received, published = keys.count(values, 'in'), keys.count(values, 'out')
    # Each image is a deadline; a missed one is an image without a mask. Input is best effort:
    # what the middleware loses before the node is sent - received.
    missed = images.sent - images.masks
    counted = images.sent - received + sum(keys.count(values, one) for one in keys.DROPS)
    lost = int(values[keys.LOST_ESTIMATE])
    return (
        [
            balance(values),
            Limit('masks', images.masks, f'the {published} published', images.masks == published),
            Limit(
                'masks of no image, twice or out of order',
                images.strays,
                'none',
                not images.strays,
            ),
            Limit(
                'deadlines',
                f'{images.sent} images, {missed} without a mask; {images.sent - received} did '
                f'not reach the node (its estimate from stamps: {lost})',
                'each miss counted',
                missed == counted,
            ),
            *without_exception(client, values),
            *limits,
        ],
        values,
        resources,
        images,
    )

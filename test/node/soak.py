"""`make soak`: the node for an hour, judged by limits; a page and a JSON file tell what was found.

    python test/node/soak.py [--cycles 1000] [--minutes 30] [--rate-hz 10] [--json FILE]

Exit status 0 where every limit is met, 1 where one is not.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Callable

from edgesegnet_ros.atomic_file import write_json
from edgesegnet_ros.demo.domain import free_domain, ros_distribution, ros_environment

# Before the first participant: a domain of our own, and shared memory that images fit into.
os.environ.update(ros_environment(int(os.environ.get('ROS_DOMAIN_ID') or free_domain())))

import harness
from endurance import Limit, Resources, Stream, cycles, stream, unmet
from freshness import fresh, read
from harness import ACTIVATE, CONFIGURE, Client

from edgesegnet_ros.interface import diagnostic_keys as keys

SHARE = 0.8
"""Of half the rate of one node alone, that each of two reaches."""
CAMERA_SHARE = 4.0
"""Images for each that a node alone can segment."""
TURNS = 3
TURN_S, SETTLE_TURN_S = 4.0, 1.0
FRAMES_JUDGED = 50
"""Masks of an overloaded node that must have been made while it had its cores."""
LINE_S = 30.0


class Soak:
    """Starts nodes, tells of the progress, and keeps what each part found.

    Args:
        options: Of the command line.
        folder: Takes the nodes' logs, traces and engines.

    Attributes:
        folder: As given.
        found: Name of a part -> limits, samples and seconds.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self._part = ''
        self._started = self._told = 0.0
        self._clients: list[Client] = []
        self._statuses: list[int] = []
        self.found: dict[str, dict] = {}

    def launch(self, trace: Path | None = None, **parameters: str) -> Client:
        """A node with the options' threads."""
        words = {'num_threads': str(self.options.threads), **parameters}
        log = self.folder / f'{self._part}{len(self._clients)}.log'
        client = Client(harness.NodeProcess(words, {}, log, trace=trace))
        self._clients.append(client)
        return client

    def active(self, trace: Path | None = None, **parameters: str) -> Client:
        """The same, configured and activated."""
        client = self.launch(trace, **parameters)
        assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE), client.target.log
        return client

    def stop(self, client: Client) -> None:
        """End a node; its exit status is judged at the end of the part."""
        self._clients.remove(client)
        client.close()
        self._statuses.append(client.target.stop())

    def input_size(self) -> str:
        return '[{}, {}]'.format(*self.options.input_size)

    def tell(self, share: float, found: dict[str, int]) -> None:
        """One line, at most every half minute."""
        now = time.monotonic()
        if now - self._told < LINE_S:
            return
        self._told = now
        spent = now - self._started
        left = f'{spent / share - spent:.0f} s left' if share > 0.01 else ''
        held = ', '.join(f'{name} {value}' for name, value in found.items())
        print(f'{self._part}: {100 * share:3.0f} %  {held}  {left}', flush=True)

    def run(self, part: str, work: Callable[[Soak], tuple]) -> None:
        """One part; what goes wrong in it is a limit that is not met, and the next one follows."""
        self._part, self._started, self._told = part, time.monotonic(), 0.0
        print(f'{part}: begins', flush=True)
        limits: list[Limit] = []
        values: dict[str, str] = {}
        resources: list[Resources] = []
        try:
            limits, values, *resources = work(self)
        except Exception as error:
            text = f'{type(error).__name__}: {error}'
            limits = [Limit('the part runs to its end', text[-2000:], 'no exception', False)]
        for client in list(self._clients):
            self.stop(client)
        statuses, self._statuses = self._statuses, []
        ended_well = not any(statuses)
        limits.append(Limit('exit status of each node', statuses, '0', ended_well))
        self.found[part] = {
            'seconds': round(time.monotonic() - self._started),
            'limits': [one._asdict() for one in limits],
            'values': {key: value for key, value in values.items() if isinstance(value, str)},
            'samples': [sample for one in resources for sample in one.samples[::10]],
        }
        wrong = unmet(limits)
        print(f'{part}: {"; ".join(wrong) or "all limits are met"}', flush=True)


def lifecycle(soak: Soak) -> tuple:
    """Cycles with images flowing."""
    client = soak.launch(input_size='[64, 64]')
    return cycles(client, soak.options.cycles, soak.options.warm_up, soak.tell)[0], {}


def camera(soak: Soak) -> tuple:
    """Half an hour at camera rate."""
    client = soak.active(input_size=soak.input_size())
    options = soak.options
    return stream(client, 60.0 * options.minutes, options.rate_hz, 200, soak.tell)[:3]


def overload(soak: Soak) -> tuple:
    """Ten times as many images as can be segmented; masks stay fresh."""
    trace = soak.folder / 'trace'
    client = soak.active(trace, input_size=soak.input_size())
    size = (48, 64)
    first = Stream(client, 5.0, size)
    frame_ms = _work_ms(first.warm_up(30))
    first.close()
    first.destroy()
    # Twenty times, since a machine that is less busy later on segments faster.
    rate_hz = 20.0 * 1000.0 / frame_ms
    print(f'overload: {frame_ms:.1f} ms a frame, so {rate_hz:.0f} images a second', flush=True)
    # Count from here.
    assert client.change_state(harness.DEACTIVATE) and client.change_state(harness.CLEANUP)
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    seconds = 60.0 * soak.options.overload_minutes
    limits, values, resources, images = stream(client, seconds, rate_hz, 100, soak.tell, size)
    ratio = images.sent / max(keys.count(values, 'out'), 1)
    limits.append(Limit('images for each mask', f'{ratio:.1f}', 'at least 10', ratio >= 10.0))
    frames = [frame for frame in read(trace) if frame.stamp_ns >= images.stamps[0]]
    return limits + fresh(frames, images.stamps, FRAMES_JUDGED), values, resources


def _work_ms(values: dict[str, str]) -> float:
    """What a frame takes of a node's time, at the median."""
    return sum(float(values[keys.stage_ms(one, 'p50')]) for one in keys.STAGES if one != 'wait')


def _rates_hz(streams: list[Stream]) -> list[float]:
    """Frames per second that each of these nodes publishes in one turn."""
    for images in streams:
        images.begin()
    time.sleep(SETTLE_TURN_S)
    before, started = [images.masks for images in streams], time.monotonic()
    time.sleep(TURN_S)
    took_s = time.monotonic() - started
    rates = [(one.masks - then) / took_s for one, then in zip(streams, before, strict=True)]
    for images in streams:
        images.pause()
    return rates


def share(soak: Soak) -> tuple:
    """Two nodes on one machine: each reaches most of half of what one reaches alone.

    Both run all the time. In turns, images come to the first of them or to both, so that whatever
    else the machine does at a time is in both rates.
    """
    limits = []
    for engine in soak.options.engines:
        parameters = {
            'engine': engine,
            'num_threads': '0',
            'input_size': soak.input_size(),
            'engine_cache': str(soak.folder / 'engines'),
        }
        clients = [soak.active(**parameters) for _ in range(2)]
        streams = [Stream(client, 20.0, (48, 64)) for client in clients]
        work_ms = []
        for images in streams:
            work_ms.append(_work_ms(images.warm_up(20)))
            images.pause()
        # Several times what can be segmented, so that no camera is what limits a rate.
        camera_hz = CAMERA_SHARE * 1000.0 / min(work_ms)
        for images in streams:
            images.rate_hz = camera_hz
        alone, together = [], []
        for number in range(TURNS):
            alone += _rates_hz(streams[:1])
            together.append(_rates_hz(streams))
            print(
                f'share: {engine}, turn {number + 1} of {TURNS}: {alone[-1]:.1f} Hz alone, '
                f'{" and ".join(f"{rate:.1f}" for rate in together[-1])} Hz side by side',
                flush=True,
            )
        for images in streams:
            images.destroy()
        for client in clients:
            soak.stop(client)
        one = median(alone)
        found = f'{one:.1f} Hz of {camera_hz:.1f} Hz'
        limits.append(
            Limit(f'{engine}, alone, leaves images out', found, 'half', one < camera_hz / 2)
        )
        for name, rates in zip(('first', 'second'), zip(*together, strict=True), strict=True):
            rate = median(rates)
            percent = 100.0 * rate / (one / 2)
            found = f'{rate:.1f} Hz; {one:.1f} Hz alone, of half of which it is {percent:.0f} %'
            allowed = f'at least {100 * SHARE:.0f} %'
            limits.append(
                Limit(f'{engine}, the {name} of two nodes', found, allowed, percent >= 100 * SHARE)
            )
    return limits, {}


PARTS = {'cycles': lifecycle, 'camera': camera, 'overload': overload, 'share': share}


def summary(found: dict[str, dict]) -> str:
    """One page."""
    lines = []
    for part, results in found.items():
        lines.append(f'{part} ({results["seconds"]} s)')
        for one in results['limits']:
            mark = 'ok  ' if one['met'] else 'FAIL'
            lines.append(f'  {mark} {one["what"]}: {one["found"]} (allowed: {one["allowed"]})')
    return '\n'.join(lines)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog='make soak SOAK_ARGS=…',
        description='The node for an hour under load, judged by limits.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = result.add_argument
    add('--parts', nargs='+', choices=PARTS, default=list(PARTS), help='what is run')
    add('--cycles', type=int, default=1000, help='lifecycle cycles that are judged')
    add('--warm-up', type=int, default=50, help='cycles before them')
    add('--minutes', type=float, default=30.0, help='at camera rate')
    add('--overload-minutes', type=float, default=1.0, help='of overload')
    add(
        '--rate-hz', type=float, default=10.0, help='of the camera; below what the machine reaches'
    )
    add(
        '--input-size',
        nargs=2,
        type=int,
        default=[256, 256],
        metavar=('H', 'W'),
        help='of the network',
    )
    add('--threads', type=int, default=1, help='num_threads of the node, except for share')
    add('--engines', nargs='+', default=['torch', 'openvino'], help='for share')
    add('--json', type=Path, default=Path('out/soak.json'), help='takes what was found')
    return result


def main() -> int:
    """Run the parts; 0 where every limit is met."""
    options = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(options, Path(folder))
        for part in options.parts:
            soak.run(part, PARTS[part])
    met = all(one['met'] for results in soak.found.values() for one in results['limits'])
    document = {
        'machine': f'{platform.machine()}, {os.cpu_count()} cores',
        'python': platform.python_version(),
        'ros': ros_distribution(),
        'options': {name: str(value) for name, value in vars(options).items()},
        'met': met,
        'parts': soak.found,
    }
    write_json(options.json, document)
    print(
        f'\n{summary(soak.found)}\n{"every limit is met" if met else "a limit is not met"}; '
        f'{options.json} has the figures'
    )
    return 0 if met else 1


if __name__ == '__main__':
    sys.exit(main())

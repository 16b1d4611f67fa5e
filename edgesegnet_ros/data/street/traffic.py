"""Traffic: cars, pedestrians and bicyclists.

They are generated in streams: slot k of a stream is at `k * spacing + jitter + speed * time`, so
that any moment can be drawn without the ones before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .layout import Layout
from .people import Bicyclist, Pedestrian
from .vehicles import BODIES, BUS, BUS_COLORS, COLORS, Car


@dataclass(frozen=True)
class Stream:
    """Objects that follow one another at the same speed.

    Attributes:
        kind: car, pedestrian or bicyclist.
        d: position across the road in metres.
        speed: metres per second, negative against s.
        spacing: metres from slot to slot.
        seed: distinguishes the stream from the others of the street.
    """

    kind: str
    d: float
    speed: float
    spacing: float
    seed: int


class Traffic:
    """All moving objects of a street.

    Args:
        layout: the street.
        lights: whether vehicles drive with lamps on.
    """

    def __init__(self, layout: Layout, lights: bool) -> None:
        self._layout, self._lights = layout, lights
        self._streams = self._draw_streams(np.random.default_rng([layout.seed, 17]))

    def _draw_streams(self, rng: np.random.Generator) -> list[Stream]:
        section = self._layout.section
        half, pavement, drive = section.half_road, section.pavement, section.drive
        edge = section.travel - 0.5
        # Parked cars hide people: more of them walk where cars are parked.
        crowd = 1.0 if half == section.travel else 0.6
        streams = [Stream('car', -self._layout.lane, -rng.uniform(8, 12), rng.uniform(28, 60), 1)]
        for number, side in enumerate((-1, 1)):
            for lane, speed in ((0.35, 1.3), (0.7, -1.2)):
                streams.append(
                    Stream(
                        'pedestrian',
                        side * (half + pavement * lane),
                        speed * rng.uniform(0.8, 1.2),
                        rng.uniform(11, 24) * crowd,
                        10 + number * 2 + int(speed < 0),
                    )
                )
        streams.append(
            Stream('bicyclist', drive * edge, rng.uniform(3.5, 5), rng.uniform(24, 38), 20)
        )
        streams.append(
            Stream('bicyclist', -drive * edge, -rng.uniform(3.5, 5), rng.uniform(26, 44), 21)
        )
        return streams

    def moving(self, low: float, high: float, time: float, car_s: float) -> list:
        """The moving objects, at their positions at a given time.

        Args:
            low: from this s.
            high: to this s.
            time: in seconds.
            car_s: position of the camera's car.
        """
        things: list = []
        for stream in self._streams:
            shift = stream.speed * time
            for slot in range(
                int((low - shift) // stream.spacing) - 1, int((high - shift) // stream.spacing) + 1
            ):
                rng = np.random.default_rng([self._layout.seed, 15, stream.seed, slot + 1000000])
                s = (slot + rng.uniform(0, 0.6)) * stream.spacing + shift
                if not low <= s <= high or rng.random() < 0.12:
                    continue
                things.extend(self._slot(stream, rng, s))
        things.extend(self._companions(time, car_s))
        return things

    def _slot(self, stream: Stream, rng: np.random.Generator, s: float) -> Iterator:
        look = int(rng.integers(1 << 30))
        if stream.kind == 'pedestrian':
            d = stream.d + rng.uniform(-0.3, 0.3)
            yield Pedestrian(s, d, stream.speed, look)
            if rng.random() < 0.3:
                yield Pedestrian(s + 0.1, d + 0.6, stream.speed, look + 1)
        elif stream.kind == 'bicyclist':
            yield Bicyclist(s, stream.d + rng.uniform(-0.2, 0.2), stream.speed, look)
        else:
            body = int(rng.choice(5, p=[0.34, 0.28, 0.2, 0.12, 0.06]))
            colors = BUS_COLORS if body == BUS else COLORS
            yield Car(s, stream.d, body, colors[rng.integers(len(colors))], np.pi, self._lights)

    def _companions(self, time: float, car_s: float) -> Iterator:
        """A car ahead in the lane and a bicyclist beside it, at distances that swing slowly."""
        rng = np.random.default_rng([self._layout.seed, 16])
        gap = rng.uniform(13, 26) + 4 * np.sin(time * 0.21 + rng.uniform(0, 6))
        body = int(rng.choice(5, p=[0.36, 0.28, 0.2, 0.12, 0.04]))
        colors = BUS_COLORS if body == BUS else COLORS
        if rng.random() < 0.75:
            yield Car(
                car_s + gap + BODIES[body].half_length,
                self._layout.lane,
                body,
                colors[rng.integers(len(colors))],
                0.0,
                self._lights,
            )
        ride = rng.uniform(7.5, 11) + 1.5 * np.sin(time * 0.33 + rng.uniform(0, 6))
        section = self._layout.section
        yield Bicyclist(
            car_s + ride,
            section.drive * (section.travel - 0.5),
            4.0,
            int(rng.integers(1 << 30)),
            rng.uniform(-0.25, 0.25),
        )

"""A street seen from a moving car, frame by frame, with its labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .camera import PinholeCamera
from .canvas import Canvas
from .course import Course, View
from .ground import paint_ground
from .layout import Layout, far_to_near
from .lens import Lens
from .painter import FINE, Painter
from .traffic import Traffic
from .weather import Sky, Weather

REACH = 150.0  # metres; farther things are left to the skyline
START_NS = 1_700_000_000_000_000_000  # stamp of frame 0


class StreetFrame(NamedTuple):
    """One image of the street.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class ids of camvid11, every pixel labelled.
        stamp_ns: nanoseconds since the epoch.
    """

    image: np.ndarray
    labels: np.ndarray
    stamp_ns: int


class Street:
    """A street with its weather, its traffic and a car that drives along it at 8 to 12 m/s.

    The same seed gives the same street, pixel for pixel, in any process; any frame can be asked
    for at any time.

    Args:
        seed: 0 or more.
        size: height and width of the images in pixels, at least 16 each.

    Attributes:
        seed: the argument of that name.
        camera: the pinhole camera that looks at it.
        weather: the day's light and weather.

    Raises:
        ValueError: if the seed is negative or the size too small.
    """

    def __init__(self, seed: int, size: tuple[int, int] = (360, 480)) -> None:
        if seed < 0:
            raise ValueError(f"a street's seed is 0 or more, not {seed}")
        if min(size) < 16:
            raise ValueError(
                f'an image of a street has at least 16x16 pixels, not {size[0]}x{size[1]}'
            )
        rng = np.random.default_rng([seed, 1])
        self.seed = seed
        self.camera = PinholeCamera.dash(size, float(rng.uniform(1.3, 1.6)))
        self.weather = Weather.draw(rng)
        self._course = Course(rng, float(rng.choice([0.2, 0.6, 1.0])))
        self._speed = float(rng.uniform(8.5, 11.5))
        self._start = float(rng.uniform(0, 5000))
        self._sky = Sky(rng, self.weather, self.camera)
        self._lens = Lens(rng, self.weather, self.camera)
        lamps_on = self.weather.kind in ('dusk', 'fog', 'rain')
        self._layout = Layout(seed)
        self._traffic = Traffic(self._layout, lamps_on)

    def frame(self, index: int, rate_hz: float = 10.0) -> StreetFrame:
        """Frame number `index` of a camera with `rate_hz` frames per second.

        Args:
            index: 0 or more.
            rate_hz: frames per second.
        """
        time = index / rate_hz
        # The speed varies by half a metre per second, as a driver's does.
        s = self._start + self._speed * time + 1.5 * np.sin(time / 3)
        view = View(self.camera, self._course, s, self._layout.lane)
        canvas = Canvas((self.camera.height, self.camera.width))
        painter = Painter(canvas, view, self.weather)
        standing = self._layout.standing(s - 3, s + REACH, s + FINE)
        moving = self._traffic.moving(s - 6, s + REACH * 0.6, time, s)
        self._sky.paint(canvas.samples, view.yaw)
        paint_ground(painter, self._layout, standing + moving)
        for thing in far_to_near(standing + moving, s, self._layout.section):
            thing.paint(painter, time)
        image, labels = canvas.finish()
        image = self._lens.expose(image, labels, index)
        return StreetFrame(image, labels, START_NS + int(round(time * 1e9)))


def random_scenes(
    seed: int, count: int, size: tuple[int, int] = (360, 480)
) -> Iterator[StreetFrame]:
    """Single frames of many streets, for training.

    Args:
        seed: 0 or more; scene i of a seed is always the same, whatever the count.
        count: number of scenes.
        size: height and width in pixels.

    Yields:
        frames of `count` different streets.
    """
    for i in range(count):
        rng = np.random.default_rng([seed, 2, i])
        street = Street(int(rng.integers(1 << 32, 1 << 62)), size)
        yield street.frame(int(rng.integers(0, 600)))

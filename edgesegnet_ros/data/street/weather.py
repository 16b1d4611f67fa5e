"""Light and weather of one street: sun, sky, haze, wetness, exposure."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import cv2
import numpy as np

from .camera import PinholeCamera
from .canvas import OVERSAMPLING
from .labels import BUILDING, SKY, TREE
from .textures import noise

KINDS = ('sunny', 'overcast', 'cloudy', 'dusk', 'fog', 'rain')


@dataclass(frozen=True)
class Weather:
    """The effect of light and air on the image.

    Attributes:
        kind: one of `KINDS`.
        sun: (3,) direction to the sun: right, up, forward of the road's absolute north.
        sunshine: strength of direct light, 0 to 1; cast shadows go with it.
        ambient: brightness of what lies in shade.
        tint: (3,) RGB factor of the light.
        haze: (3,) RGB that far things fade to.
        visibility: metres after which two thirds of the colour are haze.
        wet: share of the mirrored sky and houses on the road, 0 to 1.
        dusk: whether lamps and windows are lit.
        exposure: factor on the finished image.
    """

    kind: str
    sun: np.ndarray
    sunshine: float
    ambient: float
    tint: tuple[float, float, float]
    haze: tuple[float, float, float]
    visibility: float
    wet: float
    dusk: bool
    exposure: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Weather:
        """A random weather: two in five are sunny, one in ten each are dusk, fog and rain."""
        kind = str(rng.choice(KINDS, p=[0.4, 0.2, 0.16, 0.08, 0.06, 0.1]))
        azimuth = rng.uniform(0, 2 * np.pi)
        elevation = np.radians(rng.uniform(22, 55))
        sun = np.array(
            [
                np.sin(azimuth) * np.cos(elevation),
                np.sin(elevation),
                np.cos(azimuth) * np.cos(elevation),
            ]
        )
        sunshine, ambient, tint, haze, visibility, wet = {
            'sunny': (1.0, 0.62, (1.05, 1.0, 0.93), (196, 210, 226), 420, 0.0),
            'cloudy': (0.45, 0.74, (1.0, 1.0, 0.98), (200, 206, 214), 380, 0.0),
            'overcast': (0.0, 0.86, (0.97, 0.99, 1.02), (196, 200, 204), 300, 0.0),
            'dusk': (0.0, 0.62, (1.02, 0.9, 0.86), (150, 124, 116), 320, 0.0),
            'fog': (0.0, 0.9, (0.99, 1.0, 1.0), (206, 208, 208), 95, 0.05),
            'rain': (0.0, 0.76, (0.95, 0.98, 1.03), (170, 176, 184), 190, 0.38),
        }[kind]
        return cls(
            kind,
            sun,
            sunshine,
            ambient,
            tint,
            haze,
            visibility * rng.uniform(0.85, 1.3),
            wet,
            kind == 'dusk',
            rng.uniform(1.05, 1.4) * (0.72 if kind == 'dusk' else 1.0),
        )

    def light(self, toward_sun):
        """Brightness of faces in the open.

        Args:
            toward_sun: cosine between a face's normal and the sun; a number or an array.
        """
        return self.ambient + 0.5 * self.sunshine * np.maximum(0.0, toward_sun)

    @property
    def diffuse(self) -> float:
        """Brightness of things that have no one face."""
        return self.ambient + 0.22 * self.sunshine

    def fade(self, distance: float) -> float:
        """Share of haze, 0 to 1, at a distance in metres."""
        return 1.0 - exp(-max(distance, 0.0) / self.visibility)

    def shade(self, color, brightness: float, distance: float) -> tuple[float, float, float]:
        """The colour of a surface under this light and at this distance."""
        share = self.fade(distance)
        gain = brightness * (1.0 - share)
        red, green, blue = self.tint
        haze = self.haze
        return (
            float(color[0]) * gain * red + haze[0] * share,
            float(color[1]) * gain * green + haze[1] * share,
            float(color[2]) * gain * blue + haze[2] * share,
        )


class Sky:
    """A panorama of sky and far-off roofs and trees that turns with the camera's heading.

    Args:
        rng: source of clouds and skyline.
        weather: light and colours.
        camera: gives scale and horizon.
    """

    def __init__(self, rng: np.random.Generator, weather: Weather, camera: PinholeCamera) -> None:
        k = OVERSAMPLING
        self._scale = camera.focal * k
        rows = max(2, int(np.ceil((camera.cy + 2) * k)))
        # At least three images wide; it wraps, and no street bends far enough to show it twice.
        columns = camera.width * k * 3
        small = (max(4, rows // 4), columns // 4)
        top, low = {
            'sunny': ((84, 138, 206), (196, 216, 236)),
            'cloudy': ((120, 152, 196), (210, 218, 228)),
            'overcast': ((186, 190, 198), (218, 220, 222)),
            'dusk': ((70, 82, 124), (236, 150, 96)),
            'fog': ((198, 202, 204), (210, 212, 212)),
            'rain': ((132, 138, 148), (182, 186, 192)),
        }[weather.kind]
        down = np.linspace(0, 1, small[0], dtype=np.float32)[:, None, None] ** 1.2
        sky = (1 - down) * np.array(top, np.float32) + down * np.array(low, np.float32)
        sky = np.repeat(sky, small[1], 1)
        cover = {
            'sunny': 0.56,
            'cloudy': 0.44,
            'overcast': 0.2,
            'dusk': 0.5,
            'fog': 0.9,
            'rain': 0.2,
        }[weather.kind] + rng.uniform(-0.08, 0.08)
        cloud = noise(rng, small, small[0] * 0.7, 5, wrap=True)
        share = np.clip((cloud - cover) * 4.5, 0, 0.95)[..., None]
        white = {
            'dusk': (214, 150, 132),
            'rain': (150, 154, 162),
            'overcast': (206, 209, 214),
        }.get(weather.kind, (244, 245, 248))
        shadow = 1 - 0.22 * np.clip((cloud - cover - 0.12) * 5, 0, 1)[..., None]
        sky = sky * (1 - share) + np.array(white, np.float32) * shadow * share
        # Dithered before it is made bytes and large, or the gradient would show steps.
        sky += rng.random(small, np.float32)[..., None] - 0.5
        small_sky = np.dstack([np.clip(sky, 0, 255), np.full(small, SKY)]).astype(np.uint8)
        self._panorama = cv2.resize(small_sky, (columns, rows), interpolation=cv2.INTER_LINEAR)
        self._skyline(rng, weather, camera)

    def _skyline(self, rng, weather, camera) -> None:
        rows, columns = self._panorama.shape[:2]
        metre = self._scale / 210.0
        horizon = int(camera.cy * OVERSAMPLING)
        x = 0
        while x < columns:
            width = int(rng.uniform(5, 16) * metre) + 2
            height = int(rng.uniform(4, 12) * metre)
            if rng.random() < 0.45:
                color = weather.shade(
                    rng.uniform(70, 170) * np.array([1, 0.93, 0.85]), weather.ambient, 190
                )
                cv2.rectangle(
                    self._panorama,
                    (x, horizon - height),
                    (x + width, rows),
                    (*color, BUILDING),
                    -1,
                )
                roof = np.array(
                    [
                        [x, horizon - height],
                        [x + width, horizon - height],
                        [x + width // 2, horizon - height - width // 4],
                    ],
                    np.int32,
                )
                cv2.fillConvexPoly(
                    self._panorama,
                    roof,
                    (*weather.shade((96, 80, 74), weather.ambient, 190), BUILDING),
                )
            else:
                color = weather.shade((72, 82, 52), weather.ambient * rng.uniform(0.8, 1.1), 190)
                cv2.rectangle(
                    self._panorama,
                    (x, horizon - height // 2),
                    (x + width, rows),
                    (*color, TREE),
                    -1,
                )
                for _ in range(5):
                    centre = (
                        x + int(rng.uniform(0, width)),
                        horizon - int(height * rng.uniform(0.3, 0.9)),
                    )
                    cv2.circle(
                        self._panorama, centre, max(2, int(width * 0.35)), (*color, TREE), -1
                    )
            x += int(width * rng.uniform(0.8, 1.0)) + 1

    def paint(self, samples: np.ndarray, yaw: float) -> None:
        """Fill the part of the canvas above the road.

        Args:
            samples: (H*k, W*k, 4) canvas.
            yaw: absolute heading of the camera in radians.
        """
        rows, columns = self._panorama.shape[:2]
        rows = min(rows, samples.shape[0])
        width = samples.shape[1]
        left = int(round(yaw * self._scale)) % columns
        first = min(width, columns - left)
        samples[:rows, :first] = self._panorama[:rows, left : left + first]
        if first < width:
            samples[:rows, first:] = self._panorama[:rows, : width - first]

"""The camera's effects on the image: wet reflections, blur, vignette, exposure, noise."""

from __future__ import annotations

import cv2
import numpy as np

from .camera import PinholeCamera
from .labels import ROAD
from .weather import Weather


class Lens:
    """The image side of one camera.

    Args:
        rng: source of its faults.
        weather: wetness and exposure.
        camera: gives size and horizon.
    """

    def __init__(self, rng: np.random.Generator, weather: Weather, camera: PinholeCamera) -> None:
        self._weather, self._camera = weather, camera
        rows, columns = camera.height, camera.width
        y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
        radius = np.hypot((x - camera.cx) / columns, (y - (rows - 1) / 2) / rows) * 2
        gain = weather.exposure * (1 - rng.uniform(0.08, 0.22) * radius**2 / 2)
        balance = rng.uniform(0.96, 1.04, 3)
        self._gain = (gain[..., None] * balance).astype(np.float32)
        self._blur = float(rng.uniform(0.25, 0.75))
        shape = (rows + 64, columns + 64)
        grain = rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(1.5, 4.5))
        tinted = rng.standard_normal((*shape, 3), np.float32) * np.float32(1.2)
        self._grain = grain[..., None] + tinted

    def expose(self, image: np.ndarray, labels: np.ndarray, index: int) -> np.ndarray:
        """The image as the camera records it.

        Args:
            image: (H, W, 3) uint8 RGB as painted.
            labels: (H, W) uint8 class ids.
            index: number of the frame; moves the noise.

        Returns:
            (H, W, 3) uint8 RGB.
        """
        if self._weather.wet > 0:
            image = self._mirror(image, labels)
        image = cv2.GaussianBlur(image, (3, 3), self._blur)
        top, left = (index * 37) % 64, (index * 53) % 64
        noise = self._grain[top : top + image.shape[0], left : left + image.shape[1]]
        exposed = cv2.multiply(image, self._gain, dtype=cv2.CV_32F)
        return cv2.add(exposed, noise, dtype=cv2.CV_8U)

    def _mirror(self, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
        horizon = int(np.ceil(self._camera.cy)) + 1
        below = image.shape[0] - horizon
        above = image[max(0, horizon - below) : horizon][::-1]
        above = cv2.resize(above, (image.shape[1], below), interpolation=cv2.INTER_LINEAR)
        above = cv2.blur(above, (5, 21))
        ground = image[horizon:]
        wet = cv2.addWeighted(ground, 1 - self._weather.wet, above, self._weather.wet, 0)
        mask = np.where(labels[horizon:] == ROAD, np.uint8(255), np.uint8(0))
        image = image.copy()
        cv2.copyTo(wet, mask, image[horizon:])
        return image

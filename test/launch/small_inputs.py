"""Models and images for the launch tests, small except for the street with its true labels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgesegnet_ros.data.street import Street
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo, save_weights

NUM_CLASSES = 11
WIDTH, HEIGHT = 160, 120


def untrained_model(folder: Path) -> Path:
    """Weights that fit the class file camvid11."""
    path = folder / 'untrained.safetensors'
    info = WeightsInfo('camvid11', NUM_CLASSES, (64, 64))
    save_weights(path, build_network('edgesegnet', NUM_CLASSES), info)
    return path


def street_images(folder: Path, count: int) -> tuple[Path, list[np.ndarray]]:
    """A folder of images of a rendered street, and their true labels, (H, W) uint8 class ids."""
    images = folder / 'street'
    images.mkdir()
    street = Street(7, (HEIGHT, WIDTH))
    frames = [street.frame(number) for number in range(count)]
    for number, frame in enumerate(frames):
        cv2.imwrite(str(images / f'{number:03}.png'), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    return images, [frame.labels for frame in frames]


def noise_images(folder: Path, count: int) -> Path:
    """A folder of `count` images."""
    images = folder / 'images'
    images.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        image = random.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        cv2.imwrite(str(images / f'{number:03}.png'), image)
    return images

"""Random views of labelled images, for training."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from edgesegnet_ros.data.classes import VOID
from edgesegnet_ros.data.geometry import PADDING_GREY


def random_view(
    image: np.ndarray,
    labels: np.ndarray,
    frame: tuple[int, int],
    crop: tuple[int, int],
    scales: tuple[float, float],
    random: np.random.Generator,
    *,
    aspect: float = 0.1,
    flip: bool = True,
    shrinking: str = 'area',
) -> tuple[np.ndarray, np.ndarray]:
    """A random view of an image: scaled, cropped and mirrored.

    The image is first resized to `frame`, the size at which the network sees whole images, times a
    random scale. The part of a crop that lies outside of the image is grey and void.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8.
        frame: Height and width of the image at scale 1.
        crop: Height and width of the view.
        scales: Smallest and largest scale, drawn log-uniformly.
        random: Random generator.
        aspect: Largest change of the width alone, as a logarithm.
        flip: Whether half of the views are mirrored.
        shrinking: `area` averages, as `data.geometry` does for the robot; `linear` takes the
            nearest four pixels, which is sharper; `mixed` draws one of the two.

    Returns:
        (crop, 3) uint8 and (crop) uint8.
    """
    scale = np.exp(random.uniform(np.log(scales[0]), np.log(scales[1])))
    stretch = np.exp(random.uniform(-aspect, aspect))
    height = max(16, round(frame[0] * scale))
    width = max(16, round(frame[1] * scale * stretch))
    averages = height * width < labels.size and shrinking != 'linear'
    if averages and shrinking == 'mixed':
        averages = random.random() < 0.5
    top, left = _corner(height, crop[0], random), _corner(width, crop[1], random)
    shown = [
        _cut(plane, (height, width), (top, left), crop, how, fill)
        for plane, how, fill in (
            (image, cv2.INTER_AREA if averages else cv2.INTER_LINEAR, PADDING_GREY),
            (labels, cv2.INTER_NEAREST_EXACT, VOID),
        )
    ]
    if flip and random.random() < 0.5:
        shown = [cv2.flip(plane, 1) for plane in shown]
    return shown[0], shown[1]


def paste(
    onto: tuple[np.ndarray, np.ndarray], source: tuple[np.ndarray, np.ndarray], classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Paste some classes of one view onto another.

    After Ghiasi et al. (arXiv 2012.07177), with all pixels of a class in place of instances.

    Args:
        onto: (h, w, 3) uint8 and (h, w) uint8 labels.
        source: A view of the same size.
        classes: Ids of the classes to paste.
    """
    table = np.zeros(256, np.uint8)
    table[classes] = 255
    taken = cv2.LUT(source[1], table)
    image, labels = onto[0].copy(), onto[1].copy()
    cv2.copyTo(source[0], taken, image)
    cv2.copyTo(source[1], taken, labels)
    return image, labels


def tone(image: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of an image's CIELAB channels: (2, 3) float64, 8-bit units.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    return _statistics(cv2.cvtColor(image, cv2.COLOR_RGB2LAB))


def _statistics(image: np.ndarray) -> np.ndarray:
    mean, deviation = cv2.meanStdDev(image)
    return np.concatenate([mean.T, deviation.T])


def take_tone(image: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """Move the light and the colours of an image towards those of another one.

    After Reinhard et al., Color Transfer between Images (2001): mean and deviation of each
    channel, in CIELAB. A deviation is at most halved or doubled, so that the noise of a uniform
    image is not amplified.

    Args:
        image: (H, W, 3) uint8 RGB.
        other: The return value of `tone` for the other image.
        share: From 0 (no change) to 1 (the other image's statistics).
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    own = _statistics(lab)
    stretch = np.clip(other[1] / np.maximum(own[1], 1e-3), 0.5, 2.0) ** share
    shift = own[0] + share * (other[0] - own[0]) - own[0] * stretch
    tables = np.arange(256) * stretch[:, None] + shift[:, None]
    tables = np.clip(np.rint(tables), 0, 255).astype(np.uint8)
    return cv2.cvtColor(cv2.merge(list(_look_up(lab, tables))), cv2.COLOR_LAB2RGB)


def _look_up(image: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Apply a table to each channel, which is faster channel by channel.

    Args:
        image: (H, W, 3) uint8.
        tables: (3, 256) uint8.

    Returns:
        (3, H, W) uint8.
    """
    planes = _planes_of(image)
    for plane, table in zip(planes, tables):
        cv2.LUT(plane, table, plane)
    return planes


def _planes_of(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 to (3, H, W)."""
    planes = np.empty((3, *image.shape[:2]), np.uint8)
    cv2.split(image, list(planes))
    return planes


def relight(image: np.ndarray, random: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Light an image unevenly, as shadows, low sun and a lens do, and add sensor noise.

    Args:
        image: (H, W, 3) uint8 RGB.
        random: Random generator.
        strength: Multiplies the ranges; 0 changes nothing.
    """
    if not strength:
        return image
    cells = int(random.integers(2, 6))
    stops = random.normal(0.0, 0.5 * strength * random.random(), (cells, cells, 1))
    stops = (stops + random.normal(0.0, 0.06 * strength, (cells, cells, 3))).astype(np.float32)
    # In float32 and by OpenCV: in float64 this was five of the eight milliseconds of a view. Cubic
    # interpolation of floats is slow, and above 64 cells linear interpolation looks the same.
    height, width = image.shape[:2]
    cubic = _cubic(cells)
    curve = np.matmul(cubic, (cubic @ stops.reshape(cells, -1)).reshape(64, cells, 3))
    curve *= np.float32(np.log(2.0))
    gain = cv2.resize(cv2.exp(curve), (width, height), interpolation=cv2.INTER_LINEAR)
    lit = cv2.multiply(image, gain, gain, dtype=cv2.CV_32F)
    table = _normal_numbers(max(1 << 18, 2 * height * width))
    first = int(random.integers(len(table) - height * width))
    noise = table[first : first + height * width].reshape(height, width)
    deviation = 6.0 * strength * random.random() ** 2
    grey = cv2.cvtColor(noise, cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(lit, 1.0, grey, deviation, 0.0, dtype=cv2.CV_8U)


@lru_cache(maxsize=8)
def _cubic(cells: int) -> np.ndarray:
    """(64, cells) float32: cubic interpolation along one axis, in a third of cv2.resize's time."""
    return cv2.resize(np.eye(cells, dtype=np.float32), (cells, 64), interpolation=cv2.INTER_CUBIC)


@lru_cache(maxsize=2)
def _normal_numbers(count: int) -> np.ndarray:
    """(count,) float32 normal numbers; the noise of an image is a slice of them."""
    return np.random.default_rng(0).standard_normal(count, np.float32)


def _corner(size: int, crop: int, random: np.random.Generator) -> int:
    return int(random.integers(min(0, size - crop), max(0, size - crop) + 1))


def _cut(
    image: np.ndarray,
    size: tuple[int, int],
    corner: tuple[int, int],
    crop: tuple[int, int],
    interpolation: int,
    fill: int,
) -> np.ndarray:
    """The crop of an image that is scaled to `size`; its corner may lie outside of the image.

    Only the visible part is scaled. Its edges are rounded to whole pixels of the image, which
    changes the scale by less than a pixel in the crop's length.
    """
    parts, slices = [], []
    for source, scaled, first, length in zip(image.shape[:2], size, corner, crop):
        begin, end = max(0, first), min(scaled, first + length)
        low = min(round(begin * source / scaled), source - 1)
        parts.append(slice(low, max(low + 1, round(end * source / scaled))))
        slices.append(slice(begin - first, end - first))
    height, width = (each.stop - each.start for each in slices)
    part = image[parts[0], parts[1]]
    if interpolation == cv2.INTER_AREA:
        part = _shrunk(part, (height, width))
    else:
        part = cv2.resize(part, (width, height), interpolation=interpolation)
    if (height, width) == crop:
        return part
    out = np.full(crop + image.shape[2:], fill, image.dtype)
    out[slices[0], slices[1]] = part
    return out


def _shrunk(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Averages over areas: scaled to a multiple of the size, of which whole pixels are averaged.

    On CamVid's images this differs from INTER_AREA by 0.5 of 255 on average and by 1.3 at most,
    at less than half its time (INTER_LINEAR: by 1 to 5). The multiple may be smaller than the
    image by up to two sevenths, and is 4 in place of 3, which takes a quarter less time and adds
    0.07 to that average.
    """
    multiples = [
        max(1, -(-source * 5 // (wanted * 7))) for source, wanted in zip(image.shape[:2], size)
    ]
    multiples = [4 if multiple == 3 else multiple for multiple in multiples]
    height, width = (multiple * wanted for multiple, wanted in zip(multiples, size))
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    if max(multiples) > 4:
        return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    while max(multiples) > 1:
        # Halfway between two pixels linear interpolation is their mean, at a fifth of the time.
        multiples = [-(-multiple // 2) for multiple in multiples]
        height, width = (multiple * wanted for multiple, wanted in zip(multiples, size))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return image


def recolour(image: np.ndarray, random: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Vary brightness, contrast, gamma, colour balance, saturation and sharpness.

    Args:
        image: (H, W, 3) uint8 RGB.
        random: Random generator.
        strength: Multiplies the ranges; 0 changes nothing.

    Returns:
        (3, H, W) uint8 RGB.
    """
    if not strength:
        return _planes_of(image)
    levels = np.arange(256, dtype=np.float32) / 255.0
    gamma = np.exp(strength * random.uniform(-0.3, 0.3))
    contrast = 1.0 + strength * random.uniform(-0.25, 0.3)
    brightness = strength * random.uniform(-0.12, 0.12)
    balance = 1.0 + strength * random.uniform(-0.08, 0.08, 3)
    curve = (levels**gamma - 0.5) * contrast + 0.5 + brightness
    tables = np.clip(curve * balance[:, None] * 255.0, 0, 255).astype(np.uint8)
    planes = _look_up(image, tables)
    grey = cv2.cvtColor(cv2.merge(list(planes)), cv2.COLOR_RGB2GRAY)
    saturation = 1.0 + strength * random.uniform(-0.4, 0.3)
    for plane in planes:
        cv2.addWeighted(plane, saturation, grey, 1.0 - saturation, 0.0, plane)
    if random.random() < 0.15 * strength:
        deviation = random.uniform(0.3, 1.2)
        for plane in planes:
            cv2.GaussianBlur(plane, (3, 3), deviation, plane)
    return planes

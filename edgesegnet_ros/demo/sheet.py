"""The overview image of a demo: input, labels, prediction, overlay and masks side by side."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from edgesegnet_ros.data.classes import VOID, ClassSet
from edgesegnet_ros.data.overlay import colorize, legend

WIDTH = 1640
MARGIN = 20
GAP = 14
TITLE = 34
PER_ROW = 4
INK = (32, 33, 36)
SOFT_INK = (95, 99, 104)
GROUP_COLORS = ((52, 199, 89), (255, 149, 0), (10, 132, 255), (255, 69, 58), (191, 90, 242))
_FONT = cv2.FONT_HERSHEY_DUPLEX
_FINER = 4


class Panel(NamedTuple):
    """One image with its title.

    Attributes:
        title: Title.
        note: Text in grey after the title.
        image: (H, W, 3) uint8 RGB.
    """

    title: str
    note: str
    image: np.ndarray


def compose(
    images: Dict[str, np.ndarray], classes: ClassSet, heading: str, figures: str
) -> np.ndarray:
    """Draw everything that was collected of one frame.

    Args:
        pictures: `image` and `overlay` (H, W, 3) uint8 RGB, `mask` and perhaps `labels` (H, W)
            uint8 class ids, `group_<name>` (H, W) uint8 0 or 255.
        classes: Class set with names and colours.
        heading: The first line.
        figures: The line below it.

    Returns:
        (h, 1640, 3) uint8 RGB.
    """
    image, mask = images['image'], images['mask']
    labels = images.get('labels')
    palette = classes.palette
    first = [Panel('camera image', 'image', image)]
    if labels is not None and (labels != VOID).any():
        first.append(Panel('ground truth', 'labels', colorize(labels, palette)))
    first.append(Panel('predicted classes', 'segmentation/mask', colorize(mask, palette)))
    first.append(Panel('overlay', 'segmentation/overlay', images['overlay']))
    groups = [
        Panel(
            name[len('group_') :],
            f'segmentation/masks/{name[len("group_") :]}',
            highlight(image, pixels, GROUP_COLORS[number % len(GROUP_COLORS)]),
        )
        for number, (name, pixels) in enumerate(
            item for item in images.items() if item[0].startswith('group_')
        )
    ]
    present = sorted(set(np.unique(mask)) | set(np.unique(mask if labels is None else labels)))
    strips = [_header(heading, figures)]
    strips += [_row(first[i : i + PER_ROW]) for i in range(0, len(first), PER_ROW)]
    strips += [_row(groups[i : i + PER_ROW]) for i in range(0, len(groups), PER_ROW)]
    strips.append(_framed(legend(classes, WIDTH - 2 * MARGIN, present)))
    return np.vstack(strips)


def highlight(image: np.ndarray, pixels: np.ndarray, color: Tuple[int, int, int]) -> np.ndarray:
    """The image, dark and grey, with the pixels of a group in colour.

    Args:
        image: (H, W, 3) uint8 RGB.
        pixels: (h, w) uint8, not 0 inside.
        color: Colour of the inside, RGB.
    """
    height, width = image.shape[:2]
    inside = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT) > 0
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    dark = (grey * 0.35).astype(np.uint8)
    tinted = (grey * 0.45 + np.asarray(color, np.float32) * 0.55).astype(np.uint8)
    return np.where(inside[..., None], tinted, dark)


def _row(panels: List[Panel]) -> np.ndarray:
    width = (WIDTH - 2 * MARGIN - GAP * (len(panels) - 1)) // len(panels)
    images = [_fit(panel.image, width) for panel in panels]
    height = max(image.shape[0] for image in images)
    row = np.full((TITLE + height + GAP, WIDTH, 3), 255, np.uint8)
    for number, (panel, image) in enumerate(zip(panels, images)):
        left = MARGIN + number * (width + GAP)
        end = _write(row, panel.title, (left, 24), 0.62, INK)
        _write(row, panel.note, (end + 10, 24), 0.45, SOFT_INK, limit=left + width)
        row[TITLE : TITLE + image.shape[0], left : left + width] = image
    return row


def _fit(image: np.ndarray, width: int) -> np.ndarray:
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    method = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=method)


def _header(heading: str, figures: str) -> np.ndarray:
    strip = np.full((76, WIDTH, 3), 255, np.uint8)
    _write(strip, heading, (MARGIN, 36), 0.9, INK)
    _write(strip, figures, (MARGIN, 64), 0.52, SOFT_INK)
    return strip


def _framed(strip: np.ndarray) -> np.ndarray:
    framed = np.full((strip.shape[0] + 12, WIDTH, 3), 255, np.uint8)
    framed[: strip.shape[0], MARGIN : MARGIN + strip.shape[1]] = strip
    return framed


def _write(
    strip: np.ndarray,
    text: str,
    baseline: Tuple[int, int],
    scale: float,
    color: Tuple[int, int, int],
    limit: Optional[int] = None,
) -> int:
    """Write one line, drawn larger and averaged, which smooths OpenCV's stroke font.

    Returns:
        The column where the text ends; nothing is written if that is beyond `limit`.
    """
    (width, height), below = cv2.getTextSize(text, _FONT, scale * _FINER, _FINER)
    left, bottom = baseline
    columns = -(-width // _FINER)
    if left + columns > (limit or strip.shape[1]):
        return left
    rows = -(-(height + 2 * below) // _FINER)
    ink = np.zeros((rows * _FINER, columns * _FINER), np.uint8)
    cv2.putText(ink, text, (0, height + below), _FONT, scale * _FINER, 255, _FINER, cv2.LINE_AA)
    share = cv2.resize(ink, (columns, rows), interpolation=cv2.INTER_AREA)[..., None] / 255.0
    top = max(0, bottom - (height + below) // _FINER)
    window = strip[top : top + rows, left : left + columns]
    share = share[: window.shape[0]]
    window[:] = (window * (1 - share) + np.asarray(color, np.float32) * share).astype(np.uint8)
    return left + columns

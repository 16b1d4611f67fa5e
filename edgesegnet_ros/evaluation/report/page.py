"""A self-contained HTML page, which makes no request and is written atomically."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np

TEMPLATES = Path(__file__).parent / 'templates'
PICTURE_WIDTH = 480
"""Largest width of an image in pixels, which bounds the size of the page."""
_JPEG_QUALITY = 82


def render(template: str, **context: Any) -> str:
    """Render a template of this package.

    Args:
        template: File name in `templates/`.
        context: Variables of the template. Text is escaped; SVG and HTML are `markupsafe.Markup`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['percent'] = percent
    environment.filters['number'] = number
    environment.filters['of_100'] = of_100
    return environment.get_template(template).render(**context)


def percent(value: float | None, digits: int = 1) -> str:
    """A share as per cent: 0.8731 becomes `87.3 %`, and None a dash."""
    return '–' if value is None else f'{100 * value:.{digits}f}\u202f%'


def of_100(value: float) -> str:
    """A share as a number out of a hundred; 0 and 100 are used only where they are exact."""
    count = 100 * value
    if 99 < count < 100 or 0 < count < 1:
        return f'{count:.1f}'
    return f'{count:.0f}'


def number(value: float | None, digits: int = 1, unit: str = '') -> str:
    """A number with its unit; None becomes a dash."""
    if value is None:
        return '–'
    return f'{value:,.{digits}f}'.replace(',', '\u202f') + (f'\u202f{unit}' if unit else '')


def scaled(image: np.ndarray, width: int = PICTURE_WIDTH) -> np.ndarray:
    """An image shrunk to at most `width` by averaging."""
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def scaled_labels(labels: np.ndarray, width: int = PICTURE_WIDTH) -> np.ndarray:
    """A label map shrunk to at most `width` by nearest neighbour."""
    if labels.shape[1] <= width:
        return labels
    height = max(1, round(labels.shape[0] * width / labels.shape[1]))
    return cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def photo(image: np.ndarray) -> bytes:
    """JPEG of an (H, W, 3) uint8 RGB camera image."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode('.jpg', bgr, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))[1].tobytes()


def drawing(image: np.ndarray) -> bytes:
    """PNG of an (H, W, 3) uint8 RGB image with few colours."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode('.png', bgr, (cv2.IMWRITE_PNG_COMPRESSION, 9))[1].tobytes()


def data_uri(content: bytes, media_type: str) -> str:
    """Bytes as a data URI."""
    return f'data:{media_type};base64,{base64.b64encode(content).decode("ascii")}'


def media_type(name: str) -> str:
    """Media type of an image or video, by its suffix."""
    return {'.jpg': 'image/jpeg', '.png': 'image/png', '.mp4': 'video/mp4', '.webm': 'video/webm'}[
        Path(name).suffix
    ]


def file_uri(path: Path) -> str:
    """An image or video file as a data URI."""
    return data_uri(path.read_bytes(), media_type(path.name))

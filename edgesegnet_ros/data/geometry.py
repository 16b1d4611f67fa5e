"""How a camera image lies in the network's input, and how labels come back from it.

All steps align pixel centres: pixel u of an image w wide covers [u, u + 1), and maps to
(u + 0.5) * scale - 0.5 in one `scale` times as wide.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

import cv2
import numpy as np

from edgesegnet_ros.errors import EdgeSegNetError

Size = Tuple[int, int]
"""Height and width in pixels."""
RESIZE_MODES = ('stretch', 'letterbox')
PADDING_GREY = 114
"""Grey value of the padding around an image, in all three channels."""


class GeometryError(EdgeSegNetError):
    """A size or a resize mode that cannot be used."""


class Placement(NamedTuple):
    """Where an image lies in the network's input.

    Attributes:
        source: Height and width of the camera image.
        network: Height and width of the network's input.
        content: Height and width of the image inside the input.
        top: First row of the image inside the input.
        left: First column of the image inside the input.
    """

    source: Size
    network: Size
    content: Size
    top: int
    left: int

    @property
    def fills(self) -> bool:
        """Whether the image covers the whole input."""
        return self.content == self.network

    @property
    def window(self) -> Tuple[slice, slice]:
        """Rows and columns of the input that show the image."""
        return (
            slice(self.top, self.top + self.content[0]),
            slice(self.left, self.left + self.content[1]),
        )


def compute_placement(source: Size, network: Size, mode: str) -> Placement:
    """Lay an image into the network's input.

    Args:
        source: Height and width of the image, at least 1.
        network: Height and width of the input.
        mode: `stretch` fills the input and lets the aspect go; `letterbox` keeps the aspect,
            centres the image and pads around it.

    Raises:
        GeometryError: An empty image or an unknown mode.
    """
    if min(source) < 1:
        raise GeometryError(f'an image of {source[1]}x{source[0]} pixels has nothing to resize')
    if mode == 'stretch':
        return Placement(source, network, network, 0, 0)
    if mode != 'letterbox':
        raise GeometryError(f'resize_mode {mode!r}: one of {", ".join(RESIZE_MODES)} is allowed')
    scale = min(network[0] / source[0], network[1] / source[1])
    height = min(network[0], max(1, int(round(source[0] * scale))))
    width = min(network[1], max(1, int(round(source[1] * scale))))
    return Placement(
        source, network, (height, width), (network[0] - height) // 2, (network[1] - width) // 2
    )


def to_network(
    image: np.ndarray, placement: Placement, out: Optional[np.ndarray] = None
) -> np.ndarray:
    """Resize an image into the network's input.

    Args:
        image: (H, W, 3) uint8, of `placement.source`'s size.
        placement: Where it goes.
        out: (h, w, 3) uint8 of the input's size, written and returned; made when not given.
    """
    if out is None:
        out = np.empty(placement.network + (3,), np.uint8)
    content_height, content_width = placement.content
    shrinks = placement.source[0] * placement.source[1] > content_height * content_width
    # Averaging is what keeps thin poles when an image shrinks.
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    if placement.fills:
        return cv2.resize(image, (content_width, content_height), dst=out, interpolation=method)
    out[:] = PADDING_GREY
    out[placement.window] = cv2.resize(
        image, (content_width, content_height), interpolation=method
    )
    return out


def to_source(
    labels: np.ndarray, placement: Placement, out: Optional[np.ndarray] = None
) -> np.ndarray:
    """Bring a label map (or a confidence) from the network's size to the image's own.

    Args:
        labels: (h, w) uint8 of the network input's size.
        placement: Where the image lay in it.
        out: (H, W) uint8 of the image's size, written and returned; made when not given.
    """
    height, width = placement.source
    content = labels[placement.window]
    if content.shape == (height, width):
        if out is None:
            return content.copy()
        out[:] = content
        return out
    return cv2.resize(content, (width, height), dst=out, interpolation=cv2.INTER_NEAREST_EXACT)


def blank_padding(labels: np.ndarray, placement: Placement, value: int) -> np.ndarray:
    """Set what lies outside the image, in place, in a map of the network input's size."""
    rows, columns = placement.window
    labels[: rows.start] = value
    labels[rows.stop :] = value
    labels[:, : columns.start] = value
    labels[:, columns.stop :] = value
    return labels

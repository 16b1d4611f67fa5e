"""Damaged JPEG data, which decoders fill with grey or with wrong pixels instead of refusing it.

libjpeg continues after damage with a warning, which OpenCV does not report. simplejpeg
does; it is optional, since a robot whose images are raw does not need it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgesegnet_ros.extras import install, is_there

_CHECKER = 'simplejpeg'
_START = b'\xff\xd8'


def missing_checker() -> str:
    """A sentence on what cannot be detected, with the remedy; empty with simplejpeg installed."""
    if is_there(_CHECKER):
        return ''
    return (
        'simplejpeg is not installed: a JPEG image that is cut off is refused, but one with other '
        f'damage is segmented as it is decoded ({install(_CHECKER)})'
    )


def is_cut_off(data: np.ndarray) -> bool:
    """Whether a JPEG lacks its end, whose missing rows some decoders fill with grey.

    Args:
        data: (bytes,) uint8; anything but a JPEG is not examined.
    """
    if data[:2].tobytes() != _START:
        return False
    content = data.tobytes()
    # A thumbnail before the image has an end of its own.
    return content.rfind(b'\xff\xd9') < content.rfind(b'\xff\xda')


def damage(data: np.ndarray) -> str:
    """What libjpeg warns of in a JPEG; empty where it does not, or where simplejpeg is missing.

    Not every flipped bit can be found: some give another image that is valid.

    Args:
        data: As for `is_cut_off`.
    """
    if data[:2].tobytes() != _START:
        return ''
    try:
        import simplejpeg
    except ImportError:
        return ''
    decode: Any = simplejpeg.decode_jpeg
    try:
        # Grey at an eighth of the size: all data is read, and hardly a pixel computed.
        decode(data.tobytes(), 'GRAY', min_height=1, min_width=1, strict=True)
    except ValueError as error:
        return str(error)
    return ''

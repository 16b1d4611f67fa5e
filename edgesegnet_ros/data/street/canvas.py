"""The surface that is painted on: colours and class ids in one array, so that they cannot part.

The canvas is `OVERSAMPLING` times as fine as the image. Channels 0 to 2 are RGB, channel 3 is the
class id; each shape is rasterised once for all four. The image is the average over a pixel's
samples (anti-aliased), its label the class of most of them.
"""

from __future__ import annotations

import cv2
import numpy as np

OVERSAMPLING = 2
_FRACTION_BITS = 4
_FAR_OFF = 16000.0


class Canvas:
    """An oversampled RGB + class surface.

    Args:
        size: height and width of the finished image in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.samples = np.zeros((size[0] * OVERSAMPLING, size[1] * OVERSAMPLING, 4), np.uint8)

    @property
    def colors(self) -> np.ndarray:
        """(H*k, W*k, 3) uint8 view of the colours."""
        return self.samples[..., :3]

    @property
    def classes(self) -> np.ndarray:
        """(H*k, W*k) uint8 view of the class ids."""
        return self.samples[..., 3]

    @staticmethod
    def to_samples(pixels: np.ndarray) -> np.ndarray:
        """Sample coordinates of pixel coordinates, both with integers at centres."""
        return (np.clip(pixels, -_FAR_OFF, _FAR_OFF) + 0.5) * OVERSAMPLING - 0.5

    def fixed(self, pixels: np.ndarray) -> np.ndarray:
        """Pixel coordinates in the form in which shapes are filled.

        Args:
            pixels: (..., 2) float.

        Returns:
            (..., 2) int32 sample coordinates with fraction bits.
        """
        return np.rint(self.to_samples(pixels) * (1 << _FRACTION_BITS)).astype(np.int32)

    def fill(self, points: np.ndarray, color, label: int, convex: bool = True) -> None:
        """Fill a polygon.

        Args:
            points: (n, 2) corners from `fixed`.
            color: RGB, 0 to 255.
            label: class id.
            convex: whether the faster way for convex polygons may be taken.
        """
        if convex:
            cv2.fillConvexPoly(self.samples, points, (*color, label), shift=_FRACTION_BITS)
        else:
            cv2.fillPoly(self.samples, [points], (*color, label), shift=_FRACTION_BITS)

    def fill_all(self, polygons: np.ndarray, color, label: int) -> None:
        """Fill polygons that do not overlap: (m, n, 2) corners from `fixed`."""
        if len(polygons):
            cv2.fillPoly(self.samples, list(polygons), (*color, label), shift=_FRACTION_BITS)

    def capsule(self, start, end, width: float, color, label: int) -> None:
        """A thick line with round ends, at least one sample wide.

        Args:
            start: two ints from `fixed`.
            end: two ints from `fixed`.
            width: in pixels.
            color: RGB, 0 to 255.
            label: class id.
        """
        cv2.line(self.samples, start, end, (*color, label),
                 min(max(1, round(width * OVERSAMPLING)), 2000), cv2.LINE_8, _FRACTION_BITS)

    def disc(self, centre, radius: float, color, label: int) -> None:
        """A filled circle: centre from `fixed`, radius in pixels."""
        cv2.circle(self.samples, centre,
                   max(1, round(radius * OVERSAMPLING * (1 << _FRACTION_BITS))),
                   (*color, label), -1, cv2.LINE_8, _FRACTION_BITS)

    def _window(self, points: np.ndarray) -> tuple[int, int, int, int] | None:
        rows, columns = self.samples.shape[:2]
        left, top = np.floor(points.min(0)).astype(int)
        right, bottom = np.ceil(points.max(0)).astype(int) + 1
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, columns), min(bottom, rows)
        return None if left >= right or top >= bottom else (left, top, right, bottom)

    def textured(self, pixels: np.ndarray, texture: Texture, corners: np.ndarray, label: int,
                 gain=1.0, add=(0.0, 0.0, 0.0)) -> None:
        """Stretch a texture over a four-cornered face.

        Args:
            pixels: (4, 2) corners on the image.
            texture: what to draw; transparent where its alpha is 0.
            corners: (4, 2) of the same corners in the texture, 0 to 1 across and down.
            label: class id.
            gain: factor on the colours.
            add: RGB added afterwards (haze).
        """
        points = self.to_samples(pixels)
        window = self._window(points)
        if window is None:
            return
        left, top, right, bottom = window
        span = np.ptp(points, axis=0) / np.maximum(np.ptp(corners, axis=0), 1e-6)
        picture = texture.level(span)
        scale = np.array([picture.shape[1], picture.shape[0]], float)
        warp = cv2.getPerspectiveTransform((corners * scale - 0.5).astype(np.float32),
                                           (points - (left, top)).astype(np.float32))
        shape = (right - left, bottom - top)
        drawn = cv2.warpPerspective(picture, warp, shape, flags=cv2.INTER_LINEAR,
                                    borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros((shape[1], shape[0]), np.uint8)
        fixed = np.round((points - (left, top)) * (1 << _FRACTION_BITS)).astype(np.int32)
        cv2.fillConvexPoly(mask, fixed, 255, shift=_FRACTION_BITS)
        if texture.has_holes:
            mask &= np.where(drawn[..., 3] > 127, np.uint8(255), np.uint8(0))
        self._stamp(window, drawn, mask, label, gain, add)

    def sprite(self, low: np.ndarray, high: np.ndarray, texture: Texture, label: int,
               gain=1.0, add=(0.0, 0.0, 0.0)) -> None:
        """Draw an upright texture into the rectangle between two pixels; see `textured`."""
        points = self.to_samples(np.stack([low, high]))
        window = self._window(points)
        if window is None:
            return
        left, top, right, bottom = window
        picture = texture.level(points[1] - points[0])
        scale = (points[1] - points[0]) / (picture.shape[1], picture.shape[0])
        warp = np.array([[scale[0], 0, points[0, 0] - left], [0, scale[1], points[0, 1] - top]])
        drawn = cv2.warpAffine(picture, warp, (right - left, bottom - top),
                               flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        mask = np.where(drawn[..., 3] > 127, np.uint8(255), np.uint8(0))
        self._stamp(window, drawn, mask, label, gain, add)

    def _stamp(self, window, drawn, mask, label, gain, add) -> None:
        left, top, right, bottom = window
        drawn = cv2.convertScaleAbs(drawn, alpha=float(gain))
        drawn = cv2.add(drawn, (*add, 0.0))
        drawn[..., 3] = label
        cv2.copyTo(drawn, mask, self.samples[top:bottom, left:right])

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """The image and its labels.

        Returns:
            (H, W, 3) uint8 RGB and (H, W) uint8 class ids.
        """
        height, width = self.size
        image = cv2.resize(self.samples, (width, height), interpolation=cv2.INTER_AREA)[..., :3]
        a, b = self.classes[0::2, 0::2], self.classes[0::2, 1::2]
        c, d = self.classes[1::2, 0::2], self.classes[1::2, 1::2]
        # Of four samples the first holds the majority unless two others agree without it.
        labels = np.where((a != b) & (a != c) & (a != d),
                          np.where((b == c) | (b == d), b, np.where(c == d, c, a)), a)
        return np.ascontiguousarray(image), labels


class Texture:
    """An RGBA picture with its halved copies, so that far faces do not shimmer.

    Args:
        picture: (h, w, 3) or (h, w, 4) uint8.
    """

    def __init__(self, picture: np.ndarray) -> None:
        if picture.shape[2] == 3:
            picture = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
        self.has_holes = bool((picture[..., 3] < 128).any())
        self._levels = [np.ascontiguousarray(picture)]
        while min(self._levels[-1].shape[:2]) > 8:
            self._levels.append(cv2.resize(self._levels[-1], None, fx=0.5, fy=0.5,
                                           interpolation=cv2.INTER_AREA))

    def level(self, span: np.ndarray) -> np.ndarray:
        """The copy that suits a drawn size.

        Args:
            span: (2,) samples that the whole texture covers across and down.
        """
        height, width = self._levels[0].shape[:2]
        shrink = max(width / max(span[0], 1.0), height / max(span[1], 1.0))
        # Between the axes' needs: a face seen at a slant keeps some of its detail.
        other = min(width / max(span[0], 1.0), height / max(span[1], 1.0))
        wanted = np.log2(max(np.sqrt(shrink * max(other, 1.0)), 1.0))
        return self._levels[int(min(round(wanted), len(self._levels) - 1))]

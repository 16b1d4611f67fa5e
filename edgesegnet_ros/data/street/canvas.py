"""The drawing surface. Colours and class ids share one array, so that they always agree.

The canvas is `OVERSAMPLING` times as fine as the image. Channels 0 to 2 are RGB, channel 3 is the
class id; each shape is rasterised once for all four. The image is the average over a pixel's
samples (anti-aliased); its label is the class of most of them.
"""

from __future__ import annotations

from math import ceil, floor, log2

import cv2
import numpy as np

OVERSAMPLING = 2
FRACTION_BITS = 4  # of the coordinates in which shapes are filled
FAR_OFF = 16000.0  # pixels; coordinates beyond are clamped


class Canvas:
    """An oversampled RGB + class surface.

    Args:
        size: height and width of the finished image in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.samples = np.zeros((size[0] * OVERSAMPLING, size[1] * OVERSAMPLING, 4), np.uint8)

    @staticmethod
    def to_samples(pixels: np.ndarray) -> np.ndarray:
        """Sample coordinates of pixel coordinates, both with integers at centres."""
        return (np.clip(pixels, -FAR_OFF, FAR_OFF) + 0.5) * OVERSAMPLING - 0.5

    def fill(self, points: np.ndarray, color, label: int, convex: bool = True) -> None:
        """Fill a polygon.

        Args:
            points: (n, 2) corners from `Painter.fixed`.
            color: RGB, 0 to 255.
            label: class id.
            convex: whether the faster way for convex polygons may be taken.
        """
        if convex:
            cv2.fillConvexPoly(self.samples, points, (*color, label), shift=FRACTION_BITS)
        else:
            cv2.fillPoly(self.samples, [points], (*color, label), shift=FRACTION_BITS)

    def fill_all(self, polygons: np.ndarray, color, label: int) -> None:
        """Fill polygons that do not overlap: (m, n, 2) corners from `Painter.fixed`."""
        if len(polygons):
            cv2.fillPoly(self.samples, list(polygons), (*color, label), shift=FRACTION_BITS)

    def capsule(self, start, end, width: float, color, label: int) -> None:
        """A thick line with round ends, at least one sample wide.

        Args:
            start: two ints from `Painter.fixed`.
            end: two ints from `Painter.fixed`.
            width: in pixels.
            color: RGB, 0 to 255.
            label: class id.
        """
        cv2.line(
            self.samples,
            start,
            end,
            (*color, label),
            min(max(1, round(width * OVERSAMPLING)), 2000),
            cv2.LINE_8,
            FRACTION_BITS,
        )

    def disc(self, centre, radius: float, color, label: int) -> None:
        """A filled circle: centre from `Painter.fixed`, radius in pixels."""
        cv2.circle(
            self.samples,
            centre,
            max(1, round(radius * OVERSAMPLING * (1 << FRACTION_BITS))),
            (*color, label),
            -1,
            cv2.LINE_8,
            FRACTION_BITS,
        )

    def _window(self, low, high) -> tuple[int, int, int, int] | None:
        """Left, top, right and bottom pixel of the rectangle between two samples."""
        rows, columns = self.size
        left = max(floor(low[0] / OVERSAMPLING), 0)
        top = max(floor(low[1] / OVERSAMPLING), 0)
        right = min(ceil((high[0] + 1) / OVERSAMPLING), columns)
        bottom = min(ceil((high[1] + 1) / OVERSAMPLING), rows)
        return None if left >= right or top >= bottom else (left, top, right, bottom)

    def textured(
        self,
        pixels: np.ndarray,
        texture: Texture,
        corners: np.ndarray,
        label: int,
        gain=1.0,
        add=(0.0, 0.0, 0.0),
    ) -> None:
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
        low, high = points.min(0).tolist(), points.max(0).tolist()
        window = self._window(low, high)
        if window is None:
            return
        left, top, right, bottom = window
        share = corners[1, 0] - corners[0, 0]
        level = texture.level((high[0] - low[0]) / max(share, 1e-6), high[1] - low[1])
        warp = cv2.getPerspectiveTransform(
            (corners * level.shape[1::-1] - 0.5).astype(np.float32),
            (pixels - (left, top)).astype(np.float32),
        )
        shape = (right - left, bottom - top)
        drawn = cv2.warpPerspective(
            level, warp, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        mask = np.zeros((shape[1] * OVERSAMPLING, shape[0] * OVERSAMPLING), np.uint8)
        origin = (left * OVERSAMPLING, top * OVERSAMPLING)
        fixed = np.rint((points - origin) * (1 << FRACTION_BITS)).astype(np.int32)
        cv2.fillConvexPoly(mask, fixed, 255, shift=FRACTION_BITS)
        if texture.has_holes:
            mask &= self._opaque(drawn)
        self._stamp(window, drawn, mask, label, gain, add)

    def sprite(
        self,
        low: np.ndarray,
        high: np.ndarray,
        texture: Texture,
        label: int,
        gain=1.0,
        add=(0.0, 0.0, 0.0),
    ) -> None:
        """Draw an upright texture into the rectangle between two pixels; see `textured`."""
        (x0, y0), (x1, y1) = low.tolist(), high.tolist()
        window = self._window(
            (x0 * OVERSAMPLING, y0 * OVERSAMPLING), (x1 * OVERSAMPLING, y1 * OVERSAMPLING)
        )
        if window is None:
            return
        left, top, right, bottom = window
        level = texture.level((x1 - x0) * OVERSAMPLING, (y1 - y0) * OVERSAMPLING)
        scale = (x1 - x0) / level.shape[1], (y1 - y0) / level.shape[0]
        warp = np.array(
            ((scale[0], 0, x0 - left + scale[0] / 2), (0, scale[1], y0 - top + scale[1] / 2))
        )
        drawn = cv2.warpAffine(
            level,
            warp,
            (right - left, bottom - top),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
        )
        self._stamp(window, drawn, self._opaque(drawn), label, gain, add)

    @staticmethod
    def _opaque(drawn: np.ndarray) -> np.ndarray:
        """255 for the samples where an RGBA image at the image's resolution is opaque."""
        alpha = cv2.resize(
            drawn[..., 3], None, fx=OVERSAMPLING, fy=OVERSAMPLING, interpolation=cv2.INTER_LINEAR
        )
        return cv2.threshold(alpha, 127, 255, cv2.THRESH_BINARY)[1]

    def _stamp(self, window, drawn, mask, label, gain, add) -> None:
        """Draw colours at the image's resolution; the average over the samples keeps them."""
        left, top, right, bottom = (edge * OVERSAMPLING for edge in window)
        drawn = cv2.convertScaleAbs(drawn, alpha=float(gain))
        drawn[..., 3] = 0
        drawn = cv2.add(drawn, (*add, label))
        drawn = cv2.resize(drawn, mask.shape[::-1], interpolation=cv2.INTER_NEAREST)
        cv2.copyTo(drawn, mask, self.samples[top:bottom, left:right])

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """The image and its labels.

        Returns:
            (H, W, 3) uint8 RGB and (H, W) uint8 class ids.
        """
        height, width = self.size
        image = cv2.resize(self.samples, (width, height), interpolation=cv2.INTER_AREA)[..., :3]
        classes = cv2.extractChannel(self.samples, 3)
        a, b = classes[0::2, 0::2], classes[0::2, 1::2]
        c, d = classes[1::2, 0::2], classes[1::2, 1::2]
        labels = a.copy()
        # Of four samples the first holds the majority unless two others agree without it.
        alone = np.nonzero((a != b) & (a != c) & (a != d))
        b, c, d = b[alone], c[alone], d[alone]
        labels[alone] = np.where((b == c) | (b == d), b, np.where(c == d, c, labels[alone]))
        return np.ascontiguousarray(image), labels


class Texture:
    """An RGBA texture with a mip-map of halved copies, so that distant faces do not shimmer.

    Args:
        image: (h, w, 3) or (h, w, 4) uint8.
    """

    def __init__(self, image: np.ndarray) -> None:
        if image.shape[2] == 3:
            image = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
        self.has_holes = bool((image[..., 3] < 128).any())
        self._levels = [np.ascontiguousarray(image)]
        while min(self._levels[-1].shape[:2]) > 8:
            self._levels.append(
                cv2.resize(self._levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            )

    def level(self, across: float, down: float) -> np.ndarray:
        """The mip-map level for a texture that covers this many samples across and down."""
        height, width = self._levels[0].shape[:2]
        shrink = max(width / max(across, 1.0), 1.0) * max(height / max(down, 1.0), 1.0)
        # The mean of both directions: a face seen at a slant keeps some of its detail.
        return self._levels[min(round(log2(shrink) / 2), len(self._levels) - 1)]

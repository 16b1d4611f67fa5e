"""Calibration of the confidence, and the temperature that improves it.

Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599): expected
calibration error over equal bins, and one temperature that divides the logits, fitted by the
negative log-likelihood on val. It does not change any label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from edgesegnet_ros.data.classes import VOID
from edgesegnet_ros.data.geometry import compute_placement, to_network, to_source
from edgesegnet_ros.engines.recipe import NEVER
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.network.normalisation import Normalisation
from edgesegnet_ros.network.registry import Network, inference_form
from edgesegnet_ros.network.upsampling import at_size
from edgesegnet_ros.network.weights import WeightsInfo

BINS = 15
LEVELS = 256
FIT_PIXELS = 1_000_000
"""Largest number of pixels kept for the fit: 44 MB of logits with 11 classes."""
PLAUSIBLE = (0.1, 10.0)
"""A temperature outside this range shows that something else is wrong."""


class CalibrationError(EdgeSegNetError):
    """A temperature that cannot be fitted."""


class Bin(NamedTuple):
    """One bin of a reliability diagram.

    Attributes:
        low: Confidences above this, 0-1 (the first bin has 0 too).
        high: Up to this, 0-1.
        share: Share of all scored pixels, 0-1.
        confidence: Mean confidence of its pixels, 0-1; nan when empty.
        accuracy: Share of its pixels that are right, 0-1; nan when empty.
    """

    low: float
    high: float
    share: float
    confidence: float
    accuracy: float


@dataclass
class Reliability:
    """Counts of right pixels for each of the 256 levels of the confidence.

    All figures below follow from these counts, so the memory does not grow with the images;
    torchmetrics' MulticlassCalibrationError keeps the confidence of every pixel. The figures are
    equal except for the rounding to levels, which is at most 0.002.

    Attributes:
        counts: (256,) int64 scored pixels of each level.
        hits: (256,) int64 of those, the right ones.
    """

    counts: np.ndarray = field(default_factory=lambda: np.zeros(LEVELS, np.int64))
    hits: np.ndarray = field(default_factory=lambda: np.zeros(LEVELS, np.int64))

    def add(self, confidence: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> None:
        """Count one image.

        Args:
            confidence: (H, W) uint8, 255 for certainty.
            predicted: (H, W) uint8 class ids; 255 counts as wrong.
            labels: (H, W) uint8 class ids; 255 (void) is not counted.
        """
        known = labels != VOID
        self.counts += np.bincount(confidence[known], minlength=LEVELS)
        self.hits += np.bincount(confidence[known & (predicted == labels)], minlength=LEVELS)

    @property
    def pixels(self) -> int:
        """Scored pixels."""
        return int(self.counts.sum())

    def bins(self, number: int = BINS) -> list[Bin]:
        """The reliability diagram, in bins of equal width, closed on the right."""
        levels = np.arange(LEVELS)
        place_of = np.maximum(np.ceil(levels * number / (LEVELS - 1)).astype(int) - 1, 0)
        counts = np.bincount(place_of, self.counts, number)
        hits = np.bincount(place_of, self.hits, number)
        sums = np.bincount(place_of, self.counts * (levels / (LEVELS - 1)), number)
        filled = counts > 0
        nothing = np.full(number, np.nan)
        accuracy = np.divide(hits, counts, out=nothing.copy(), where=filled)
        confidence = np.divide(sums, counts, out=nothing.copy(), where=filled)
        share = counts / max(1, self.pixels)
        return [
            Bin(i / number, (i + 1) / number, *map(float, values))
            for i, values in enumerate(zip(share, confidence, accuracy, strict=True))
        ]

    def ece(self, number: int = BINS) -> float:
        """Expected calibration error, 0-1: mean of |accuracy - confidence|; nan of no pixel."""
        if not self.pixels:
            return float('nan')
        return sum(
            each.share * abs(each.accuracy - each.confidence)
            for each in self.bins(number)
            if each.share
        )


class LogitsReference:
    """The network in fp32 PyTorch, at any temperature; the reference for fits and comparisons.

    Args:
        model: Trained network.
        info: Its normalisation.
        input_size: Height and width of the network's input.
        resize_mode: `stretch` or `letterbox`.
        ignored: Ids of classes that are never predicted.
    """

    def __init__(
        self,
        model: Network,
        info: WeightsInfo,
        input_size: tuple[int, int],
        resize_mode: str = 'stretch',
        ignored: tuple[int, ...] = (),
    ) -> None:
        self._network = inference_form(model).to(memory_format=torch.channels_last)
        self._normalise = Normalisation(info.mean, info.std)
        self._size = input_size
        self._mode = resize_mode
        self._ignored = list(ignored)

    @torch.inference_mode()
    def logits(self, image: np.ndarray) -> torch.Tensor:
        """Logits of one image.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            (1, classes, h, w) fp32 of the network's input size.
        """
        placement = compute_placement(image.shape[:2], self._size, self._mode)
        pixels = torch.from_numpy(to_network(image, placement)).permute(2, 0, 1)[None]
        coarse = self._network(self._normalise(pixels))
        coarse[:, self._ignored] = NEVER
        return at_size(coarse, self._size)

    def at_source(self, values: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Resize a map from the network's size to that of the image, as `Segmenter` does."""
        return to_source(values, compute_placement(image.shape[:2], self._size, self._mode))

    def count(
        self,
        image: np.ndarray,
        labels: np.ndarray,
        temperatures: dict[float, Reliability],
    ) -> None:
        """Count one image at several temperatures; confidences are rounded as the engines' are.

        Args:
            image: (H, W, 3) uint8 RGB.
            labels: (H, W) uint8 class ids, 255 for void.
            temperatures: The counts by temperature, which are updated.
        """
        logits = self.logits(image)
        best, ids = logits.max(dim=1)
        predicted = self.at_source(ids[0].to(torch.uint8).numpy(), image)
        for temperature, reliability in temperatures.items():
            share = torch.exp(best / temperature - torch.logsumexp(logits / temperature, dim=1))
            levels = (share[0] * 255.0).round_().clamp_(0.0, 255.0).to(torch.uint8).numpy()
            reliability.add(self.at_source(levels, image), predicted, labels)


class Fit(NamedTuple):
    """A fitted temperature.

    Attributes:
        temperature: Divides the logits.
        nll_before: Mean negative log-likelihood of the pixels at temperature 1, in nats.
        nll_after: The same at the temperature.
        pixels: How many it was fitted on.
    """

    temperature: float
    nll_before: float
    nll_after: float
    pixels: int


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> Fit:
    """The temperature with the smallest negative log-likelihood, by L-BFGS on its logarithm.

    Args:
        logits: (pixels, classes) fp32.
        labels: (pixels,) int64 class ids.

    Raises:
        CalibrationError: There is no pixel, or no finite temperature is best (all pixels right,
            or the network predicts at random).
    """
    if not len(labels):
        raise CalibrationError('no labelled pixel: a temperature is fitted on labels of val')
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [log_temperature],
        max_iter=30,
        tolerance_grad=1e-9,
        tolerance_change=1e-12,
        line_search_fn='strong_wolfe',
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = cross_entropy(logits / log_temperature.exp().float(), labels)
        value.backward()
        return value

    before = float(cross_entropy(logits, labels))
    optimizer.step(loss)
    temperature = float(log_temperature.detach().exp())
    if not PLAUSIBLE[0] < temperature < PLAUSIBLE[1]:
        raise CalibrationError(
            f'the best temperature would be {temperature:.3g}, which no trained network needs: '
            'check that labels and model belong together, and that val was not trained on'
        )
    after = float(cross_entropy(logits / temperature, labels))
    return Fit(temperature, before, after, len(labels))


def sample_pixels(
    reference: LogitsReference,
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    images: int,
    most: int = FIT_PIXELS,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels on an even grid of pixels, with the same number from every image.

    Args:
        reference: Gives the logits.
        pairs: (H, W, 3) uint8 RGB and (H, W) uint8 labels.
        images: How many pairs there will be.
        most: Largest number of pixels in total.

    Returns:
        (pixels, classes) fp32 and (pixels,) int64, void left out.
    """
    kept, truth = [], []
    for image, labels in pairs:
        step = max(1, int(np.ceil(np.sqrt(images * labels.size / most))))
        grid = (slice(step // 2, None, step),) * 2
        network = reference.logits(image)[0].permute(1, 2, 0).contiguous().numpy()
        sampled, wanted = reference.at_source(network, image)[grid], labels[grid]
        known = wanted != VOID
        kept.append(torch.from_numpy(sampled[known].copy()))
        truth.append(torch.from_numpy(wanted[known].astype(np.int64)))
    if not kept:
        raise CalibrationError('no image: a temperature is fitted on labels of val')
    return torch.cat(kept), torch.cat(truth)

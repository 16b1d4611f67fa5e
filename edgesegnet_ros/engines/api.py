"""The Python interface: class ids of images in three lines, without ROS.

from edgesegnet_ros import Segmenter

segmenter = Segmenter.open('edgesegnet-camvid11')
labels = segmenter(image)                    # (H, W) uint8 class ids
result = segmenter.segment(image)            # result.labels and result.confidence
road = segmenter.masks(labels)['drivable']   # (H, W) bool, for each group of the class file
"""

from __future__ import annotations

import threading
from typing import Any, Collection, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.masks import group_mask, groups_with_rules
from edgesegnet_ros.engines import LoadedModel, open_engine
from edgesegnet_ros.engines import segmenter as inner
from edgesegnet_ros.engines.base import EngineDescription
from edgesegnet_ros.engines.request import RESIZE_CHOICES, EngineRequest


class Result(NamedTuple):
    """The result for one image; the arrays belong to the caller.

    Attributes:
        labels: (H, W) uint8 class ids of the image's size; 255 is unlabelled.
        confidence: (H, W) uint8, the winning class's probability, 255 for 1; 0 where unlabelled.
    """

    labels: np.ndarray
    confidence: np.ndarray


class Segmenter:
    """A model on an engine that is ready; use `Segmenter.open`.

    Several threads may call it; they take turns.

    Args:
        model: Engine, classes and weights.
        unlabeled_below: Pixels of a smaller confidence, 0-1, become unlabelled.
    """

    def __init__(self, model: LoadedModel, unlabeled_below: float = 0.0) -> None:
        if not 0.0 <= unlabeled_below <= 1.0:
            raise ValueError(f'unlabeled_below is from 0 to 1, not {unlabeled_below}')
        self._model = model
        self._segmenter = inner.Segmenter(model.engine, model.resize_mode)
        self._unlabeled_below = unlabeled_below
        self._turn = threading.Lock()

    @classmethod
    def open(
        cls,
        model: Optional[str] = None,
        *,
        resize_mode: str = 'auto',
        unlabeled_below: float = 0.0,
        **options: Any,
    ) -> Segmenter:
        """Load a model, and build and prove its engine if the cache does not have it.

        Args:
            model: Name of a shipped model, or path of a weights or an ONNX file; None for the
                default.
            resize_mode: How images are brought to the network's size: stretch fills it, letterbox
                keeps the aspect; auto does what the weights say.
            unlabeled_below: Pixels of a smaller confidence, 0-1, become unlabelled (255).
            options: Options of `EngineRequest`: classes, engine, precision, device, num_threads,
                input_size, parity_frames, engine_cache.

        Raises:
            TypeError: An option that does not exist.
            ValueError: resize_mode or unlabeled_below is out of range.
            EdgeSegNetError: The model cannot be opened; the message says what to do.
        """
        if resize_mode not in RESIZE_CHOICES:
            raise ValueError(
                f'resize_mode is one of {", ".join(RESIZE_CHOICES)}, not {resize_mode!r}'
            )
        given = options if model is None else {'model': str(model), **options}
        request = EngineRequest(resize_mode=resize_mode, **given)
        return cls(open_engine(request), unlabeled_below)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Class ids of an image.

        Args:
            image: (H, W, 3) uint8 RGB, of any size.

        Returns:
            (H, W) uint8 class ids; 255 is unlabelled. The array is the caller's.

        Raises:
            ValueError: The image has another dtype, shape or number of channels.
            EngineError: The engine failed, or is closed.
        """
        image = _checked(image)
        with self._turn:
            found = self._segmenter.segment(image, False, self._unlabeled_below)
            return found.labels.copy()

    def segment(self, image: np.ndarray) -> Result:
        """Class ids and confidence of an image; see `__call__`."""
        image = _checked(image)
        with self._turn:
            found = self._segmenter.segment(image, True, self._unlabeled_below)
            assert found.confidence is not None
            return Result(found.labels.copy(), found.confidence.copy())

    def masks(
        self,
        labels: np.ndarray,
        confidence: Optional[np.ndarray] = None,
        *,
        min_confidence: Optional[Mapping[str, float]] = None,
        unlabeled_inside: Collection[str] = (),
    ) -> Dict[str, np.ndarray]:
        """A mask for each group of the class file, such as drivable.

        The node makes its masks by the same rule, from its parameters
        `group.<name>.min_confidence` and `group.<name>.unlabeled`.

        Args:
            labels: (H, W) uint8 class ids.
            confidence: (H, W) uint8 of the same image, 255 for 1; needed with `min_confidence`.
            min_confidence: Group -> threshold, 0-1; pixels below it are uncertain for the group,
                as unlabelled ones are.
            unlabeled_inside: Groups whose masks contain all uncertain pixels; the masks of other
                groups contain none.

        Returns:
            Group -> (H, W) bool, true where a pixel belongs to the group.

        Raises:
            ValueError: An array, a group or a threshold is not as described.
        """
        _check_pixels(labels, 'class ids')
        groups = groups_with_rules(self.classes.groups, min_confidence, unlabeled_inside)
        if confidence is not None:
            _check_pixels(confidence, 'confidences')
            if confidence.shape != labels.shape:
                raise ValueError(
                    f'labels have the shape {labels.shape} and confidence has {confidence.shape}'
                )
        return {name: group_mask(labels, group, confidence) != 0 for name, group in groups.items()}

    @property
    def classes(self) -> ClassSet:
        """Names, colours and groups of the class ids."""
        return self._model.classes

    @property
    def description(self) -> EngineDescription:
        """Engine, precision and device in use."""
        return self._model.engine.describe()

    @property
    def input_size(self) -> Tuple[int, int]:
        """Height and width of the network's input."""
        return self._model.engine.input_size

    def close(self) -> None:
        """Free the engine; the segmenter may not be used again."""
        self._model.engine.close()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_pixels(pixels: object, what: str) -> None:
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise ValueError(f'expected an (H, W) uint8 array of {what}')


def _checked(image: object) -> np.ndarray:
    """The image as a contiguous array; refuses arrays that would give wrong labels.

    Raises:
        ValueError: It is no (H, W, 3) uint8 array.
    """
    expected = 'expected an (H, W, 3) uint8 RGB array'
    if not isinstance(image, np.ndarray):
        raise ValueError(f'{expected}, not a {type(image).__name__}: use numpy.asarray')
    if image.dtype != np.uint8:
        raise ValueError(
            f'{expected}, not {image.dtype}: scale values to 0-255 and use .astype(numpy.uint8)'
        )
    if image.ndim != 3 or 0 in image.shape:
        raise ValueError(f'{expected}, not an array of shape {image.shape}')
    if image.shape[2] != 3:
        hint = ''
        if image.shape[0] == 3:
            hint = ': channels come last, use .transpose(1, 2, 0)'
        elif image.shape[2] == 4:
            hint = ': drop the fourth channel, use image[..., :3]'
        raise ValueError(f'{expected}, not an array of shape {image.shape}{hint}')
    return np.ascontiguousarray(image)

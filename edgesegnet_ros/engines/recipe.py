"""The inputs of an engine build."""

from __future__ import annotations

import hashlib
import logging
from functools import lru_cache
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import nn

from edgesegnet_ros import shipped
from edgesegnet_ros.data.classes import ClassSet, class_set_of, load_classes
from edgesegnet_ros.data.geometry import RESIZE_MODES, Size, compute_placement, to_network
from edgesegnet_ros.engines import cpu
from edgesegnet_ros.engines.image_sets import ImageSet, calibration_set
from edgesegnet_ros.engines.onnx_model import SUFFIX, OnnxModel, read_onnx
from edgesegnet_ros.engines.request import RESIZE_CHOICES, EngineError, EngineRequest
from edgesegnet_ros.network import STRIDE
from edgesegnet_ros.network.normalisation import scale_and_shift
from edgesegnet_ros.network.padding import pad_filters
from edgesegnet_ros.network.registry import InferenceForm, Network, inference_form
from edgesegnet_ros.network.weights import WeightsInfo, load_weights

_log = logging.getLogger(__name__)
NEVER = -1e4
"""A logit below all others, in half precision, too."""


class Recipe(NamedTuple):
    """Everything that a back end needs to build and load an engine.

    Attributes:
        model: Trained network, fp32 on the CPU; it must not be changed.
        info: Normalisation and temperature.
        classes: Classes of the outputs.
        weights_sha256: Of the weights file.
        precision: One of PRECISIONS; a back end never sees auto.
        input_size: Height and width.
        device: auto, cpu, cuda, cuda:N or dla:N, as the user said.
        threads: CPU threads, 1 or more.
        calibrated_on: Pictures that int8 ranges are measured on.
        workspace_mib: Memory that TensorRT may use while it builds.
        onnx: The network of an ONNX file, in place of `model`, which then computes nothing.
        resize_mode: How images are brought to the input size, stretch or letterbox.
    """

    model: Network
    info: WeightsInfo
    classes: ClassSet
    weights_sha256: str
    precision: str
    input_size: Tuple[int, int]
    device: str
    threads: int
    calibrated_on: ImageSet = calibration_set()
    workspace_mib: int = 1024
    onnx: Optional[OnnxModel] = None
    resize_mode: str = 'stretch'

    def calibration(self) -> List[np.ndarray]:
        """The calibration images at the network's input size: (H, W, 3) uint8 RGB.

        Raises:
            EngineError: A file is not an image.
        """
        return [
            to_network(
                image, compute_placement(image.shape[:2], self.input_size, self.resize_mode)
            )
            for image, _ in self.calibrated_on.read(self.classes)
        ]

    def network(self, padded: bool = False) -> InferenceForm:
        """A new copy of the inference form, in fp32 on the CPU.

        Args:
            padded: Whether its filters are padded to multiples of 8, which changes no logit.

        Returns:
            Takes (N, 3, H, W) floats normalised by `normalisation`, gives logits of
            `logits_shape`; ignored classes never win.
        """
        network = inference_form(pad_filters(self.model) if padded else self.model)
        with torch.no_grad():
            network.classifier_bias[list(self.classes.ignored)] = NEVER
        return network

    @property
    def logits_shape(self) -> Tuple[int, int, int, int]:
        """(1, classes, h, w) of what `network` gives for one image."""
        height, width = (side // self.model.head_stride for side in self.input_size)
        return 1, self.info.num_classes, height, width

    def normalisation(self) -> Tuple[np.ndarray, np.ndarray]:
        """(3,) float32 scale and shift that normalise bytes."""
        return scale_and_shift(self.info.mean, self.info.std)


def recipe_of(
    model: Network,
    info: WeightsInfo,
    classes: Optional[ClassSet] = None,
    precision: str = 'auto',
    device: str = 'auto',
    num_threads: int = 0,
    input_size: Optional[Size] = None,
) -> Recipe:
    """A recipe of a network in memory, such as one that is being trained.

    Args:
        model: Trained network, fp32; it must not be changed.
        info: Normalisation and temperature.
        classes: Classes of the outputs; None if names do not matter and no class is ignored.
        precision: One of PRECISIONS.
        device: auto, cpu, cuda or cuda:N.
        num_threads: CPU threads, 0 for all cores.
        input_size: Height and width; None for the one that it was trained for.
    """
    return Recipe(
        model,
        info,
        classes or ClassSet(info.classes, (), {}),
        '',
        precision,
        info.input_size if input_size is None else input_size,
        device,
        threads_of(num_threads),
        resize_mode=info.resize_mode,
    )


@lru_cache(maxsize=None)  # once a process: a bench opens the same weights many times
def _warn_of_the_size(path: Path, trained: Size, asked: Size) -> None:
    _log.warning(
        '%s was trained for an input of %dx%d; at %dx%d objects appear at a different scale than '
        'in training: expect lower accuracy',
        path,
        *trained,
        *asked,
    )


def recipe_for(request: EngineRequest) -> Recipe:
    """Load what a request names, and check that it fits together; the precision may stay auto.

    Raises:
        EdgeSegNetError: A subclass of the failing package; the message says what to do.
    """
    if request.model.endswith(SUFFIX):
        return _recipe_of_onnx(request)
    path = shipped.find('models', request.model)
    model, info = load_weights(path)
    input_size = request.input_size if any(request.input_size) else info.input_size
    if any(size < STRIDE or size % STRIDE for size in input_size):
        height, width = input_size
        raise EngineError(
            f'input size {height}x{width}: height and width are multiples of {STRIDE}, the '
            f'nearest is {_nearest(height)}x{_nearest(width)}'
        )
    classes = classes_of(path, info, request.classes)
    if len(classes.classes) != info.num_classes:
        raise EngineError(
            f'class file {classes.name} has {len(classes.classes)} classes, but {path} gives '
            f'{info.num_classes}; it was trained for {info.classes}'
        )
    if classes.name != info.classes:
        _log.warning(
            '%s was trained for the classes %s; the names of %s are shown instead',
            path,
            info.classes,
            classes.name,
        )
    if tuple(input_size) != tuple(info.input_size):
        _warn_of_the_size(path, tuple(info.input_size), tuple(input_size))
    return Recipe(
        model,
        info,
        classes,
        file_sha256(path),
        request.precision,
        input_size,
        request.device,
        threads_of(request.num_threads),
        resize_mode=_resize_mode(path, request, info.resize_mode),
    )


def _resize_mode(path: Path, request: EngineRequest, own: str) -> str:
    """The mode that a user asks for, else that of the model.

    Raises:
        EngineError: There is no such mode.
    """
    if request.resize_mode not in RESIZE_CHOICES:
        raise EngineError(
            f'resize_mode {request.resize_mode!r}: one of {", ".join(RESIZE_CHOICES)}'
        )
    if request.resize_mode != 'auto':
        return request.resize_mode
    if own not in RESIZE_MODES:
        raise EngineError(
            f'{path}: its resize_mode is {own!r}, which this version does not know; give '
            f'{" or ".join(RESIZE_MODES)}'
        )
    return own


def classes_of(path: Path, info: WeightsInfo, named: str) -> ClassSet:
    """The classes of a weights file's outputs.

    Args:
        path: The weights file.
        info: Header of the file.
        named: Class file that the user names; the default stands for the file's own class set
            where it has one.

    Raises:
        ClassFileError: A class set cannot be read.
        EngineError: The class file names other classes than the weights were trained for.
    """
    if info.class_set is None:
        return load_classes(named or shipped.DEFAULT_CLASSES)
    own = class_set_of(info.class_set, str(path))
    if named and (named != shipped.DEFAULT_CLASSES or load_classes(named).names == own.names):
        asked = load_classes(named)  # with the same names, its colours and groups are used
        if len(asked.classes) == info.num_classes and asked.names != own.names:
            raise EngineError(
                f'class file {asked.name} names {", ".join(asked.names)}, but {path} was trained '
                f'for {own.name}: {", ".join(own.names)}; leave the class file out, or give that '
                'of these classes'
            )
        return asked
    return own


def _recipe_of_onnx(request: EngineRequest) -> Recipe:
    """A recipe of an ONNX file.

    What the request leaves at its default (classes, input size) is taken from the file.
    """
    path = Path(request.model).expanduser()
    model = read_onnx(path)
    named = request.classes if request.classes != shipped.DEFAULT_CLASSES else model.classes
    classes = load_classes(named or request.classes)
    count = len(classes.classes)
    if model.num_classes is not None and count != model.num_classes:
        raise EngineError(
            f'class file {classes.name} has {count} classes, but {path} gives '
            f'{model.num_classes}; name its own class file with the key classes in '
            f'{path.with_suffix(".yaml")}'
        )
    needed = [what for what in model.missing if not what.startswith('classes')]
    if needed:
        raise EngineError(
            f'{path}: it is not known how to run it; add to {path.with_suffix(".yaml")}: '
            f'{"; ".join(needed)}'
        )
    size = request.input_size if any(request.input_size) else model.input_size
    size = size or WeightsInfo('', 0).input_size
    if min(size) < 1:
        raise EngineError(f'input size {size[0]}x{size[1]}: height and width are above 0')
    if not model.free_size and size != model.input_size:
        raise EngineError(
            f'{path} takes images of {model.input_size[0]}x{model.input_size[1]} alone, not of '
            f'{size[0]}x{size[1]}; export it with open height and width for others'
            if model.input_size
            else f'{path}: its input size is unknown'
        )
    info = WeightsInfo(
        classes.name,
        count,
        size,
        model.mean or (0.0, 0.0, 0.0),
        model.std or (1.0, 1.0, 1.0),
        model.temperature,
        'onnx',
        _resize_mode(path, request, model.resize_mode),
    )
    return Recipe(
        nn.Identity(),
        info,
        classes,
        model.sha256,
        request.precision,
        size,
        request.device,
        threads_of(request.num_threads),
        onnx=model,
        resize_mode=info.resize_mode,
    )


def _nearest(size: int) -> int:
    return max(STRIDE, STRIDE * int(round(size / STRIDE)))


def file_sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


def threads_of(num_threads: int) -> int:
    """Number of CPU threads of a request: 0 requests all cores; there are never more than cores.

    More threads than cores only wait for each other: 1024 of them made 2,066 and no mask.

    Raises:
        EngineError: A negative number.
    """
    if num_threads < 0:
        raise EngineError(f'num_threads is 0 for all cores or a number above 0, not {num_threads}')
    cores = cpu.cores()
    if num_threads > cores:
        _warn_of_the_threads(num_threads, cores)
    return min(num_threads, cores) or cores


@lru_cache(maxsize=None)
def _warn_of_the_threads(asked: int, cores: int) -> None:
    _log.warning(
        'num_threads is %d, but this process may use %d cores: %d threads are used',
        asked,
        cores,
        cores,
    )

"""What an engine is built from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Callable, List, NamedTuple, Tuple

import numpy as np
import torch

from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.engines import cpu
from edgesegnet_ros.network.edgesegnet import EdgeSegNet
from edgesegnet_ros.network.fold import EdgeSegNetInference
from edgesegnet_ros.network.weights import WeightsInfo

NEVER = -1e4
"""A logit that no other is below, in half precision too."""


class Recipe(NamedTuple):
    """Everything that a back end builds and loads from; all of it is settled.

    Attributes:
        model: Trained network, fp32 on the CPU; nobody changes it.
        info: Normalisation and temperature.
        classes: What the outputs mean.
        weights_sha256: Of the weights file.
        precision: One of PRECISIONS but auto.
        input_size: Height and width.
        device: auto, cpu, cuda, cuda:N or dla:N, as the user said.
        threads: CPU threads, 1 or more.
        calibration: Gives the pictures, (H, W, 3) uint8 RGB of `input_size`, that int8 ranges are
            measured on; raises EngineError where there are none. Only int8 builds call it.
        workspace_mib: Memory that TensorRT may use while it builds.
    """

    model: EdgeSegNet
    info: WeightsInfo
    classes: ClassSet
    weights_sha256: str
    precision: str
    input_size: Tuple[int, int]
    device: str
    threads: int
    calibration: Callable[[], List[np.ndarray]]
    workspace_mib: int = 1024

    def network(self) -> EdgeSegNetInference:
        """A new copy of the inference form, fp32 on the CPU.

        Takes (N, 3, H, W) floats normalised by `normalisation`, gives logits (N, classes, H/4,
        W/4); ignored classes never win.
        """
        network = EdgeSegNetInference(self.model)
        with torch.no_grad():
            network.refine4.project.bias[list(self.classes.ignored)] = NEVER
        return network

    def normalisation(self) -> Tuple[np.ndarray, np.ndarray]:
        """(3,) float32 scale and shift that turn bytes into the network's floats."""
        mean = np.asarray(self.info.mean, np.float64) * 255.0
        std = np.asarray(self.info.std, np.float64) * 255.0
        return (1.0 / std).astype(np.float32), (-mean / std).astype(np.float32)


def file_sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


def threads_of(num_threads: int) -> int:
    """CPU threads for a request; 0 asks for all cores."""
    return num_threads or cpu.cores()

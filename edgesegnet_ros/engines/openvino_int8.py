"""INT8 by post-training quantisation: NNCF measures the ranges on calibration pictures.

Weights get a scale a channel, activations one a tensor. On a CPU without VNNI products are summed
in 16 bits, which would overflow: there NNCF spends 7 bits on a weight (its overflow fix).
"""

from __future__ import annotations

import logging

import nncf
import numpy as np
from openvino import Model

from edgesegnet_ros.engines.base import EngineError
from edgesegnet_ros.engines.recipe import Recipe


def quantised(network: Model, recipe: Recipe) -> Model:
    """The same network with 8-bit convolutions.

    Args:
        network: Of `openvino_graph.network_graph`.
        recipe: Gives the calibration pictures.

    Raises:
        EngineError: There is no picture to calibrate on, or NNCF failed.
    """
    pictures = recipe.calibration()
    if not pictures:
        raise EngineError('int8 needs pictures to calibrate on: name a folder of them')
    scale, shift = recipe.normalisation()

    def normalised(picture: np.ndarray) -> np.ndarray:
        return (picture * scale + shift).transpose(2, 0, 1)[None]

    nncf.set_log_level(logging.WARNING)
    try:
        return nncf.quantize(
            network,
            nncf.Dataset(pictures, normalised),
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(pictures),
        )
    except (RuntimeError, nncf.ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise EngineError(f'NNCF could not quantise the network: {reason}') from error

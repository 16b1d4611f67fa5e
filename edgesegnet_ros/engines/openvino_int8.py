"""INT8 by post-training quantisation: NNCF measures the ranges on calibration images.

Weights get a scale a channel, activations one a tensor.
"""

from __future__ import annotations

import logging

import nncf
import numpy as np
from openvino import Model

from edgesegnet_ros.engines import cpu
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.engines.request import EngineError

KEPT_IN_FLOATS = r'.*stem.*'
"""The first convolution: 0.4 % of EdgeSegNet's multiplications, and a third of the labels that
int8 changed on CamVid's val split."""


def quantised(network: Model, recipe: Recipe) -> Model:
    """The same network with 8-bit convolutions.

    Args:
        network: Graph of `openvino_graph.network_graph`.
        recipe: Gives the calibration images.

    Raises:
        EngineError: There is no image to calibrate on, or NNCF failed.
    """
    images = recipe.calibration()
    if not images:
        raise EngineError('int8 requires images to calibrate on: name a folder of them')
    scale, shift = recipe.normalisation()

    def normalised(image: np.ndarray) -> np.ndarray:
        if recipe.onnx is not None:
            return image[None]  # its graph takes bytes
        return (image * scale + shift).transpose(2, 0, 1)[None]

    nncf.set_log_level(logging.WARNING)
    try:
        return nncf.quantize(
            network,
            nncf.Dataset(images, normalised),
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
            ignored_scope=nncf.IgnoredScope(patterns=[KEPT_IN_FLOATS], validate=False),
            # Where sums of products have 16 bits alone, a weight gets 7.
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=(
                    nncf.OverflowFix.DISABLE
                    if cpu.has_int8_dot_product()
                    else nncf.OverflowFix.ENABLE
                )
            ),
            subset_size=len(images),
        )
    except (RuntimeError, nncf.ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise EngineError(f'NNCF could not quantise the network: {reason}') from error

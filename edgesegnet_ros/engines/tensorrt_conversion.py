"""From a PyTorch network to a TensorRT engine by torch2trt, with every result checked.

torch2trt 0.5.0 records the operators that a network calls on one input. What it cannot convert it
warns about on stdout, or gets wrong without a word: the result of that one input then becomes a
constant of the engine. A failed build leaves an empty module, and misspelt arguments are ignored.
Here each of these is an error.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import re
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set

import numpy as np
import torch
from torch import nn

from edgesegnet_ros.engines.request import EngineError

if TYPE_CHECKING:
    from torch2trt import TRTModule

_UNSUPPORTED = re.compile(r'unsupported method (?!\S*has_torch_function)(\S+)')
_TOLERANCE = {'fp32': 1e-3, 'fp16': 0.05, 'int8': 0.3}
"""Largest root mean square error, as a share of the logits' standard deviation.

It tells a network of another meaning (an error of about 1) from one of less precision, which the
parity gate judges.
"""


class Conversion(NamedTuple):
    """Settings of a build.

    Attributes:
        precision: fp32, fp16, or int8 (which leaves TensorRT free to take fp16 for a layer).
        workspace_mib: Memory that the builder may use; torch2trt hands it on before TensorRT 10.
        dla_core: Deep learning accelerator to build for; layers it cannot run stay on the GPU.
            None for the GPU alone.
        calibration: Normalised images, each (1, 3, H, W) float32 on the engine's device, for
            int8 alone. It is asked for one at a time and need not keep them all in memory.
    """

    precision: str
    workspace_mib: int = 1024
    dla_core: Optional[int] = None
    calibration: Optional[Sequence[torch.Tensor]] = None


class _CalibrationBatches:
    """Input of torch2trt's calibrator: lists of one tensor.

    The last one is kept, since TensorRT reads it by its address alone.
    """

    def __init__(self, images: Sequence[torch.Tensor]) -> None:
        self._images = images
        self._kept: Optional[torch.Tensor] = None

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> List[torch.Tensor]:
        self._kept = self._images[index].contiguous()
        return [self._kept]


def _arguments(conversion: Conversion) -> Dict[str, Any]:
    """torch2trt's keyword arguments.

    Raises:
        EngineError: This conversion makes no sense.
    """
    import tensorrt as trt

    if conversion.precision not in _TOLERANCE:
        raise EngineError(
            f'precision {conversion.precision!r} is not one of the tensorrt engine: '
            f'{", ".join(_TOLERANCE)}'
        )
    given: Dict[str, Any] = {
        'fp16_mode': conversion.precision in ('fp16', 'int8'),
        'int8_mode': conversion.precision == 'int8',
        'max_workspace_size': conversion.workspace_mib << 20,
        'keep_network': True,
    }
    if conversion.precision == 'int8':
        if not conversion.calibration:
            raise EngineError(
                'int8 requires images to measure its ranges on, and there is none: name a folder '
                'of images, such as the train split of CamVid'
            )
        given['int8_calib_dataset'] = _CalibrationBatches(conversion.calibration)
        given['int8_calib_algorithm'] = trt.CalibrationAlgoType.ENTROPY_CALIBRATION_2
    if conversion.dla_core is not None:
        if conversion.precision == 'fp32':
            raise EngineError('a DLA core computes in fp16 or int8: set precision to one of them')
        given['default_device_type'] = trt.DeviceType.DLA
        given['dla_core'] = conversion.dla_core
        given['gpu_fallback'] = True
    return given


def _refuse_unknown(arguments: Dict[str, Any], function: Callable[..., Any]) -> None:
    """Refuse arguments that torch2trt does not have, because it would ignore them."""
    unknown = sorted(set(arguments) - set(inspect.signature(function).parameters))
    if unknown:
        raise EngineError(
            f'this torch2trt has no argument {", ".join(unknown)}: install version 0.5.0 from '
            'https://github.com/NVIDIA-AI-IOT/torch2trt'
        )


def _refuse_unsupported(said: str) -> None:
    """Refuse operators without a converter, because they would become constants."""
    methods = list(dict.fromkeys(_UNSUPPORTED.findall(said)))
    if methods:
        raise EngineError(
            f'torch2trt cannot convert {", ".join(methods)}: its result would be baked into the '
            'engine as a constant; write the network without it, or add a converter'
        )


def _known_values(module: nn.Module) -> Set[bytes]:
    """The parameters and buffers, as bytes of fp32; also as they are after rounding to fp16."""
    known = set()
    for tensor in list(module.parameters()) + list(module.buffers()):
        values = tensor.detach().cpu().float()
        known |= {values.numpy().tobytes(), values.half().float().numpy().tobytes()}
    return known


def _refuse_baked_in(network: Any, module: nn.Module) -> None:
    """Refuse constants that are not parameters: they are results of an operator on one input.

    Raises:
        EngineError: The network that TensorRT was given has one; the layer is named.
    """
    import tensorrt as trt

    known = _known_values(module)
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type != trt.LayerType.CONSTANT:
            continue
        # TensorRT's own binding gives the base class, which has no weights.
        if hasattr(trt, 'IConstantLayer'):
            layer.__class__ = trt.IConstantLayer
        values = np.asarray(layer.weights)
        if values.size > 1 and values.astype(np.float32).tobytes() not in known:
            raise EngineError(
                f'torch2trt baked the constant {layer.name} of shape {tuple(layer.shape)} into '
                'the engine, which is no parameter of the network: an operator before it was not '
                'converted'
            )


def _refuse_other_meaning(
    converted: TRTModule, module: nn.Module, image: torch.Tensor, precision: str
) -> None:
    """Compare the outputs on an input that the conversion has not used."""
    expected, found = module(image).float(), converted(image).float()
    if found.shape != expected.shape:
        raise EngineError(
            f'the TensorRT engine gives {tuple(found.shape)} where the network gives '
            f'{tuple(expected.shape)}: torch2trt converted an operator wrongly'
        )
    # Summed so that a NaN is not lost.
    error = float((found - expected).square().mean().sqrt())
    share = error / max(float(expected.std()), 1e-12)
    if not share <= _TOLERANCE[precision]:
        raise EngineError(
            'the TensorRT engine computes something else than the network: on an input that it '
            f'was not converted on, its logits differ by {share:.3g} of their standard deviation '
            f'(at most {_TOLERANCE[precision]:g} for {precision}); torch2trt converted an '
            'operator wrongly, or the numbers do not fit this precision'
        )


def _probes(shape: torch.Size, device: torch.device) -> List[torch.Tensor]:
    """Two different inputs with the spread of normalised images."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).to(device) for _ in range(2)]


@torch.no_grad()
def convert(
    module: nn.Module, shape: Sequence[int], device: torch.device, conversion: Conversion
) -> TRTModule:
    """Build an engine that is verified to compute what `module` does.

    Args:
        module: Takes one float32 input and gives one output; it is copied and left alone.
        shape: Shape of the input, (1, 3, H, W); the engine takes no other.
        device: Where it runs.
        conversion: How.

    Returns:
        torch2trt's module; its `forward` takes a contiguous tensor of `shape`.

    Raises:
        EngineError: An operator is not converted, TensorRT builds nothing, or what it built
            computes something else.
    """
    import torch2trt

    arguments = _arguments(conversion)
    _refuse_unknown(arguments, torch2trt.torch2trt)
    # The converter leaves its state on parameters and inputs, so it gets copies of both.
    reference = copy.deepcopy(module).eval().to(device)
    recorded = copy.deepcopy(reference)
    images = _probes(torch.Size(shape), device)
    if conversion.calibration:
        # Ranges measured on images do not fit noise.
        images = [conversion.calibration[index].clone() for index in (0, -1)]
        if len(conversion.calibration) == 1:
            images[1] = images[0].flip(-1).contiguous()
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            converted = torch2trt.torch2trt(recorded, [images[0].clone()], **arguments)
    except Exception as error:
        _refuse_unsupported(said.getvalue())
        reason = (str(error).splitlines() or [''])[0]
        if "'_trt'" in reason:
            reason = 'the result of an operator that it does not see is used'
        raise EngineError(
            f'torch2trt could not convert the network ({type(error).__name__}: {reason})'
        ) from error
    _refuse_unsupported(said.getvalue())
    _refuse_baked_in(converted.network, reference)
    if converted.engine is None:
        raise EngineError(
            f'TensorRT built no {conversion.precision} engine; its own lines above, marked '
            '[TRT] [E], say why'
        )
    _refuse_other_meaning(converted, reference, images[1], conversion.precision)
    return converted

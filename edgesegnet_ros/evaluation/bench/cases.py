"""The cases of the bench: EdgeSegNet with every available engine, RefineNet-101, and peers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from edgesegnet_ros import shipped
from edgesegnet_ros.engines import open_engine
from edgesegnet_ros.engines.base import EngineDescription
from edgesegnet_ros.engines.eager import EagerReference
from edgesegnet_ros.engines.image_sets import CALIBRATION_SEED, ImageSet
from edgesegnet_ros.engines.onnx_model import SUFFIX
from edgesegnet_ros.engines.recipe import recipe_for, recipe_of
from edgesegnet_ros.engines.registry import back_end
from edgesegnet_ros.engines.request import BACK_ENDS, EngineRequest
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.evaluation.bench.timing import Infer
from edgesegnet_ros.evaluation.bench.work import Work, work
from edgesegnet_ros.network import registry
from edgesegnet_ros.network.cost import parameters
from edgesegnet_ros.network.registry import build_network, identity, inference_form, title_of
from edgesegnet_ros.network.weights import WeightsInfo

OWN = 'edgesegnet'
_ONE_STREET = ImageSet('one rendered street', (), CALIBRATION_SEED, 1)
"""What int8 ranges of random weights are measured on."""
ENGINES = ('eager', *BACK_ENDS)
"""`eager` is PyTorch as the network is written, in fp32; the others are the node's engines."""
NETWORKS = (OWN, *(name for name in registry.NETWORKS if name != 'unet'))
"""The networks that are measured by default. All except EdgeSegNet have random weights, because
only their speed is measured.

`--networks` also takes the U-Net and designs (with random weights), and weights, by the name of a
shipped model or by file.
"""


class BenchError(EdgeSegNetError):
    """A network or an engine that does not exist."""


class BenchCase(NamedTuple):
    """A network on an engine, which becomes one row of the table.

    Attributes:
        network: Title of the network.
        described: The engine that runs it.
        params: Number of parameters of the network as it is trained.
        work: Multiply-accumulates per image in the form that runs; engines fold the network first.
        infer: Runs inference on one image.
        close: Frees the engine.
    """

    network: str
    described: EngineDescription
    params: int
    work: Work
    infer: Infer
    close: Callable[[], None] = lambda: None


class Skipped(NamedTuple):
    """A row that was requested but not measured.

    Attributes:
        network: Title of the network.
        engine: Name of the engine; '' for all engines of the network.
        precision: '' for all precisions of the engine.
        reason: Why it was not measured.
        failed: Whether it should have worked. An engine that is not installed, or that the parity
            gate refuses, has not failed.
    """

    network: str
    engine: str
    precision: str
    reason: str
    failed: bool = False


def in_words(error: Exception) -> str:
    """One line about an unexpected error."""
    return f'{type(error).__name__}: {" ".join(str(error).split())[:200]}'


def attempt(
    network: str, engine: str, precision: str, build: Callable[[], BenchCase]
) -> BenchCase | Skipped:
    """A case, or the reason why there is none; a failure does not affect the others."""
    try:
        return build()
    except EdgeSegNetError as error:
        return Skipped(network, engine, precision, str(error))
    except Exception as error:
        return Skipped(network, engine, precision, in_words(error), failed=True)


def is_model(name: str) -> bool:
    """Whether a name is that of weights: a shipped model, a weights file, or an ONNX file."""
    return name.endswith(('.safetensors', SUFFIX)) or name in shipped.names('models')


def check_network(name: str) -> None:
    """Refuse names that are neither in NETWORKS nor a design nor weights.

    Raises:
        EdgeSegNetError: It is none of these; the message names the line of a design file.
    """
    if name == OWN or is_model(name):
        return
    try:
        identity(name)
    except registry.NetworkError:
        raise BenchError(
            f"--networks '{name}': there are {', '.join(NETWORKS)}, unet; designs "
            f'{", ".join(shipped.names("designs"))}, or the path of one (.yaml); and models '
            f'{", ".join(shipped.names("models"))}, or the path of one (.safetensors, .onnx)'
        ) from None


def own_cases(request: EngineRequest, engines: Sequence[str]) -> Iterator[BenchCase | Skipped]:
    """A trained network in eager PyTorch, then with each engine in each of its precisions.

    Args:
        request: Model, classes, device, threads and input size.
        engines: Some of ENGINES.
    """
    recipe = recipe_for(request)
    size = request.input_size
    if recipe.onnx is not None:
        from edgesegnet_ros.evaluation.bench.onnx_cost import onnx_cost

        title = recipe.onnx.path.name
        if recipe.input_size != size:
            only = '{}x{}'.format(*recipe.input_size)
            yield Skipped(title, '', '', f'it takes images of {only}: give --input-size {only}')
            return
        params, folded = onnx_cost(recipe)
    else:
        title, params = title_of(recipe.model), parameters(recipe.model)
        folded = work(inference_form(recipe.model), size)
    if 'eager' in engines and recipe.onnx is None:

        def eager() -> BenchCase:
            written = work(copy.deepcopy(recipe.model), size)
            engine = EagerReference(
                recipe.model,
                recipe.info,
                size,
                str(pick_device(request.device)),
                recipe.classes.ignored,
            )
            return BenchCase(title, engine.describe(), params, written, engine.infer)

        yield attempt(title, 'eager', 'fp32', eager)
    for name in engines:
        if name == 'eager':
            continue
        found = back_end(name)
        reason = found.refusal(recipe) or _not_measured(name)
        if reason:
            yield Skipped(title, name, '', reason)
            continue
        for precision in found.precisions(request.device):

            def deployed(name: str = name, precision: str = precision) -> BenchCase:
                engine = open_engine(request._replace(engine=name, precision=precision)).engine
                return BenchCase(
                    title, engine.describe(), params, folded, engine.infer, engine.close
                )

            yield attempt(title, name, precision, deployed)


def _not_measured(engine: str) -> str:
    """Why the speed of an engine would be meaningless here; empty if it is not."""
    if engine != 'tensorrt':
        return ''
    from edgesegnet_ros.engines.tensorrt import emulated

    return 'this tensorrt is an emulation: its speed says nothing' if emulated() else ''


def pick_device(wanted: str) -> torch.device:
    """The device of eager PyTorch.

    Raises:
        EngineError: The device does not exist.
    """
    from edgesegnet_ros.engines.pytorch import choose_device

    return choose_device(wanted)


def other_cases(
    name: str, request: EngineRequest, engines: Sequence[str], num_classes: int
) -> Iterator[BenchCase | Skipped]:
    """A network with random weights: in eager PyTorch, and in OpenVINO if installed.

    The parity gate does not judge random weights, so these engines are not compared with fp32.

    Args:
        name: What `registry.identity` takes.
        request: Device, threads and input size.
        engines: Some of ENGINES.
        num_classes: Number of outputs.
    """
    found = identity(name)
    title = registry.NETWORKS[found].title if isinstance(found, str) else found.title
    size = request.input_size
    info = WeightsInfo('random', num_classes, size)

    @cache
    def network() -> registry.Network:
        torch.manual_seed(0)
        return build_network(found, num_classes).eval()

    def by_openvino(precision: str) -> BenchCase:
        recipe = recipe_of(network(), info, None, precision, 'cpu', request.num_threads)._replace(
            calibrated_on=_ONE_STREET
        )
        folded, params = work(recipe.network(), size), parameters(network())
        back = back_end('openvino')
        reason = back.refusal(recipe)
        if reason:
            raise BenchError(reason)
        with TemporaryDirectory() as folder:
            path = Path(folder, 'engine' + back.suffix)
            back.build(recipe, path)
            engine = back.load(recipe, path)
        return BenchCase(title, engine.describe(), params, folded, engine.infer, engine.close)

    def by_eager() -> BenchCase:
        eager = EagerReference(network(), info, size, str(pick_device(request.device)))
        written = work(copy.deepcopy(network()), size)
        return BenchCase(title, eager.describe(), parameters(network()), written, eager.infer)

    if 'openvino' in engines:
        # A user would pick a peer in its fastest format, too.
        for precision in _openvino_precisions(request.device):
            yield attempt(title, 'openvino', precision, partial(by_openvino, precision))
    if 'eager' in engines:
        yield attempt(title, 'eager', 'fp32', by_eager)


def _openvino_precisions(device: str) -> tuple[str, ...]:
    """The precisions of OpenVINO on a device; if OpenVINO is missing, fp32, which reports that."""
    found = back_end('openvino')
    return ('fp32',) if found.why_not('cpu') else found.precisions(device)

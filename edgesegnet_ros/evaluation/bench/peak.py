"""The peak rate of matrix products and convolutions on this machine, by precision.

No single shape is the fastest on every machine, and a network may exceed the rate of one large
product. Therefore products and convolutions of several shapes are tried, and the fastest are timed
in turns with the networks, so that other load on the machine affects both equally. The peak that
rows are compared with is the highest of the whole run (`rows.compare`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgesegnet_ros.engines import cpu
from edgesegnet_ros.evaluation.bench.work import taps

_SIDE = {'cpu': 2048, 'cuda': 4096}
"""Side of the largest square matrices; no library is faster with larger ones."""
_CONVOLUTIONS = ((1, 2, 64), (1, 4, 32), (3, 4, 64), (3, 8, 32), (3, 16, 16))
"""Kernel, and the divisors of _SIDE for its channels and for the size of its feature maps."""
_TRIES, _KEPT = 3, 3


class Probe(NamedTuple):
    """A matrix product or convolution of one library.

    Attributes:
        device_type: cpu or cuda.
        precision: Precision of its operands.
        by: Library and operator.
        gmac: 10⁹ multiply-accumulates per call, without those with padding.
        multiply: Runs it once and waits for the result.
    """

    device_type: str
    precision: str
    by: str
    gmac: float
    multiply: Callable[[], Any]

    def infer(self, image: np.ndarray, labels: np.ndarray) -> None:
        """The same with the signature of an engine; the image is ignored."""
        self.multiply()


def probes(device_type: str, precision: str, threads: int) -> list[Probe]:
    """All matrix products and convolutions of a precision that are available here.

    Args:
        device_type: cpu or cuda.
        precision: fp32, bf16, fp16 or int8.
        threads: CPU threads.
    """
    found: list[Probe] = []
    for side in (_SIDE[device_type], _SIDE[device_type] // 2):
        calls = list(_torch(device_type, precision, side))
        if (
            device_type == 'cpu'
            and precision == 'fp32'
            and threads == len(os.sched_getaffinity(0))
        ):
            # NumPy's threads are fixed when it is loaded: all cores.
            calls.append(('numpy matmul', _numpy(side)))
        for by, call in calls:
            found.append(Probe(device_type, precision, f'{by} {side}', side**3 / 1e9, call))
    if device_type == 'cpu' and precision in ('fp32', 'bf16', 'int8'):
        found += _openvino(precision, _SIDE[device_type], threads)
    return found


def fastest(found: Sequence[Probe], clock: Callable[[], float] = time.perf_counter) -> list[Probe]:
    """The fastest probes of each device type and precision, measured in a few calls.

    Args:
        found: Probes of one device type and precision.
        clock: Returns a time in s.
    """
    rates = []
    for probe in found:
        probe.multiply()
        spent = []
        for _ in range(_TRIES):
            started = clock()
            probe.multiply()
            spent.append(clock() - started)
        rates.append(probe.gmac / min(spent))
    order = sorted(range(len(found)), key=lambda index: -rates[index])
    return [found[index] for index in order[:_KEPT]]


def _torch(device_type: str, precision: str, side: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    import torch

    dtypes = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
    if precision not in dtypes:
        integers = torch.ones(side, side, dtype=torch.int8, device=device_type)

        def multiply_integers() -> None:
            torch._int_mm(integers, integers)
            if device_type == 'cuda':
                torch.cuda.synchronize()

        if hasattr(torch, '_int_mm') and (device_type == 'cuda' or _is_no_plain_loop()):
            yield 'torch int_mm', multiply_integers
        return
    first = torch.rand(side, side, device=device_type).to(dtypes[precision])
    second, product = torch.rand_like(first), torch.empty_like(first)

    def multiply() -> None:
        torch.mm(first, second, out=product)
        if device_type == 'cuda':
            torch.cuda.synchronize()

    yield 'torch mm', multiply


def _is_no_plain_loop() -> bool:
    """Whether torch multiplies int8 on this CPU at least as fast as floats."""
    import torch

    floats = torch.ones(256, 256)
    integers = floats.to(torch.int8)
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(5):
        for in_bytes in (True, False):
            started = time.perf_counter()
            torch._int_mm(integers, integers) if in_bytes else torch.mm(floats, floats)
            times[in_bytes].append(time.perf_counter() - started)
    return min(times[True]) < 2 * min(times[False])


def _numpy(side: int) -> Callable[[], Any]:
    random = np.random.default_rng(0)
    first = random.random((side, side), np.float32)
    second, product = first.T.copy(), np.empty_like(first)
    return lambda: np.matmul(first, second, out=product)


def _openvino(precision: str, side: int, threads: int) -> Iterator[Probe]:
    """Matrix products, and convolutions with the shapes of networks.

    For int8 the operands are quantised as NNCF quantises a network, and the remaining floats are
    bf16 if the CPU supports it, as in the engine. In any other form OpenVINO may not use the units
    that compute the networks (AMX).
    """
    try:
        import openvino
        from openvino import opset13 as ops

        from edgesegnet_ros.engines.openvino import process_core
    except ImportError:
        return

    random = np.random.default_rng(0)

    def weights(shape: list[int]) -> Any:
        if precision != 'int8':
            return ops.constant(random.random(shape, np.float32))
        integers = random.integers(-127, 127, shape).astype(np.int8)
        scales = np.full((shape[0],) + (1,) * (len(shape) - 1), 0.01, np.float32)
        return ops.multiply(ops.convert(ops.constant(integers), 'f32'), ops.constant(scales))

    def quantised(value: Any) -> Any:
        if precision != 'int8':
            return value
        low, high = (ops.constant(np.float32(bound)) for bound in (0.0, 2.55))
        return ops.fake_quantize(value, low, high, low, high, 256)

    def matrices(side: int) -> Any:
        parameter = ops.parameter([side, side], openvino.Type.f32)
        product = ops.matmul(quantised(parameter), weights([side, side]), False, True)
        return openvino.Model([product], [parameter]), side**3 / 1e9

    def convolution(kernel: int, width: int, edge: int) -> Any:
        parameter = ops.parameter([1, width, edge, edge], openvino.Type.f32)
        pad = [kernel // 2] * 2
        filters = weights([width, width, kernel, kernel])
        product = ops.convolution(quantised(parameter), filters, [1, 1], pad, pad, [1, 1])
        gmac = width * width * taps(edge, edge, kernel, 1, kernel // 2, 1) ** 2 / 1e9
        return openvino.Model([product], [parameter]), gmac

    models = [(f'openvino matmul {edge}', *matrices(edge)) for edge in (side, side // 2)]
    for kernel, channels, maps in _CONVOLUTIONS:
        width, edge = max(8, side // channels), max(8, side // maps)
        name = f'openvino {kernel}x{kernel} convolution of {width} channels at {edge}x{edge}'
        models.append((name, *convolution(kernel, width, edge)))
    half = precision != 'fp32' and cpu.has_bf16()
    settings = {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_NUM_THREADS': threads,
        'INFERENCE_PRECISION_HINT': 'bf16' if half else 'f32',
    }
    core = process_core()
    for by, model, gmac in models:
        request = core.compile_model(model, 'CPU', settings).create_infer_request()
        yield Probe('cpu', precision, by, gmac, request.infer)

"""The fastest matrix multiplication of this machine's libraries, by precision.

It is timed in turns with the networks, so that their share of it does not depend on what else the
machine does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from edgesegnet_ros.engines import cpu

_SIDE = {'cpu': 2048, 'cuda': 4096}
"""Rows and columns of the square matrices: large enough for the full speed of all libraries."""


class Probe(NamedTuple):
    """One way to multiply matrices.

    Attributes:
        place: cpu or cuda.
        precision: Precision of its operands.
        by: Library and operator, for people.
        gmac: 10⁹ multiply-accumulates a call.
        multiply: Does it once, to the end.
    """

    place: str
    precision: str
    by: str
    gmac: float
    multiply: Callable[[], Any]

    def infer(self, image: np.ndarray, labels: np.ndarray) -> None:
        """The same with the signature of an engine; the image is ignored."""
        self.multiply()


def probes(place: str, precision: str, threads: int) -> list[Probe]:
    """All ways to multiply matrices of a precision that are available here.

    Args:
        place: cpu or cuda.
        precision: fp32, bf16, fp16 or int8.
        threads: CPU threads.
    """
    side = _SIDE[place]
    found: list[tuple[str, Callable[[], Any]]] = list(_torch(place, precision, side))
    if place == 'cpu':
        if precision == 'fp32' and threads == len(os.sched_getaffinity(0)):
            # NumPy's threads are fixed when it is loaded: all cores.
            found.append(('numpy matmul', _numpy(side)))
    probes = [Probe(place, precision, by, side**3 / 1e9, call) for by, call in found]
    if place == 'cpu' and precision in ('fp32', 'bf16', 'int8'):
        probes += _openvino(precision, side, threads)
    return probes


def _torch(place: str, precision: str, side: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    import torch

    dtypes = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
    if precision not in dtypes:
        integers = torch.ones(side, side, dtype=torch.int8, device=place)

        def multiply_integers() -> None:
            torch._int_mm(integers, integers)
            if place == 'cuda':
                torch.cuda.synchronize()

        if hasattr(torch, '_int_mm') and (place == 'cuda' or _is_no_plain_loop()):
            yield 'torch int_mm', multiply_integers
        return
    first = torch.rand(side, side, device=place).to(dtypes[precision])
    second, product = torch.rand_like(first), torch.empty_like(first)

    def multiply() -> None:
        torch.mm(first, second, out=product)
        if place == 'cuda':
            torch.cuda.synchronize()

    yield 'torch mm', multiply


def _is_no_plain_loop() -> bool:
    """Whether torch multiplies bytes on this CPU with a library, at least as fast as floats."""
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
    """A matrix product, and the same work as 1×1 and 3×3 convolutions with kernels of their own.

    For int8 the operands are quantised as NNCF quantises a network, and what is left in floats is
    bf16 where the CPU has it, as in the engine: in any other form OpenVINO may leave the units
    unused that the networks are computed in (AMX).
    """
    try:
        import openvino
        from openvino import opset13 as ops
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

    def convolution(kernel: int, edge: int) -> Any:
        # As many multiplications as the matrix product: side³ = width² · kernel² · edge².
        width = max(8, round(side**1.5 / kernel / edge / 8) * 8)
        parameter = ops.parameter([1, width, edge, edge], openvino.Type.f32)
        pad = [kernel // 2] * 2
        filters = weights([width, width, kernel, kernel])
        product = ops.convolution(quantised(parameter), filters, [1, 1], pad, pad, [1, 1])
        gmac = width * width * kernel * kernel * edge * edge / 1e9
        return openvino.Model([product], [parameter]), gmac

    parameter = ops.parameter([side, side], openvino.Type.f32)
    product = ops.matmul(quantised(parameter), weights([side, side]), False, True)
    edge = max(8, int(side**0.5))
    models = [('openvino matmul', openvino.Model([product], [parameter]), side**3 / 1e9)]
    for kernel in (1, 3):
        models.append((f'openvino {kernel}x{kernel} convolution', *convolution(kernel, edge)))
    half = precision != 'fp32' and cpu.has_bf16()
    settings = {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_NUM_THREADS': threads,
        'INFERENCE_PRECISION_HINT': 'bf16' if half else 'f32',
    }
    core = openvino.Core()
    for by, model, gmac in models:
        request = core.compile_model(model, 'CPU', settings).create_infer_request()
        yield Probe('cpu', precision, by, gmac, request.infer)

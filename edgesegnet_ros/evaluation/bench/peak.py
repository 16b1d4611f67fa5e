"""The fastest matrix multiplication that this machine's libraries manage, by precision.

It is timed in turns with the networks, so that their share of it does not depend on what else the
machine does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

_SIDE = {'cpu': 2048, 'cuda': 4096}
"""Rows and columns of the square matrices: large enough that none of the libraries gets faster."""


class Probe(NamedTuple):
    """One way to multiply matrices.

    Attributes:
        place: cpu or cuda.
        precision: Of its operands.
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
        """The same in the shape of an engine's call; the picture is not looked at."""
        self.multiply()


def probes(place: str, precision: str, threads: int) -> list[Probe]:
    """Every way to multiply matrices of a precision that is present here.

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
        if precision in ('fp32', 'int8'):
            found += _openvino(precision, side, threads)
    return [Probe(place, precision, by, side**3 / 1e9, call) for by, call in found]


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


def _openvino(precision: str, side: int, threads: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """A matrix product, and the same as a 1×1 convolution, which has kernels of its own."""
    try:
        import openvino
        from openvino import opset13 as ops
    except ImportError:
        return

    def operand(shape: list[int]) -> tuple[Any, Any, Any]:
        """Parameter, what is multiplied, and weights of [side, side]."""
        random = np.random.default_rng(0)
        if precision == 'fp32':
            parameter = ops.parameter(shape, openvino.Type.f32)
            return parameter, parameter, ops.constant(random.random((side, side), np.float32))
        # Scaled bytes on both sides, which OpenVINO computes in int8.
        parameter = ops.parameter(shape, openvino.Type.u8)
        scaled = ops.multiply(ops.convert(parameter, 'f32'), ops.constant(np.float32(0.01)))
        integers = random.integers(-127, 127, (side, side)).astype(np.int8)
        scales = ops.constant(np.full((side, 1), 0.01, np.float32))
        return parameter, scaled, ops.multiply(ops.convert(ops.constant(integers), 'f32'), scales)

    edge = int(side**0.5)
    parameter, value, weights = operand([side, side])
    product = ops.matmul(value, weights, False, True)
    models = [('openvino matmul', openvino.Model([product], [parameter]))]
    parameter, value, weights = operand([1, side, edge, edge])
    kernel = ops.reshape(weights, ops.constant(np.array([side, side, 1, 1])), False)
    product = ops.convolution(value, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    models.append(('openvino 1x1 convolution', openvino.Model([product], [parameter])))
    settings = {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_NUM_THREADS': threads,
        'INFERENCE_PRECISION_HINT': 'f32',
    }
    core = openvino.Core()
    for by, model in models:
        request = core.compile_model(model, 'CPU', settings).create_infer_request()
        yield by, request.infer

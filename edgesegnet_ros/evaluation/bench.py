"""`edgesegnet bench`: speed of the engines, side by side in one run."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgesegnet_ros.engines.base import Engine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured, and how often."""
    from edgesegnet_ros.training.command import size

    parser.add_argument('--model', default='edgesegnet-camvid11', help='shipped name or file')
    parser.add_argument('--classes', default='camvid11', help='shipped name or file')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--num-threads', default=0, type=int, help='of every row; 0 for all cores')
    parser.add_argument('--input-size', default='256x256', type=size, help='network input, HxW')
    parser.add_argument('--frames', default=40, type=int, help='timed frames of each row')
    parser.add_argument('--json', help='write the rows to this file')


def time_frames(engines: dict[str, Engine], frames: int) -> dict[str, np.ndarray]:
    """Time each engine from a uint8 picture to label ids.

    The engines take turns, frame by frame, so that whatever else the machine does meets all of
    them alike.

    Args:
        engines: By name, all of one input size.
        frames: Timed frames of each.

    Returns:
        (frames,) milliseconds by name.
    """
    from tqdm import trange

    size = next(iter(engines.values())).input_size
    random = np.random.default_rng(0)
    image = random.integers(0, 255, size + (3,), np.uint8)
    labels = np.empty(size, np.uint8)
    times = {name: np.empty(frames) for name in engines}
    warm_up = 3
    for frame in trange(warm_up + frames, desc='timing', unit='frame'):
        for name, engine in engines.items():
            started = time.perf_counter()
            engine.infer(image, labels)
            if frame >= warm_up:
                times[name][frame - warm_up] = (time.perf_counter() - started) * 1e3
    return times


def run(args: argparse.Namespace) -> int:
    """Measure and print a table."""
    from tqdm import tqdm

    from edgesegnet_ros import shipped
    from edgesegnet_ros.engines import cpu, open_engine
    from edgesegnet_ros.engines.base import EngineRequest
    from edgesegnet_ros.engines.eager import EagerReference
    from edgesegnet_ros.network.cost import gmac, parameters
    from edgesegnet_ros.network.fold import EdgeSegNetInference
    from edgesegnet_ros.network.weights import load_weights

    request = EngineRequest(
        args.model, args.classes, 'torch', 'auto', args.device, args.num_threads, args.input_size
    )
    loaded = open_engine(request)
    network, weights = load_weights(shipped.find('models', args.model))
    device = 'cpu' if loaded.engine.describe().threads else 'cuda'
    engines: dict[str, Engine] = {
        'eager': EagerReference(network, weights, args.input_size, device),
        'auto': loaded.engine,
    }
    if loaded.engine.describe().precision != 'fp32':
        engines['fp32'] = open_engine(request._replace(precision='fp32')).engine
    written = load_weights(shipped.find('models', args.model))[0]
    cost = {'eager': gmac(written, args.input_size)}
    folded = gmac(EdgeSegNetInference(written), args.input_size)
    times = time_frames(engines, args.frames)
    reference = float(np.median(times['eager']))
    rows: list[dict[str, Any]] = []
    for name, engine in engines.items():
        is_ = engine.describe()
        p50, p95 = np.percentile(times[name], (50, 95))
        rows.append({
            'network': 'EdgeSegNet', 'engine': is_.engine, 'precision': is_.precision,
            'input_size': list(args.input_size), 'params': parameters(written),
            'gmac': round(cost.get(name, folded), 3),
            'latency_ms': {'p50': round(p50, 2), 'p95': round(p95, 2)},
            'fps': round(1e3 / p50, 2), 'relative': round(reference / p50, 3),
        })  # fmt: skip
    machine = {'cpu': cpu.name(), 'threads': loaded.engine.describe().threads, 'device': device}
    if args.json:
        figures = {'machine': machine, 'rows': rows}
        Path(args.json).write_text(json.dumps(figures, indent=2) + '\n')
    height, width = args.input_size
    tqdm.write(f'uint8 image to label ids at {height}x{width} on {machine["cpu"]}, '
               f'{machine["threads"]} threads')  # fmt: skip
    tqdm.write(f'{"engine":<14}{"precision":<11}{"GMAC":>7}{"p50 ms":>9}{"p95 ms":>9}{"FPS":>8}'
               f'{"x eager":>9}')  # fmt: skip
    for row in rows:
        latency = row['latency_ms']
        tqdm.write(f'{row["engine"]:<14}{row["precision"]:<11}{row["gmac"]:>7.2f}'
                   f'{latency["p50"]:>9.1f}{latency["p95"]:>9.1f}{row["fps"]:>8.1f}'
                   f'{row["relative"]:>9.2f}')  # fmt: skip
    return 0

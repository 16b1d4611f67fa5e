"""`edgesegnet table1`: the paper's Table 1, measured on this machine.

The paper's own numbers stand in brackets beside the measured ones.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgesegnet_ros import shipped
from edgesegnet_ros.atomic_file import write_json
from edgesegnet_ros.errors import EdgeSegNetError

if TYPE_CHECKING:
    from edgesegnet_ros.data.datasets import Dataset
    from edgesegnet_ros.engines.request import EngineRequest


class Table1Error(EdgeSegNetError):
    """Figures that cannot be used."""


class OtherFiguresError(Table1Error):
    """Figures of another split or input size than the requested one."""


class Published(NamedTuple):
    """A row of the paper's Table 1 (arXiv 1905.04222); None where it has no number.

    Attributes:
        title: Title of the row.
        accuracy: Pixel accuracy on CamVid in per cent.
        fps: Frames per second on a Jetson AGX Xavier (1.37 GHz, 512 CUDA cores).
        size_mb: Size in MB, as stated in the paper.
    """

    title: str
    accuracy: float
    fps: float | None
    size_mb: float


PAPER = {
    'refinenet101': Published('RefineNet-101', 90.3, None, 343.0),
    'edgesegnet': Published('EdgeSegNet', 89.7, 38.5, 16.7),
}
NOT_MEASURED = 'not measured'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from edgesegnet_ros.arguments import add_classes, output_file
    from edgesegnet_ros.engines.options import add_network_input

    parser.add_argument('--model', default=shipped.DEFAULT_MODEL, help="EdgeSegNet's weights")
    parser.add_argument(
        '--refinenet',
        default='refinenet101-camvid11',
        metavar='NAME|FILE',
        help='weights of RefineNet-101, or the name of a shipped file of its figures',
    )
    add_classes(parser)
    parser.add_argument(
        '--data',
        metavar='DATASET',
        help='folder or dataset.yaml: measure the accuracies on its test split instead of '
        'reading the figures stored beside the weights',
    )
    add_network_input(parser)
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--num-threads', default=0, type=int, help='CPU threads; 0 uses all cores')
    parser.add_argument(
        '--engines',
        default='eager,torch',
        help='engines to compare, as a,b,…; the fastest one is reported, int8 excluded; see '
        'edgesegnet bench',
    )
    parser.add_argument('--frames', default=10, type=int, help='number of timed frames per row')
    parser.add_argument(
        '--json', type=output_file, metavar='FILE', help='write the table to this file, as JSON'
    )


def figures_file(model: str, weights: Path | None) -> Path | None:
    """The file that `edgesegnet evaluate --split test --json` wrote for a model; None without one.

    Args:
        model: Name of a shipped model, or a path.
        weights: Their file, which the figures lie beside; None for a name that none is shipped of.
    """
    beside = (
        [weights.with_suffix('.json')]
        if weights
        else [share / 'models' / f'{model}.json' for share in shipped.share_folders()]
    )
    return next(filter(Path.is_file, beside), None)


def read_accuracy(path: Path, size: tuple[int, int]) -> dict[str, Any]:
    """Accuracy and its source, from a figures file.

    Raises:
        OtherFiguresError: The file is of another split or input size.
        Table1Error: The file is not one of `edgesegnet evaluate --json`.
    """
    try:
        figures = json.loads(path.read_text())
        accuracy, split = figures['pixel_accuracy'], figures['split']
        measured_at = tuple(figures['input_size'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Table1Error(
            f'{path}: not what `edgesegnet evaluate --json` writes ({error!r})'
        ) from None
    if split != 'test' or measured_at != size:
        raise OtherFiguresError(
            f'{path}: figures of {split} at {measured_at[0]}x{measured_at[1]}, but Table 1 is of '
            f'test, here at {size[0]}x{size[1]}: measure with --data'
        )
    return {
        'pixel_accuracy': accuracy,
        'miou': figures.get('miou'),
        'source': path.name,
        'training': figures.get('training'),
    }


def measure_accuracy(model: str, args: argparse.Namespace, dataset: Dataset) -> dict[str, Any]:
    """Accuracy on the test split, by the CamVid protocol in fp32."""
    from tqdm import tqdm

    from edgesegnet_ros.engines.pytorch import TorchEngine
    from edgesegnet_ros.engines.recipe import recipe_of
    from edgesegnet_ros.engines.segmenter import Segmenter
    from edgesegnet_ros.evaluation.accuracy import score
    from edgesegnet_ros.network.weights import load_weights

    network, info = load_weights(shipped.find('models', model))
    info = info._replace(input_size=args.input_size, resize_mode=args.resize_mode)
    recipe = recipe_of(network, info, None, 'fp32', args.device, args.num_threads)
    pairs = (dataset.read(sample) for sample in tqdm(dataset.samples('test'), model, unit='image'))
    scores = score(Segmenter(TorchEngine(recipe), recipe.resize_mode), pairs)
    return {
        'pixel_accuracy': scores.pixel_accuracy,
        'miou': scores.miou,
        'source': 'measured by this command',
        'training': None,
    }


def accuracy_of(
    model: str, args: argparse.Namespace, dataset: Dataset | None = None
) -> dict[str, Any]:
    """Accuracy measured with --data, or else read beside the weights, or else None."""
    weights: Path | None = None
    with suppress(shipped.ShippedFileError):
        weights = shipped.find('models', model)
    if dataset and weights and weights.is_file():
        return measure_accuracy(model, args, dataset)
    found = figures_file(model, weights)
    source = NOT_MEASURED
    if found:
        try:
            return read_accuracy(found, args.input_size)
        except OtherFiguresError as error:
            if weights:
                raise
            # The weights of this network are too large to ship; the other row is still printed.
            source = f'{NOT_MEASURED} ({error})'
    return {'pixel_accuracy': None, 'miou': None, 'source': source, 'training': None}


def _resident_peak_mib() -> float:
    """Peak resident memory of this process (getrusage's value would survive a fork)."""
    status = Path('/proc/self/status').read_text().splitlines()
    peak = next(line for line in status if line.startswith('VmHWM'))
    return int(peak.split()[1]) / 1024


def _run_network(name: str, size: tuple[int, int], classes: int) -> float:
    import torch

    from edgesegnet_ros.network.registry import build_network, inference_form

    before = _resident_peak_mib()
    with torch.device('meta'):
        network = build_network(name, classes)
    network = inference_form(network.to_empty(device='cpu'))
    with torch.inference_mode():
        network(torch.zeros(1, 3, *size))
    return before


def _added_peak(work: Callable[..., float], arguments: tuple[Any, ...], results: Any) -> None:
    before = work(*arguments)
    results.put(_resident_peak_mib() - before)


def added_peak_mib(work: Callable[..., float], *arguments: Any) -> float:
    """MiB by which `work` raises the peak resident memory of a new process.

    Args:
        work: Function of a module, called in a new process; returns the peak in MiB before the
            part that is measured.
        *arguments: Arguments of `work`.

    Raises:
        Table1Error: The process ended early.
    """
    context = multiprocessing.get_context('spawn')
    results = context.SimpleQueue()
    process = context.Process(target=_added_peak, args=(work, arguments, results))
    process.start()
    process.join()
    if process.exitcode:
        raise Table1Error(
            f'memory cannot be measured: the process that measures it ended with status '
            f'{process.exitcode}'
        )
    return float(results.get())


def peak_memory(name: str, size: tuple[int, int], classes: int) -> float:
    """MiB that building the inference form and one fp32 image add to a process at its peak."""
    return added_peak_mib(_run_network, name, size, classes)


def _request(args: argparse.Namespace) -> EngineRequest:
    from edgesegnet_ros.engines.options import request_of

    return request_of(args, engine='torch', precision='auto')


def speeds(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The fastest row of each network, without int8, whose accuracy differs."""
    from edgesegnet_ros.evaluation.bench import cases
    from edgesegnet_ros.evaluation.bench.command import chosen, measure

    engines = chosen(args.engines, cases.ENGINES, '--engines')
    request = _request(args)
    rows = measure(request, list(PAPER), engines, args.frames)['rows']
    fastest: dict[str, dict[str, Any]] = {}
    for name, published in PAPER.items():
        own = [
            row for row in rows if row['network'] == published.title and row['precision'] != 'int8'
        ]
        if own:
            fastest[name] = max(own, key=lambda row: row['fps'])
    return fastest


def make_table(args: argparse.Namespace) -> dict[str, Any]:
    """The content of --json."""
    from edgesegnet_ros.data.datasets import open_dataset
    from edgesegnet_ros.engines.recipe import recipe_for
    from edgesegnet_ros.evaluation.provenance import machine

    recipe = recipe_for(_request(args))
    args.input_size, args.resize_mode = recipe.input_size, recipe.resize_mode
    class_set = recipe.classes
    classes = len(class_set.classes)
    dataset = open_dataset(args.data, class_set) if args.data else None
    if dataset:
        dataset.tell()
        dataset.check_split('test')
    # Before the speeds, which take minutes, so that missing figures are reported at once.
    accuracies = {
        name: accuracy_of(args.model if name == 'edgesegnet' else args.refinenet, args, dataset)
        for name in PAPER
    }
    fastest = speeds(args)
    rows = []
    for name, published in PAPER.items():
        speed = fastest.get(name, {})
        params = speed.get('params')
        rows.append(
            {
                'network': published.title,
                **accuracies[name],
                'fps': speed.get('fps'),
                'engine': speed.get('engine'),
                'precision': speed.get('precision'),
                'params': params,
                'gmac': speed.get('gmac'),
                'size_mb': round(params * 4 / 1e6, 1) if params else None,
                'peak_memory_mib': round(peak_memory(name, args.input_size, classes)),
                'paper': {
                    'pixel_accuracy': published.accuracy / 100,
                    'fps': published.fps,
                    'size_mb': published.size_mb,
                },
            }
        )
    return {
        'input_size': list(args.input_size),
        'classes': classes,
        'split': 'test',
        'machine': {**machine(), 'threads': args.num_threads or machine()['cpus']},
        'command': ['edgesegnet', *sys.argv[1:]],
        'rows': rows,
    }


def as_text(table: dict[str, Any]) -> str:
    """The table as text."""
    height, width = table['input_size']
    lines = [
        f"Table 1 on CamVid's test split, {table['classes']} classes, void left out, one pass at "
        f'{height}x{width}.',
        "Ours, and in brackets the paper's.",
        '',
        f'{"":<15}{"accuracy %":>20}{"FPS":>16}{"size MB":>16}{"GMAC":>8}{"peak MiB":>10}',
    ]
    notes = []
    for row in table['rows']:
        paper = row['paper']
        accuracy = row['pixel_accuracy']
        said = NOT_MEASURED if accuracy is None else f'{100 * accuracy:.1f}'
        fps = '-' if row['fps'] is None else f'{row["fps"]:.1f}'
        size = '-' if row['size_mb'] is None else f'{row["size_mb"]:.1f}'
        gmac = '-' if row['gmac'] is None else f'{row["gmac"]:.1f}'
        paper_fps = '-' if paper['fps'] is None else f'{paper["fps"]:.1f}'
        cells = [
            f'{said} [{100 * paper["pixel_accuracy"]:.1f}]',
            f'{fps} [{paper_fps}]',
            f'{size} [{paper["size_mb"]:g}]',
        ]
        lines.append(
            f'{row["network"]:<15}{cells[0]:>20}{cells[1]:>16}{cells[2]:>16}'
            f'{gmac:>8}{row["peak_memory_mib"]:>10}'
        )
        how = f', {row["training"]}' if row['training'] else ''
        notes.append(
            f'{row["network"]}: accuracy {row["source"]}{how}; speed with '
            f'{row["engine"]} {row["precision"]}'
        )
    machine = table['machine']
    return '\n'.join(
        [
            *lines,
            '',
            *notes,
            f"FPS: this machine, {machine['cpu']}, {machine['threads']} threads; the paper's: a "
            'Jetson AGX Xavier. RefineNet-101 is timed with random weights.',
            'Size: parameters in fp32, 10^6 bytes. Peak: what one process needs to build the '
            'network and infer one image in fp32.',
        ]
    )


def run(args: argparse.Namespace) -> int:
    """Measure and print the table."""
    from edgesegnet_ros.extras import need

    need('train', ('tqdm',), 'edgesegnet table1')
    from edgesegnet_ros.evaluation.bench import cases
    from edgesegnet_ros.evaluation.bench.command import chosen

    if args.frames < 1:
        raise Table1Error(f'--frames {args.frames}: at least 1')
    chosen(args.engines, cases.ENGINES, '--engines')
    table = make_table(args)
    print(as_text(table))
    if args.json:
        write_json(args.json, table)
    return 0

"""`edgesegnet predict`: images, videos, bags and cameras to label images, without ROS."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesegnet_ros import shipped
from edgesegnet_ros.arguments import output_file, output_folder
from edgesegnet_ros.engines.options import add_network_input
from edgesegnet_ros.engines.request import ENGINES, PRECISIONS
from edgesegnet_ros.prediction.results import (
    FILM_NAME,
    KINDS,
    PredictError,
    Results,
    refuse_old_results,
)

if TYPE_CHECKING:
    from edgesegnet_ros.data.sources import Source
    from edgesegnet_ros.engines.segmenter import Segmenter
    from edgesegnet_ros.prediction.window import Window

_REQUEST = (
    'model',
    'classes',
    'engine',
    'precision',
    'device',
    'num_threads',
    'input_size',
    'resize_mode',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='image, folder of images, video, ROS bag (.mcap, .db3, .bag or its folder), or '
        'camera:0; several are allowed',
    )
    add(
        '--out',
        type=output_folder,
        required=True,
        metavar='DIR',
        help='folder of the results; with several inputs, each one gets a subfolder',
    )
    add(
        '--write',
        nargs='+',
        choices=KINDS,
        default=['labels', 'colors', 'overlays'],
        help='what to write. images: the images themselves, for example those of a bag; labels: '
        'class ids as PNG, 255 for unlabelled; colors: class colours; overlays: class '
        f'colours over the image; film: the overlays as a video, {FILM_NAME}. By default '
        'labels, colors and overlays',
    )
    add('--view', action='store_true', help='show the overlays in a window while they are made')
    add('--every', type=int, default=1, metavar='N', help='take every Nth frame of each input')
    add('--frames', type=int, metavar='N', help='stop after this many frames of each input')
    add('--topic', help='image topic of a bag; by default the first one')
    add(
        '--model',
        default=shipped.DEFAULT_MODEL,
        metavar='NAME|FILE',
        help='name of a shipped model, or path of a .safetensors or .onnx file',
    )
    add(
        '--classes',
        metavar='NAME|FILE',
        help='class file, for a model file that does not name its classes',
    )
    add('--engine', choices=ENGINES, help='back end; by default the fastest one that is installed')
    add('--precision', choices=PRECISIONS, help='number format')
    add('--device', help='auto, cpu, cuda or cuda:N')
    add('--num-threads', type=int, metavar='N', help='CPU threads; 0 uses all cores')
    add_network_input(parser)
    add(
        '--unlabeled-below',
        type=float,
        default=0.0,
        metavar='P',
        help='pixels with a confidence (0 to 1) below this become 255, unlabelled',
    )
    add('--json', type=output_file, metavar='FILE', help='write a summary to this file, as JSON')


def run(args: argparse.Namespace) -> int:
    """Segment every input; 0, or 1 where images could not be read."""
    from edgesegnet_ros.atomic_file import write_json
    from edgesegnet_ros.extras import need

    if args.every < 1:
        raise PredictError(f'--every {args.every}: at least 1')
    if args.frames is not None and args.frames < 1:
        raise PredictError(f'--frames {args.frames}: at least 1')
    if not 0.0 <= args.unlabeled_below <= 1.0:
        raise PredictError(f'--unlabeled-below {args.unlabeled_below:g}: 0 to 1')
    if 'film' in args.write:
        need('report', ('av',), 'a film')
    summary = _predict(args)
    if args.json:
        write_json(args.json, summary)
    bad = sum(each['unreadable'] for each in summary['inputs'])
    return 1 if bad else 0


def _predict(args: argparse.Namespace) -> dict[str, Any]:
    from edgesegnet_ros.data.sources import open_source
    from edgesegnet_ros.engines import open_engine
    from edgesegnet_ros.engines.request import EngineRequest
    from edgesegnet_ros.engines.segmenter import Segmenter
    from edgesegnet_ros.prediction.window import Window

    # Every input is opened before any is segmented.
    folders = _folders(args.out, args.inputs)
    refuse_old_results(folders)
    sources = [
        open_source(name, topic=args.topic, tolerant=True, labels=False) for name in args.inputs
    ]
    view = Window(f'edgesegnet predict: {args.model}') if args.view else None
    try:
        # What is not given is left to the request, or to what the model says of itself.
        given = {name: getattr(args, name) for name in _REQUEST if getattr(args, name) is not None}
        model = open_engine(EngineRequest(**given))
        segmenter = Segmenter(model.engine, model.resize_mode)
        description = model.engine.describe()
        summary: dict[str, Any] = {
            'model': args.model,
            'classes': model.classes.names,
            'engine': description.engine,
            'precision': description.precision,
            'device': description.device,
            'inputs': [],
        }
        for name, source, folder in zip(args.inputs, sources, folders):
            results = Results(folder, tuple(dict.fromkeys(args.write)), model.classes)
            entry = _segment(source, segmenter, results, view, args)
            summary['inputs'].append({'input': name, 'out': str(folder), **entry})
            print(_line(summary['inputs'][-1]))
            if view and view.closed:
                break
        return summary
    finally:
        if view:
            view.destroy()


def _folders(out: Path, inputs: list[str]) -> list[Path]:
    """A folder of results for each input: `out` itself for one input."""
    if len(inputs) == 1:
        return [out]
    folders: list[Path] = []
    for name in inputs:
        stem = Path(name).stem or Path(name).resolve().name
        folder = out / stem.replace(':', '_')
        number = 2
        while folder in folders:
            folder, number = out / f'{stem}_{number}', number + 1
        folders.append(folder)
    return folders


def _segment(
    source: Source,
    segmenter: Segmenter,
    results: Results,
    view: Window | None,
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Segment one input; Ctrl-C ends a camera, which has no other end."""
    from tqdm import tqdm

    count, total_ms, complete = 0, 0.0, False
    found = None if source.total is None else -(-source.total // args.every)
    totals = [number for number in (found, args.frames) if number is not None]
    name = Path(source.name).name
    frames: Iterator[Any] = itertools.islice(source, 0, None, args.every)
    try:
        with tqdm(
            total=min(totals, default=None), desc=name, unit='frame', disable=None
        ) as progress:
            for frame in frames:
                started = time.perf_counter()
                result = segmenter.segment(frame.image, True, args.unlabeled_below)
                milliseconds = 1000.0 * (time.perf_counter() - started)
                shown = results.add(frame, result, milliseconds)
                count, total_ms = count + 1, total_ms + milliseconds
                progress.update()
                if view:
                    view.show(shown)
                if count == args.frames or (view and view.closed):
                    break
        complete = True
    except KeyboardInterrupt:
        if not source.live:
            raise
        print(f'{name}: ended by Ctrl-C after {count} frames', file=sys.stderr)
    finally:
        results.close(complete)
    return {
        'frames': count,
        'unreadable': source.skipped,
        'latency_ms': round(total_ms / count, 3) if count else None,
    }


def _line(entry: dict[str, Any]) -> str:
    bad = f' ({entry["unreadable"]} could not be read)' if entry['unreadable'] else ''
    pace = '' if entry['latency_ms'] is None else f', {entry["latency_ms"]:.1f} ms each'
    return (
        f'{entry["input"]}: {entry["frames"]} frames segmented{bad}{pace}; results in '
        f'{entry["out"]}'
    )

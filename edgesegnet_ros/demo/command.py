"""`edgesegnet demo`: plays a source to the node over DDS and collects what it publishes."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Tuple, Union

from edgesegnet_ros import shipped
from edgesegnet_ros.atomic_file import write_bytes, write_json
from edgesegnet_ros.engines.request import ENGINES, PRECISIONS, EngineRequest
from edgesegnet_ros.errors import EdgeSegNetError

if TYPE_CHECKING:
    from edgesegnet_ros.data.classes import ClassSet
    from edgesegnet_ros.data.sources import Source
    from edgesegnet_ros.demo.processes import Processes

STREET_SEED = 7
"""Seed of the street; training uses seeds of 1,000,000 and more."""
STREET_FRAMES = 50
CAMERA_FRAMES = 100
FRAMES_NAME = 'frames'
"""Folder in --out for the frames of a film while it is made."""
ANSWER_S = 20.0
"""Time in s that the node has for one frame before the player publishes it again."""
BRING_UP_S = 120.0
"""Time in s that the node has to become active; an error ends the wait at once."""


class DemoError(EdgeSegNetError):
    """The arguments of the demo are invalid."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from edgesegnet_ros.arguments import output_file, output_folder
    from edgesegnet_ros.engines.options import add_network_input

    add = parser.add_argument
    add(
        'input',
        nargs='?',
        metavar='INPUT',
        help='folder of images (with label images in the folder DIRannot beside it), video, ROS '
        'bag, or camera:0; if not given, a rendered street',
    )
    add('--input', dest='named_input', metavar='INPUT', help='the same as INPUT')
    add('--topic', help='image topic of the bag; by default the first one')
    add('--labels', help='ground truth topic of the bag; by default one found by its name')
    add('--seed', type=int, default=STREET_SEED, help='seed of the rendered street')
    add(
        '--frames',
        type=int,
        metavar='N',
        help='stop after this many frames; by default a recording is played to its end, a street '
        f'for {STREET_FRAMES} frames, a camera for {CAMERA_FRAMES}',
    )
    add(
        '--rate',
        type=float,
        default=0.0,
        metavar='FACTOR',
        help='play at most at this multiple of the recorded rate; 0 sends each frame when the '
        'node has answered the one before',
    )
    add(
        '--model',
        default=shipped.DEFAULT_MODEL,
        metavar='NAME|FILE',
        help='name of a shipped model, or path of a weights file',
    )
    add(
        '--classes',
        default=shipped.DEFAULT_CLASSES,
        metavar='NAME|FILE',
        help='class file: the name of a shipped one, or a path',
    )
    add('--engine', default='auto', choices=ENGINES, help='back end')
    add('--precision', default='auto', choices=PRECISIONS, help='number format')
    add('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    add_network_input(parser)
    add('--domain', type=int, metavar='N', help='ROS_DOMAIN_ID to use; by default a free one')
    add(
        '--out',
        type=output_folder,
        default='out/demo',
        metavar='DIR',
        help='folder of the results',
    )
    add(
        '--film',
        type=output_file,
        metavar='FILE',
        help='write an animated .webp or .gif of at most 2 MB that shows image and overlay side '
        'by side',
    )
    add(
        '--json',
        type=output_file,
        metavar='FILE',
        help='also write the content of summary.json to this file',
    )


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 success, 1 a process failed or frames are missing, 2 usage error."""
    from edgesegnet_ros.demo.processes import ProcessFailed

    # SIGTERM must also end the child processes.
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        return _run(args)
    except ProcessFailed as failure:
        print(f'edgesegnet demo: {failure}', file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(args: argparse.Namespace) -> int:
    import cv2

    from edgesegnet_ros.data.classes import load_classes
    from edgesegnet_ros.data.sources import open_source
    from edgesegnet_ros.data.street.labels import CLASSES as STREET_CLASSES
    from edgesegnet_ros.demo import film, summary
    from edgesegnet_ros.demo.sheet import compose
    from edgesegnet_ros.engines.recipe import recipe_for

    _check(args)
    if args.film:
        film.check(args.film)
    recipe = recipe_for(_request(args))  # refuses options that do not fit the weights
    args.input_size, args.resize_mode = recipe.input_size, recipe.resize_mode
    classes = recipe.classes
    out = args.out.resolve()
    if args.input and not args.input.startswith('camera:'):
        # A wrong input is refused before the results of an earlier demo are removed.
        open_source(args.input, args.topic, args.labels, classes=classes)
    out.mkdir(parents=True, exist_ok=True)
    for name in ('summary.json', 'overlay.png', 'collected.json', 'pictures.npz'):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / FRAMES_NAME, ignore_errors=True)
    source_name, title = _input(args, out)
    if not args.input and classes.names != load_classes(STREET_CLASSES).names:
        print(f'the street has other classes than {classes.name}, so accuracy is not measured')
        args.labels = ''
    source = open_source(source_name, args.topic, args.labels, classes=classes)
    if source.label_topic:
        print(f'ground truth: {source.label_topic}')
        args.labels = source.label_topic
    elif not source.has_labels:
        args.labels = ''
    if args.frames is None and source.live:
        args.frames = CAMERA_FRAMES
    played = _play(args, source_name, source, out, classes)
    collected = json.loads((out / 'collected.json').read_text())
    figures = summary.figures(args, source, played, collected, out)
    line = summary.line(figures)
    pictures = _images(out)
    if pictures:
        model = shipped.find('models', args.model).stem
        sheet = compose(pictures, classes, f'{model} on ROS 2: {title}', line)
        encoded = cv2.imencode('.png', cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1]
        write_bytes(figures['overlay'], encoded.tobytes())
    else:
        figures['overlay'] = None
    figures['film'] = None
    if args.film and collected['frames_out']:
        figures['film'] = film.write(out / FRAMES_NAME, classes, args.film)
        shutil.rmtree(out / FRAMES_NAME)
    write_json(out / 'summary.json', figures)
    if args.json:
        write_json(args.json, figures)
    print(line)
    print(f'image: {_short(figures["overlay"])}   figures: {_short(out / "summary.json")}')
    if figures['film']:
        print(f'film: {_short(args.film)} ({figures["film"]["bytes"] / 1e6:.2f} MB)')
    return summary.verdict(figures, out)


def _check(args: argparse.Namespace) -> None:
    """Refuse wrong arguments before anything is started."""
    from edgesegnet_ros.demo.node_start import check_node_is_there

    if args.input and args.named_input:
        raise DemoError('two inputs: give INPUT or --input INPUT, not both')
    args.input = args.input or args.named_input
    if args.frames is not None and args.frames < 1:
        raise DemoError(f'--frames {args.frames}: at least 1')
    if args.rate < 0:
        raise DemoError(f'--rate {args.rate:g}: 0 or more')
    if args.seed < 0:
        raise DemoError(f'--seed {args.seed}: 0 or more')
    if args.domain is not None and not 0 <= args.domain <= 232:
        raise DemoError(f'--domain {args.domain}: 0 to 232')
    check_node_is_there()


def _input(args: argparse.Namespace, out: Path) -> Tuple[str, str]:
    """The source to play, and the title of the image."""
    if args.input:
        name = args.input if args.input.startswith('camera:') else str(Path(args.input).resolve())
        return name, Path(args.input).name or name
    from edgesegnet_ros.demo.clip import street_clip

    clip = street_clip(out, args.seed, args.frames or STREET_FRAMES)
    return str(clip), f'rendered street, seed {args.seed}'


def _play(
    args: argparse.Namespace, source_name: str, source: Source, out: Path, classes: ClassSet
) -> Dict:
    """Start the three processes and play the source; returns the figures of the player."""
    import yaml

    from edgesegnet_ros.demo.domain import free_domain, ros_environment
    from edgesegnet_ros.demo.node_start import ROS_ARGUMENTS, bring_up
    from edgesegnet_ros.demo.processes import Processes

    # A class set that is stored in the weights has no file.
    class_file = out / 'classes.yaml'
    class_file.write_text(yaml.safe_dump(classes.as_document()))
    domain = free_domain() if args.domain is None else args.domain
    environment = ros_environment(domain)
    print(f'starting node, collector and player (ROS_DOMAIN_ID={domain}, logs in {_short(out)})')
    with Processes(out, environment) as processes:
        node = processes.start(
            'segmentation_node',
            [
                *ROS_ARGUMENTS,
                '--params-file',
                str(_parameters(args, source.live, out)),
            ],
        )
        collector = processes.start(
            'collector',
            [
                '--out',
                str(out),
                '--classes',
                str(class_file),
                *(['--labels'] if source.has_labels else []),
                *(['--frames', str(out / FRAMES_NAME)] if args.film else []),
                *ROS_ARGUMENTS,
            ],
        )
        bring_up(processes, node, BRING_UP_S)
        arguments = _player(args, source_name, source, class_file)
        played = _follow_player(processes, args, source, arguments)
        processes.end(collector)
    return played


def _player(
    args: argparse.Namespace, source_name: str, source: Source, class_file: Path
) -> List[str]:
    from edgesegnet_ros.demo.node_start import ROS_ARGUMENTS

    arguments = [
        source_name,
        '--progress',
        '--classes',
        str(class_file),
        '--rate',
        str(args.rate),
        '--wait-for',
        'image=2',
    ]
    if not source.live:
        arguments += ['--lock-step', 'collected', '--answer-timeout', str(ANSWER_S)]
    if source.has_labels:
        arguments += ['--wait-for', 'labels']
    for option in ('frames', 'topic', 'labels'):
        value = getattr(args, option)
        if value is not None:
            arguments += [f'--{option}', str(value)]
    return arguments + ROS_ARGUMENTS


def _follow_player(
    processes: Processes, args: argparse.Namespace, source: Source, arguments: List[str]
) -> Dict:
    from tqdm import tqdm

    totals = [number for number in (source.total, args.frames) if number is not None]
    player = processes.start('bag_player', arguments, piped=True)
    played: Dict = {
        'published': 0,
        'republished': 0,
        'unanswered': 0,
        'round_trip_ms': [],
        'skipped': 0,
        'reasons': [],
    }
    with tqdm(
        total=min(totals, default=None), desc='segmenting', unit='frame', disable=None
    ) as bar:

        def on_line(line: str) -> None:
            event = json.loads(line)
            if event.pop('event') != 'matched':
                played.update(event)
                bar.update(played['published'] - bar.n)

        try:
            processes.follow(player, on_line)
        except KeyboardInterrupt:
            # Ctrl-C is how a user ends a camera.
            if not source.live:
                raise
            processes.end(player)
    return played


def _request(args: argparse.Namespace) -> EngineRequest:
    return EngineRequest(
        args.model,
        args.classes,
        args.engine,
        args.precision,
        args.device,
        input_size=args.input_size,
        resize_mode=args.resize_mode,
    )


def _parameters(args: argparse.Namespace, live: bool, out: Path) -> Path:
    from edgesegnet_ros.demo.node_start import write_parameters

    return write_parameters(
        out / 'parameters.yaml',
        _request(args),
        {
            'use_sim_time': not live,
            # A recording waits for the node, so no image needs to be lost between them.
            **({} if live else {'qos_overrides./image.subscription.reliability': 'reliable'}),
        },
    )


def _images(out: Path) -> Dict:
    import numpy as np

    with np.load(str(out / 'pictures.npz')) as pictures:
        return {name: pictures[name] for name in pictures.files}


def _short(path: Union[None, str, Path]) -> str:
    """A path relative to the current folder, if it is below it."""
    if path is None:
        return 'none'
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)

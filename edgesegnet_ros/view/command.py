"""`edgesegnet view`: a running node, or a source without ROS, in the Rerun viewer."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Tuple

from edgesegnet_ros.engines.request import ENGINES, PRECISIONS
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.shipped import DEFAULT_MODEL

if TYPE_CHECKING:
    from edgesegnet_ros.data.sources import Source
    from edgesegnet_ros.demo.processes import Processes
    from edgesegnet_ros.engines import LoadedModel

DEFAULT_PORT = 9090


class ViewError(EdgeSegNetError):
    """The arguments of the command are invalid."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from edgesegnet_ros.arguments import add_classes, output_file
    from edgesegnet_ros.engines.options import add_network_input

    parser.description = (
        'Show image, overlay, masks with class names, confidence, latency and drops in the Rerun '
        'viewer: of all running nodes, side by side, or of --input without ROS. Opens a window '
        'unless --web or --save is given. Ctrl-C ends it.'
    )
    what = parser.add_argument_group('what is shown')
    add = what.add_argument
    add(
        '--input',
        metavar='FILE|DIR|BAG|camera:0',
        help='segment this source in this process, without ROS; by default running nodes are '
        'shown',
    )
    add(
        '--node',
        action='append',
        metavar='NAME',
        help='show only this running node, such as /front/edgesegnet; may be repeated',
    )
    add_classes(what, 'class file that gives the colours')
    add('--frames', type=int, help='stop after this many segmented frames')
    add('--topic', help='with --input: image topic of a bag; by default the first one')
    add(
        '--labels',
        help='with --input: topic of true labels in a bag; by default found by its name',
    )
    where = parser.add_argument_group('where it is shown')
    add = where.add_argument
    add('--web', action='store_true', help='serve a page for browsers, where there is no display')
    add('--bind', help='with --web: address to listen on (127.0.0.1); 0.0.0.0 lets anyone connect')
    add(
        '--port',
        type=int,
        help=f'with --web: port of the page ({DEFAULT_PORT}); the data use the next port',
    )
    add('--save', type=output_file, metavar='FILE.rrd', help='record to a file that Rerun opens')
    add('--lossless', action='store_true', help='keep images as they are, not as JPEG')
    add(
        '--json',
        type=output_file,
        metavar='FILE',
        help='write the number of frames to this file, as JSON',
    )
    how = parser.add_argument_group('how --input is segmented')
    add = how.add_argument
    add('--model', default=DEFAULT_MODEL, help='shipped name or file')
    add('--engine', default='auto', choices=ENGINES, help='back end')
    add('--precision', default='auto', choices=PRECISIONS, help='number format')
    add('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    add('--num-threads', type=int, default=0, help='CPU threads; 0 uses all cores')
    add_network_input(how)


def run(args: argparse.Namespace) -> int:
    """Show until the end; returns 0, 1 if a process failed, or 2 for a usage error."""
    from edgesegnet_ros.demo.processes import ProcessFailed

    _check(args)
    # SIGTERM must also end the child processes.
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with tempfile.TemporaryDirectory(prefix='edgesegnet_view_') as folder:
            return _show(args, Path(folder))
    except ProcessFailed as failure:
        print(f'edgesegnet view: {failure}', file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


def _check(args: argparse.Namespace) -> None:
    from edgesegnet_ros.data.classes import load_classes
    from edgesegnet_ros.demo.node_start import check_node_is_there
    from edgesegnet_ros.extras import need

    if args.web and args.save:
        raise ViewError('--web and --save: give one of them')
    if not args.web and (args.bind or args.port):
        raise ViewError('--bind and --port belong to --web')
    if args.input and args.node:
        raise ViewError('--input and --node: give one of them')
    if not args.input and (args.topic or args.labels):
        raise ViewError('--topic and --labels belong to --input')
    if args.frames is not None and args.frames < 1:
        raise ViewError(f'--frames {args.frames}: at least 1')
    if args.save is not None:
        if args.save.suffix != '.rrd':
            raise ViewError(f'--save {args.save}: the name of a recording ends in .rrd')
    need('view', ['rerun'], 'the viewer')
    load_classes(args.classes)
    if not args.input:
        check_node_is_there()


def _show(args: argparse.Namespace, folder: Path) -> int:
    from edgesegnet_ros.demo.domain import ros_environment
    from edgesegnet_ros.demo.processes import Processes

    domain = int(os.environ.get('ROS_DOMAIN_ID') or 0)
    # Running nodes use the transport and discovery range of the user's environment.
    environment = {**ros_environment(domain), **os.environ, 'PYTHONUNBUFFERED': '1'}
    with Processes(folder, environment) as processes, _recorded(args.save) as file:
        # A source with errors is refused before a window opens.
        opened = _open_source(args) if args.input else None
        page = None if args.save else _start_viewer(args, folder, processes)
        if opened:
            frames = _feed_source(args, opened, file, page)
        else:
            frames = _feed_nodes(args, processes, file, page)
        if args.web and args.input and sys.stdout.isatty():
            print('all frames are sent; Ctrl-C ends the page')
            signal.pause()
    if args.save:
        print(f'{frames} frames in {args.save}: open it with `rerun {args.save}`')
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(
            json.dumps({'frames': frames, 'saved': args.save and str(args.save)}, indent=2) + '\n'
        )
    return 0


@contextmanager
def _recorded(path: Optional[Path]) -> Iterator[Optional[Path]]:
    """A temporary file, which replaces the requested one at the end.

    The recording of an interrupted command is kept, and is valid up to the interruption.
    """
    if path is None:
        yield None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + '.partial')
    try:
        yield partial
    finally:
        if partial.exists():
            os.replace(str(partial), str(path))


def _start_viewer(args: argparse.Namespace, folder: Path, processes: Processes) -> str:
    from edgesegnet_ros.view import viewer

    chosen = (
        viewer.web(args.bind or viewer.LOCAL, args.port or DEFAULT_PORT)
        if args.web
        else viewer.window()
    )
    child = processes.start_command('viewer', chosen.command, viewer.environment(folder))
    if not viewer.wait_until_ready(chosen, child.process):
        raise child.failed('does not start')
    if chosen.page:
        print(f'open {chosen.page} (Ctrl-C here ends it)')
    return chosen.data_url


def _open_source(args: argparse.Namespace) -> Tuple[Source, LoadedModel]:
    from edgesegnet_ros.data.sources import open_source
    from edgesegnet_ros.engines import open_engine
    from edgesegnet_ros.engines.options import request_of
    from edgesegnet_ros.engines.recipe import recipe_for

    request = request_of(args)
    classes = recipe_for(request).classes
    source = open_source(args.input, args.topic, args.labels, classes=classes)
    return source, open_engine(request)


def _feed_source(
    args: argparse.Namespace,
    opened: Tuple[Source, LoadedModel],
    file: Optional[Path],
    url: Optional[str],
) -> int:
    from tqdm import tqdm

    from edgesegnet_ros.view.camera_log import close, open_recording
    from edgesegnet_ros.view.source_feed import log_source

    source, model = opened
    recording = open_recording(file, url)
    totals = [number for number in (source.total, args.frames) if number is not None]
    count = 0
    try:
        with tqdm(
            total=min(totals, default=None), desc='segmenting', unit='frame', disable=None
        ) as bar:
            for _ in log_source(recording, source, model, args.frames, not args.lossless):
                count += 1
                bar.update()
    except KeyboardInterrupt:
        # The logged frames are kept; a camera can only be ended by Ctrl-C.
        pass
    finally:
        close(recording)
        model.engine.close()
    return count


def _feed_nodes(
    args: argparse.Namespace, processes: Processes, file: Optional[Path], url: Optional[str]
) -> int:
    from edgesegnet_ros.demo.node_start import ROS_ARGUMENTS

    words: List[str] = ['--classes', args.classes]
    words += ['--save', str(file)] if file else ['--connect', str(url)]
    for name in args.node or []:
        words += ['--node', name]
    if args.frames is not None:
        words += ['--frames', str(args.frames)]
    if args.lossless:
        words.append('--lossless')
    child = processes.start('view_feed', [*words, *ROS_ARGUMENTS], piped=True)
    event_counts: Dict[str, int] = {'frames': 0}

    def on_line(line: str) -> None:
        event = json.loads(line)
        if 'message' in event:
            print(event['message'], file=sys.stderr)
        event_counts.update({key: value for key, value in event.items() if key == 'frames'})

    try:
        processes.follow(child, on_line)
    except KeyboardInterrupt:
        processes.end(child)
    return event_counts['frames']

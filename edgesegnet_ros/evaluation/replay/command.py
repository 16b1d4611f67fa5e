"""`edgesegnet replay`: replays recorded bags through the production path, and writes a report."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesegnet_ros.arguments import add_classes, output_file, output_folder
from edgesegnet_ros.engines import cpu
from edgesegnet_ros.engines.options import add_model, add_network_input
from edgesegnet_ros.engines.request import ENGINES, PRECISIONS, EngineRequest
from edgesegnet_ros.evaluation.replay.options import ReplayOptions
from edgesegnet_ros.evaluation.replay.result import ReplayError

if TYPE_CHECKING:
    from edgesegnet_ros.data.classes import ClassSet
    from edgesegnet_ros.evaluation.replay.one_bag import BagOutcome
    from edgesegnet_ros.evaluation.replay.worker_pool import Job

BARE_FRAMES = 10
"""Number of frames on which the engine alone is timed, before and after a single bag."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from edgesegnet_ros.evaluation.report.gates import add_gate_argument

    add = parser.add_argument
    flag = argparse.BooleanOptionalAction
    add(
        'bags',
        nargs='*',
        metavar='BAG',
        help='ROS 2 bag (folder, .mcap, .db3), ROS 1 bag (.bag), a folder of bags, or @FILE, a '
        'text file with one bag per line',
    )
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        '--offline',
        dest='live',
        action='store_false',
        default=False,
        help='replay every frame as fast as the engine runs (the default)',
    )
    modes.add_argument(
        '--live',
        action='store_true',
        default=False,
        help='play the bag in real time to the node, which runs as its own process and gets the '
        'images over DDS',
    )
    add(
        '--topic',
        action='append',
        default=[],
        help='image topic; may be repeated; by default all cameras',
    )
    add(
        '--labels',
        metavar='TOPIC|DIR',
        help='ground truth: a topic of label images, or a folder of them named by stamp or frame '
        'number; by default a topic found by its name; "" for none',
    )
    add(
        '--label-start',
        type=int,
        choices=(0, 1),
        help='number of the first frame, where label images are named by frame number and the '
        'names do not show whether they start at 0 or 1',
    )
    add(
        '--rate',
        type=float,
        default=1.0,
        help='with --live: playback speed relative to the recording',
    )
    add_model(parser)
    add_classes(parser)
    add('--engine', default='auto', choices=ENGINES, help='back end')
    add('--precision', default='auto', choices=PRECISIONS, help='number format')
    add('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    add(
        '--num-threads',
        type=int,
        default=0,
        help='CPU threads per process; 0 gives each process its share of the cores',
    )
    add_network_input(parser)
    add(
        '--unlabeled-below',
        type=float,
        default=0.0,
        help='pixels with a confidence (0-1) below this become unlabelled',
    )
    add(
        '--against',
        metavar='MODEL[,ENGINE[,PRECISION]]',
        help='also run this model, and measure how many pixels it labels differently',
    )
    add(
        '--confidence',
        default=True,
        action=flag,
        help='compute the confidence, its histogram and the calibration error',
    )
    add(
        '--flow', default=True, action=flag, help='measure temporal consistency along optical flow'
    )
    add(
        '--label-maps',
        default=True,
        action=flag,
        help='keep all label maps, which --compare requires for a comparison by pixel',
    )
    add(
        '--pictures',
        default=True,
        action=flag,
        help='keep images of the worst frames and of a sample',
    )
    add(
        '--video',
        default=None,
        action=flag,
        help='write an overlay video (by default for a single bag)',
    )
    add('--page', default=True, action=flag, help='write the HTML page')
    add(
        '--write-bag',
        metavar='FILE',
        help='also write the images with mask, confidence, label_info and class_masks to an MCAP '
        'bag: a folder, or a file if the name ends in .mcap; with several bags or cameras, '
        'a folder of such bags',
    )
    add(
        '--rerun',
        type=output_file,
        metavar='FILE.rrd',
        help='record images, labels, ground truth and errors of one camera of one bag for the '
        'Rerun viewer',
    )
    add('--force', action='store_true', help='replace an existing output of --write-bag')
    add(
        '--jobs',
        type=int,
        default=0,
        help='number of processes for several bags; 0 shares the cores among them',
    )
    add(
        '--ray',
        metavar='ADDRESS',
        help='replay on the Ray cluster at this address; `local` starts one on this machine',
    )
    add(
        '--out',
        type=output_folder,
        default='out/replay',
        metavar='DIR',
        help='folder of the results; bags that are finished there are skipped',
    )
    add(
        '--json',
        type=output_file,
        metavar='FILE',
        help='also write the figures to this file, as JSON',
    )
    add(
        '--compare',
        nargs=2,
        type=Path,
        metavar=('A', 'B'),
        help='compare two results, pixel by pixel and class by class, instead of replaying',
    )
    add_gate_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Replay; 0 for success, 1 if something is missing or a gate fired, 2 for usage errors."""
    from edgesegnet_ros.extras import need

    if args.compare:
        from edgesegnet_ros.evaluation.replay.compare_command import run_compare

        if args.bags:
            raise ReplayError('--compare takes two results and no bag')
        before, after = args.compare
        return run_compare(before, after, args.out, args.json, args.fail_if)
    need('bags', ['rosbags', 'tqdm'], 'edgesegnet replay')
    if not args.live:
        return _replay(args)
    from edgesegnet_ros.evaluation.replay.live import LiveError

    # Whoever is asked to end must get to end its children.
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        return _replay(args)
    except LiveError as failure:
        print(f'edgesegnet replay: {failure}', file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


def _replay(args: argparse.Namespace) -> int:
    from edgesegnet_ros.atomic_file import WriteError, write_text
    from edgesegnet_ros.evaluation.replay.bag_paths import find_bags
    from edgesegnet_ros.evaluation.replay.conclusion import tell, write
    from edgesegnet_ros.evaluation.replay.identity import fingerprint, identity
    from edgesegnet_ros.evaluation.replay.merging import Merger
    from edgesegnet_ros.evaluation.replay.one_bag import finished
    from edgesegnet_ros.evaluation.replay.problems import fails
    from edgesegnet_ros.evaluation.report.gates import check

    bags = find_bags(args.bags)
    options = _options(args, len(bags))
    out = args.out.expanduser().absolute()
    options, classes = _settled(options)
    merger = Merger(classes, [str(bag) for bag in bags])
    decided_by = identity(options)
    jobs: list[tuple[Path, str]] = []
    for bag in bags:
        key = fingerprint(bag, decided_by)
        missing = options.rerun is not None and not Path(options.rerun).exists()
        done = None if args.force or missing else finished(bag, out, key, bool(options.write_bag))
        if done is None:
            jobs.append((bag, key))
        else:
            merger.add(done)
    if len(jobs) < len(bags):
        print(
            f'skipping {len(bags) - len(jobs)} of {len(bags)} bags, which are finished in '
            f'{args.out}'
        )
    for outcome in _outcomes(args, options, out, jobs, len(bags)):
        merger.add(outcome)
    result = merger.result()
    result, written = write(result, out, args.page)
    text = result.to_json()
    if args.json:
        try:
            write_text(args.json, text)
        except WriteError as error:
            written = False
            print(f'edgesegnet replay: {error}', file=sys.stderr)
    tell(result, args.out)
    fired = check(args.fail_if, json.loads(text))
    for each in fired:
        print(f'edgesegnet replay: --fail-if {each}', file=sys.stderr)
    failed = fired or fails(result.problems) or not written or not result.frames.frames_out
    return 1 if failed else 0


def _settled(options: ReplayOptions) -> tuple[ReplayOptions, ClassSet]:
    """The options with what the weights settle, and the classes of the labels.

    What does not fit together is refused here, before a bag is read.
    """
    from edgesegnet_ros.engines.recipe import recipe_for

    recipe = recipe_for(options.request)
    request = options.request._replace(
        input_size=recipe.input_size, resize_mode=recipe.resize_mode
    )
    against = options.against
    if against is not None:
        other = recipe_for(against)
        against = against._replace(input_size=other.input_size, resize_mode=other.resize_mode)
    return replace(options, request=request, against=against), recipe.classes


def _options(args: argparse.Namespace, bags: int) -> ReplayOptions:
    """The options of the command line, checked.

    Raises:
        ReplayError: Something that cannot be.
    """
    if not 0 <= args.unlabeled_below <= 1:
        raise ReplayError(f'--unlabeled-below {args.unlabeled_below:g}: 0 to 1')
    if not 0 < args.rate <= 1000:
        raise ReplayError(f'--rate {args.rate:g}: more than 0, at most 1000')
    for name in ('jobs', 'num_threads'):
        if getattr(args, name) < 0:
            raise ReplayError(f'--{name.replace("_", "-")} {getattr(args, name)}: 0 or more')
    if args.live and args.ray:
        raise ReplayError(
            '--live cannot be combined with --ray: the node and the player run on this machine'
        )
    if args.live and args.against:
        raise ReplayError(
            '--live cannot be combined with --against: only one node runs at a '
            'time; compare offline instead'
        )
    several = bags > 1
    if args.write_bag and not several and not args.force and Path(args.write_bag).exists():
        raise ReplayError(f'--write-bag {args.write_bag}: exists already; give --force')
    if args.rerun:
        from edgesegnet_ros.extras import need

        if several:
            raise ReplayError(f'--rerun {args.rerun}: records one bag, but there are {bags}')
        if args.rerun.suffix != '.rrd':
            raise ReplayError(f'--rerun {args.rerun}: the name of a recording ends in .rrd')
        need('view', ['rerun'], '--rerun')
    labels = args.labels
    if labels and not labels.startswith('/') and not Path(labels).is_dir():
        raise ReplayError(
            f'--labels {labels}: neither a folder nor a topic, which begins with a slash'
        )
    request = EngineRequest(
        args.model,
        args.classes,
        args.engine,
        args.precision,
        args.device,
        args.num_threads,
        args.input_size,
        resize_mode=args.resize_mode,
    )
    return ReplayOptions(
        request=request,
        topics=tuple(args.topic),
        labels=labels,
        label_start=args.label_start,
        unlabeled_below=args.unlabeled_below,
        confidence=args.confidence and not args.live,
        flow=args.flow,
        against=_against(args, request),
        label_maps=args.label_maps,
        pictures=args.pictures,
        video=not several if args.video is None else args.video,
        write_bag=args.write_bag,
        write_bag_each=several,
        rerun=None if args.rerun is None else str(args.rerun.absolute()),
        force=args.force,
        bare_frames=0 if several or args.live else BARE_FRAMES,
        live=args.live,
        rate=args.rate,
    )


def _against(args: argparse.Namespace, request: EngineRequest) -> EngineRequest | None:
    if not args.against:
        return None
    model, engine, precision, *more = [*args.against.split(','), '', ''][:4]
    if (
        more
        and more[0]
        or (engine or 'auto') not in ENGINES
        or (precision or 'auto') not in PRECISIONS
    ):
        raise ReplayError(
            f'--against {args.against}: MODEL, or MODEL,ENGINE, or MODEL,ENGINE,PRECISION with an '
            f'engine of {", ".join(ENGINES)} and a precision of {", ".join(PRECISIONS)}'
        )
    return request._replace(
        model=model or request.model,
        engine=engine or request.engine,
        precision=precision or ('auto' if engine else request.precision),
    )


def _outcomes(
    args: argparse.Namespace,
    options: ReplayOptions,
    out: Path,
    jobs: list[tuple[Path, str]],
    bags: int,
) -> Iterator[BagOutcome]:
    """The outcome of each bag, with a progress bar."""
    from tqdm import tqdm

    from edgesegnet_ros.evaluation.replay.worker_pool import Job

    if not jobs:
        return
    if args.live or (bags == 1 and not args.ray):
        yield from _here(options, out, jobs)
        return
    with tqdm(
        total=bags, initial=bags - len(jobs), desc='replaying', unit='bag', disable=None
    ) as bar:
        for outcome in _by_pool(args, options, out, [Job(str(b), key) for b, key in jobs]):
            bar.update()
            yield outcome


def _by_pool(
    args: argparse.Namespace, options: ReplayOptions, out: Path, jobs: list[Job]
) -> Iterator[BagOutcome]:
    from edgesegnet_ros.evaluation.replay.worker_pool import (
        WorkerPool,
        schedule,
        shares,
        with_threads,
    )

    pool: WorkerPool
    if args.ray:
        from edgesegnet_ros.evaluation.replay.ray_pool import RayPool, connect, disconnect

        size, threads = shares(options, len(jobs), args.jobs, connect(args.ray))
        try:
            pool = RayPool(with_threads(options, threads), str(out), threads)
            yield from schedule(jobs, pool, size)
        finally:
            disconnect()
        return
    from edgesegnet_ros.evaluation.replay.local_pool import LocalPool

    size, threads = shares(options, len(jobs), args.jobs, cpu.cores())
    print(f'replaying {len(jobs)} bags in {size} processes of {threads} threads')
    pool = LocalPool(with_threads(options, threads), str(out))
    yield from schedule(jobs, pool, size)


def _here(options: ReplayOptions, out: Path, jobs: list[tuple[Path, str]]) -> Iterator[BagOutcome]:
    import cv2
    from tqdm import tqdm

    from edgesegnet_ros.evaluation.replay.camera_replay import Engines
    from edgesegnet_ros.evaluation.replay.one_bag import replay_bag

    # The cores are the engine's: more threads of OpenCV would only wait beside it.
    cv2.setNumThreads(1)
    engines = None if options.live else Engines(options)
    for bag, key in jobs:
        with tqdm(desc=bag.name, unit='frame', disable=None) as bar:

            def on_frame(done: int, total: int, bar: Any = bar) -> None:
                bar.total = max(total, done)
                bar.update(done - bar.n if done > bar.n else 1)

            yield replay_bag(bag, options, engines, out, key, on_frame)

"""`edgesegnet replay`: replays recorded bags through the production path, and writes a report."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from edgesegnet_ros.arguments import add_classes, output_file, output_folder
from edgesegnet_ros.engines.options import add_model, add_network_input
from edgesegnet_ros.engines.request import ENGINES, PRECISIONS
from edgesegnet_ros.evaluation.replay.result import ReplayError


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
        '--min-confidence',
        metavar='GROUP=VALUE',
        action='append',
        default=[],
        help='pixels with a confidence (0-1) below this are uncertain for this group: outside '
        'of its mask, or inside with --unlabeled-inside, whatever their class; may be repeated. '
        'Masks of groups are in the results of --write-bag and --rerun',
    )
    add(
        '--unlabeled-inside',
        metavar='GROUP',
        action='append',
        default=[],
        help='uncertain and unlabelled pixels are in the mask of this group; may be repeated',
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
    from edgesegnet_ros.evaluation.replay.command_options import complete, parse_options
    from edgesegnet_ros.evaluation.replay.identity import fingerprint, identity
    from edgesegnet_ros.evaluation.replay.merging import Merger
    from edgesegnet_ros.evaluation.replay.one_bag import finished
    from edgesegnet_ros.evaluation.replay.problems import fails
    from edgesegnet_ros.evaluation.replay.reporting import print_summary, write_results
    from edgesegnet_ros.evaluation.replay.running import replay_bags
    from edgesegnet_ros.evaluation.report.gates import check

    bags = find_bags(args.bags)
    options = parse_options(args, len(bags))
    out = args.out.expanduser().absolute()
    options, classes = complete(options)
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
    for outcome in replay_bags(args, options, out, jobs, len(bags)):
        merger.add(outcome)
    result = merger.result()
    result, written = write_results(result, out, args.page)
    text = result.to_json()
    if args.json:
        try:
            write_text(args.json, text)
        except WriteError as error:
            written = False
            print(f'edgesegnet replay: {error}', file=sys.stderr)
    print_summary(result, args.out)
    fired = check(args.fail_if, json.loads(text))
    for each in fired:
        print(f'edgesegnet replay: --fail-if {each}', file=sys.stderr)
    failed = fired or fails(result.problems) or not written or not result.frames.frames_out
    return 1 if failed else 0

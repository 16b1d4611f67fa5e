"""`edgesegnet bench`: networks and engines side by side in one run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesegnet_ros.atomic_file import PartialFile, WriteError, write_json

if TYPE_CHECKING:
    from edgesegnet_ros.engines.request import EngineRequest
    from edgesegnet_ros.evaluation.bench.cases import BenchCase, Skipped

_ROOFLINE_SIZES = [(256, 256), (368, 480)]
_PEAK = 'peak'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from edgesegnet_ros.arguments import add_classes, output_file, output_folder, size
    from edgesegnet_ros.engines.options import add_model

    add_model(parser)
    add_classes(parser)
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument(
        '--num-threads', default=0, type=int, help='CPU threads of every row; 0 uses all cores'
    )
    parser.add_argument(
        '--input-size',
        action='append',
        type=size,
        metavar='HxW',
        help='height and width of the network input; may be repeated; by default those of the '
        'weights (256x256 and 368x480 with --roofline)',
    )
    parser.add_argument('--frames', default=20, type=int, help='number of timed frames per row')
    parser.add_argument(
        '--networks',
        help='networks to measure, as a,b,…: peers, designs and weights, by name or file '
        '(default: all peers)',
    )
    parser.add_argument('--engines', help='engines to measure, as a,b,… (default: all)')
    parser.add_argument(
        '--out',
        type=output_folder,
        default='out/bench',
        metavar='DIR',
        help='folder of the plots',
    )
    parser.add_argument(
        '--json', type=output_file, metavar='FILE', help='write the rows to this file, as JSON'
    )
    parser.add_argument(
        '--roofline',
        action='store_true',
        help='measure nothing: predict the speed of a Jetson AGX Xavier from its published peaks',
    )


def chosen(text: str | None, known: Sequence[str], what: str) -> list[str]:
    """The names in a,b,…, in the order of `known`; all of them for None.

    Raises:
        BenchError: One is unknown.
    """
    from edgesegnet_ros.evaluation.bench.cases import BenchError

    if text is None:
        return list(known)
    named = [word.strip().lower() for word in text.split(',') if word.strip()]
    unknown = [word for word in named if word not in known]
    if unknown or not named:
        raise BenchError(f'{what} {", ".join(unknown) or text!r}: there are {", ".join(known)}')
    return [name for name in known if name in named]


def chosen_networks(text: str | None) -> list[str]:
    """The networks in a,b,…: peers, designs and weights; all peers for None.

    Raises:
        EdgeSegNetError: One is unknown, or its design cannot be built.
    """
    from edgesegnet_ros.evaluation.bench.cases import NETWORKS, OWN, check_network
    from edgesegnet_ros.network.registry import plain_name

    if text is None:
        return list(NETWORKS)
    named = [word.strip() for word in text.split(',') if word.strip()]
    named = [OWN if word.lower() == OWN else plain_name(word) or word for word in named]
    for name in named or [text]:
        check_network(name)
    rest = [name for name in dict.fromkeys(named) if name not in NETWORKS]
    return [name for name in NETWORKS if name in named] + rest


def enter(
    request: EngineRequest, networks: Sequence[str], engines: Sequence[str], classes: int
) -> Iterator[BenchCase | Skipped]:
    """All cases at one input size, and the rows that are skipped.

    The engines that PyTorch computes come last, each group by group: building one leaves its
    number of threads behind.
    """
    from edgesegnet_ros.evaluation.bench import cases

    for name in networks:
        if name == cases.OWN:
            yield from cases.own_cases(request, engines)
        elif cases.is_model(name):
            yield from cases.own_cases(request._replace(model=name), engines)
        else:
            yield from cases.other_cases(name, request, engines, classes)


def measure(
    request: EngineRequest, networks: Sequence[str], engines: Sequence[str], frames: int
) -> dict[str, Any]:
    """Rows without shares of a peak, peaks and skipped rows, at one input size.

    Raises:
        BenchError: Nothing is left to measure.
    """
    import torch
    from tqdm import tqdm

    from edgesegnet_ros.data.classes import load_classes
    from edgesegnet_ros.engines.recipe import threads_of
    from edgesegnet_ros.evaluation.bench import peak, rows, timing
    from edgesegnet_ros.evaluation.bench.cases import BenchError, Skipped, in_words

    threads = threads_of(request.num_threads)
    torch.set_num_threads(threads)
    taking_part: list[BenchCase] = []
    skipped: list[Skipped] = []
    count = len(load_classes(request.classes).classes)
    with tqdm(desc='building', unit='engine', leave=False) as bar:
        for found in enter(request, networks, engines, count):
            if isinstance(found, Skipped):
                skipped.append(found)
            else:
                taking_part.append(found)
            bar.update()
    if not taking_part:
        raise BenchError(f'nothing can be measured here\n{rows.skipped_lines(skipped)}')
    kinds = {(rows.device_type_of(one), one.described.precision): None for one in taking_part}
    probes: list[peak.Probe] = []
    for device_type, precision in kinds:
        try:
            probes += peak.fastest(peak.probes(device_type, precision, threads))
        except Exception as error:
            skipped.append(Skipped(_PEAK, device_type, precision, in_words(error), failed=True))
    runs = [one.infer for one in taking_part] + [probe.infer for probe in probes]
    try:
        times, failed = timing.time_frames(runs, request.input_size, frames)
    finally:
        for one in taking_part:
            one.close()
    for index, raised in failed.items():
        if index < len(taking_part):
            who, is_ = taking_part[index].network, taking_part[index].described
            what = (who, is_.engine, is_.precision)
        else:
            probe = probes[index - len(taking_part)]
            what = (_PEAK, probe.by, probe.precision)
        skipped.append(Skipped(*what, in_words(raised), failed=True))
    count = len(taking_part)
    measured, peaks = rows.make_rows(
        [one for index, one in enumerate(taking_part) if index not in failed],
        [probe for index, probe in enumerate(probes, count) if index not in failed],
        times[[index for index in range(len(runs)) if index not in failed]],
        request.input_size,
    )
    if not measured:
        raise BenchError(f'nothing could be measured\n{rows.skipped_lines(skipped)}')
    return {
        'rows': measured,
        'peaks': peaks,
        'skipped': [item._asdict() for item in skipped],
        'notes': rows.skipped_lines(skipped),
    }


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, plot it; returns 1 if the measurement of a row failed."""
    from tqdm import tqdm

    from edgesegnet_ros.engines import cpu
    from edgesegnet_ros.engines.recipe import recipe_for, threads_of
    from edgesegnet_ros.engines.request import EngineRequest
    from edgesegnet_ros.evaluation.bench import cases, rows

    if args.roofline:
        from edgesegnet_ros.evaluation.bench.roofline import write_page

        return write_page(
            args.model, args.input_size or _ROOFLINE_SIZES, Path(args.out), args.json
        )
    if args.frames < 1:
        raise cases.BenchError(f'--frames {args.frames}: at least 1')
    if args.num_threads < 0:
        raise cases.BenchError(f'--num-threads {args.num_threads}: 0 or more')
    try:  # before minutes of measuring
        Path(args.out).mkdir(parents=True, exist_ok=True)
        if args.json:
            PartialFile(args.json).discard()
    except WriteError:
        raise
    except OSError as error:
        raise cases.BenchError(
            f'--out {args.out}: no folder can be made there ({error.strerror})'
        ) from None
    networks = chosen_networks(args.networks)
    engines = chosen(args.engines, cases.ENGINES, '--engines')
    threads = threads_of(args.num_threads)
    figures: dict[str, Any] = {
        'machine': {'cpu': cpu.name(), 'threads': threads},
        'frames': args.frames,
        'rows': [],
        'peaks': [],
        'skipped': [],
    }
    requests = [
        EngineRequest(
            args.model, args.classes, 'torch', 'auto', args.device, args.num_threads, size
        )
        for size in dict.fromkeys(args.input_size or [(0, 0)])
    ]
    for number, request in enumerate(requests):
        # Refuses what is wrong before anything is built.
        requests[number] = request._replace(input_size=recipe_for(request).input_size)
    sizes = []
    try:
        for request in requests:
            found = measure(request, networks, engines, args.frames)
            size = request.input_size
            sizes.append((size, found))
            figures['rows'] += found['rows']
            figures['peaks'] += found['peaks']
            figures['skipped'] += [dict(item, input_size=list(size)) for item in found['skipped']]
    finally:  # What was measured is shown even if a later size fails or is interrupted.
        rows.compare(figures['rows'], figures['peaks'])
        for size, found in sizes:
            tqdm.write(
                f'uint8 image to class ids at {size[0]}x{size[1]} on {cpu.name()}, {threads} '
                f'threads, {args.frames} frames in turns; peers and designs have random weights'
            )
            tqdm.write(rows.table(found['rows']))
            if found['notes']:
                tqdm.write(found['notes'])
        if sizes:
            tqdm.write(rows.peak_lines(figures['peaks']))
    if args.json:
        write_json(args.json, figures)
    from edgesegnet_ros.evaluation.bench.plot import draw

    tqdm.write(draw(figures, Path(args.out)))
    return int(any(item['failed'] for item in figures['skipped']))

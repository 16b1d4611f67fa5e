"""`edgesegnet explore`: find a network for one's own data, device and requirement."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from edgesegnet_ros.arguments import output_file, output_folder, size
from edgesegnet_ros.exploration.settings import ExplorationError, Settings

if TYPE_CHECKING:
    import optuna

_UNITS = {'s': 1.0, 'm': 60.0, 'h': 3600.0, 'd': 86400.0}


def seconds(text: str) -> float:
    """A duration such as 90s, 10m, 3h or 1h30m."""
    parts = re.findall(r'(\d+(?:\.\d+)?)([smhd])', text)
    if not parts or ''.join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f'{text!r} is no duration, such as 10m, 3h or 1h30m')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from edgesegnet_ros.exploration.performance import PERFORMANCES
    from edgesegnet_ros.exploration.requirement import FIGURES

    own = Settings()
    parser.description = (
        'Search for a network: a generator proposes networks, each one is trained on shared '
        'views and measured on this machine, and better networks replace the generator. The same '
        'command resumes a study.'
    )
    parser.add_argument(
        '--data',
        help='dataset folder, as for `edgesegnet train`; by default that of EDGESEGNET_CAMVID, '
        'or rendered streets (also --data street)',
    )
    parser.add_argument(
        '--classes',
        default=own.classes,
        help='class file of the labels: the name of a shipped one, or a path',
    )
    parser.add_argument(
        '--teacher',
        nargs='+',
        default=[],
        metavar='NAME|FILE',
        help='weights of teachers from which candidates are distilled; of several the mean of '
        'the logits is used',
    )
    parser.add_argument(
        '--requirement',
        default='',
        metavar='EXPRESSION',
        help="requirement that a network must meet, such as 'accuracy >= 0.88 and size_mb <= "
        f"16.7 and latency_ms <= 20'; figures are {', '.join(FIGURES)}",
    )
    parser.add_argument(
        '--performance',
        default=own.performance,
        choices=list(PERFORMANCES),
        help='U, which is maximised: '
        + '; '.join(f'{name}: {text}' for name, (text, _) in PERFORMANCES.items()),
    )
    parser.add_argument('--engine', default='auto', help='back end on which latency is measured')
    parser.add_argument('--precision', default='auto', help='precision of the engine')
    parser.add_argument(
        '--budget',
        default=600.0,
        type=seconds,
        metavar='DURATION',
        help='duration of the search, such as 90s, 10m or 3h',
    )
    parser.add_argument(
        '--storage',
        metavar='URL',
        help='database of the study: sqlite:///FILE, or postgresql+psycopg://user@host/database '
        'for several machines, each of which runs this command (default: OUT/study.db)',
    )
    parser.add_argument('--study', default='explore', help='name of the study in the storage')
    parser.add_argument(
        '--out',
        type=output_folder,
        default='out/explore',
        metavar='DIR',
        help='folder of the pool, the weights and the report',
    )
    parser.add_argument(
        '--workers', default=1, type=int, help='number of processes on this machine'
    )
    parser.add_argument(
        '--input-size',
        default=own.input_size,
        type=size,
        metavar='HxW',
        help='height and width of the network input',
    )
    parser.add_argument(
        '--views',
        type=int,
        help='number of views in the shared pool (default: by the budget; 240 for 10m)',
    )
    parser.add_argument(
        '--steps',
        type=int,
        help='number of training steps for the last rung (default: by the budget; 75 for 10m)',
    )
    parser.add_argument('--batch', default=own.batch, type=int, help='views per training step')
    parser.add_argument(
        '--val-images',
        default=own.val_images,
        type=int,
        help='number of val images that judge a candidate; 0 uses all',
    )
    parser.add_argument(
        '--population',
        type=int,
        help='number of networks per generator (default: by the budget; 4 for 10m, at most 8)',
    )
    parser.add_argument(
        '--seed', default=own.seed, type=int, help='S, the seed of all random numbers'
    )
    parser.add_argument(
        '--halving',
        default=True,
        action=argparse.BooleanOptionalAction,
        help='judge candidates after a ninth and a third of --steps, and continue with the best '
        'third; --no-halving trains all to the end, and the report says how well the early order '
        'agrees with the last one',
    )
    parser.add_argument(
        '--inquisitor',
        default=True,
        action=argparse.BooleanOptionalAction,
        help='probe trained networks, and advise the generator with the findings',
    )
    parser.add_argument(
        '--json', type=output_file, metavar='FILE', help='write the figures to this file, as JSON'
    )


def settings_of(args: argparse.Namespace, stored: Settings | None = None) -> Settings:
    """The exploration that was asked for, all of it checked.

    Args:
        args: The options.
        stored: Settings of a resumed study, which give steps, views and population that are not
            given, and the threads that latency is measured with.

    Raises:
        EdgeSegNetError: Something cannot be used; nothing was made.
    """
    import os

    from edgesegnet_ros import shipped
    from edgesegnet_ros.data.classes import load_classes
    from edgesegnet_ros.data.datasets import dataset_path, open_dataset
    from edgesegnet_ros.engines.recipe import threads_of
    from edgesegnet_ros.engines.registry import back_end
    from edgesegnet_ros.engines.request import BACK_ENDS
    from edgesegnet_ros.exploration.requirement import read_requirement
    from edgesegnet_ros.training.initial import read_network

    read_requirement(args.requirement)
    classes = load_classes(args.classes)
    given = args.data or os.environ.get('EDGESEGNET_CAMVID')
    data = '' if not given or given == 'street' else str(dataset_path(args.data).resolve())
    if data:
        open_dataset(data, classes)  # refuses what does not fit together
    teachers = tuple(str(shipped.find('models', name)) for name in args.teacher)
    for teacher in teachers:
        read_network(teacher, classes)
    engine = args.engine
    if engine == 'auto':
        engine = 'openvino' if back_end('openvino').why_not('cpu') is None else 'torch'
    if engine not in BACK_ENDS:
        raise ExplorationError(f'--engine {engine}: auto, {", ".join(BACK_ENDS)}')
    reason = back_end(engine).why_not('cpu')
    if reason:
        raise ExplorationError(f'--engine {engine}: {reason}')
    known = back_end(engine).precisions('cpu')
    # int8 has to be calibrated for each network: it is measured where it is asked for.
    fastest = next(name for name in known if name != 'int8')
    precision = fastest if args.precision == 'auto' else args.precision
    if precision not in known:
        raise ExplorationError(
            f'--precision {precision}: {engine} computes {", ".join(known)} here'
        )
    if args.workers < 1:
        raise ExplorationError(f'--workers {args.workers}: at least 1')
    return Settings(
        data=data,
        classes=args.classes,
        teachers=teachers,
        requirement=args.requirement,
        performance=args.performance,
        engine=engine,
        precision=precision,
        threads=stored.threads if stored else max(1, threads_of(0) // args.workers),
        input_size=tuple(args.input_size),
        views=args.views or (stored.views if stored else _by_budget(args.budget, 2.5, 2000)),
        steps=args.steps or (stored.steps if stored else _by_budget(args.budget, 8.0, 4000)),
        batch=args.batch,
        val_images=args.val_images,
        population=args.population
        or (stored.population if stored else max(3, min(8, int(args.budget / 150)))),
        halving=args.halving,
        inquisitor=args.inquisitor,
        seed=args.seed,
    )


def _by_budget(budget: float, seconds_each: float, most: int) -> int:
    """So many that some forty networks can be tried on two cores."""
    return max(48, min(most, int(budget / seconds_each)))


def run(args: argparse.Namespace) -> int:
    """Explore until the budget is spent; 1 where no network meets the requirement."""
    from edgesegnet_ros.extras import need

    need('explore', ('optuna', 'sqlalchemy', 'tqdm', 'jinja2', 'matplotlib'), 'edgesegnet explore')
    from edgesegnet_ros.exploration.processes import explore
    from edgesegnet_ros.exploration.results import write_results
    from edgesegnet_ros.exploration.storage import open_study, stored_settings

    out = Path(args.out)
    storage = args.storage or f'sqlite:///{out / "study.db"}'
    settings = settings_of(args, stored_settings(storage, args.study))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExplorationError(f'--out {out}: cannot be made ({error.strerror})') from None
    study: optuna.Study = open_study(storage, args.study, settings)
    spent = explore(study, storage, settings, out, args.budget, args.workers)
    return write_results(study, storage, settings, out, spent, args.json)

"""`edgesegnet explore`: finds a network for given data, a device and a requirement."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesegnet_ros.arguments import output_file, output_folder, size
from edgesegnet_ros.exploration import budget
from edgesegnet_ros.exploration.settings import ExplorationError, Settings

if TYPE_CHECKING:
    import optuna

_BY_BUDGET = (
    ('input_size', size, 'height and width of the network input'),
    ('views', int, 'number of views in the shared pool'),
    ('steps', int, 'number of training steps for the last rung'),
    ('batch', int, 'views per training step'),
    ('val_images', int, 'number of val images that judge a candidate; 0 uses all'),
    ('population', int, 'number of networks per generator'),
)
"""Name, type and description of the settings that a budget decides where they are not given."""
_UNITS = {'s': 1.0, 'm': 60.0, 'h': 3600.0, 'd': 86400.0}


def seconds(text: str) -> float:
    """A duration such as 90s, 10m, 3h or 1h30m."""
    parts = re.findall(r'(\d+(?:\.\d+)?)([smhd])', text)
    if not parts or ''.join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f'{text!r} is not a duration, such as 10m, 3h or 1h30m')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from edgesegnet_ros.exploration.performance import PERFORMANCES
    from edgesegnet_ros.exploration.requirement import FIGURES

    own, by_budget = Settings(), budget.defaults(seconds('10m'))
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
        default='10m',
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
        '--networks',
        type=int,
        metavar='N',
        help='end before the budget is spent once the study has this many networks',
    )
    for name, kind, text in _BY_BUDGET:
        shown = by_budget[name]
        shown = 'x'.join(map(str, shown)) if isinstance(shown, tuple) else shown
        parser.add_argument(
            '--' + name.replace('_', '-'),
            type=kind,
            metavar='HxW' if kind is size else 'N',
            help=f'{text} (default: by the budget; {shown} for 10m)',
        )
    parser.add_argument(
        '--seed', default=own.seed, type=int, help='S, the seed of all random numbers'
    )
    parser.add_argument(
        '--halving',
        action=argparse.BooleanOptionalAction,
        help='judge candidates after a ninth and a third of --steps, and continue with the best '
        'third; --no-halving trains all to the end, and the report says how well the early order '
        'agrees with the last one (default: by the budget; --no-halving for 10m)',
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
    """The settings of the requested exploration, checked.

    Args:
        args: The options.
        stored: Settings of a resumed study, which take the place of those that the budget would
            decide, and of the threads that latency is measured with.

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
        open_dataset(data, classes)  # refuses labels that do not fit the classes
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
    # int8 requires calibration for each network, so it is measured only on request.
    fastest = next(name for name in known if name != 'int8')
    precision = fastest if args.precision == 'auto' else args.precision
    if precision not in known:
        raise ExplorationError(
            f'--precision {precision}: {engine} computes {", ".join(known)} here'
        )
    for name in ('workers', 'networks'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise ExplorationError(f'--{name} {getattr(args, name)}: at least 1')
    return Settings(
        data=data,
        classes=args.classes,
        teachers=teachers,
        requirement=args.requirement,
        performance=args.performance,
        engine=engine,
        precision=precision,
        threads=stored.threads if stored else max(1, threads_of(0) // args.workers),
        inquisitor=args.inquisitor,
        seed=args.seed,
        **_given(args),
        **not_given(args, stored),
    )


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings among the options that a budget would decide otherwise."""
    found = {name: getattr(args, name) for name in budget.defaults(args.budget)}
    found = {name: value for name, value in found.items() if value is not None}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}


def not_given(args: argparse.Namespace, stored: Settings | None = None) -> dict[str, Any]:
    """The settings that the budget decides, or that the resumed study has.

    Args:
        args: The options.
        stored: Settings of a resumed study.
    """
    found = vars(stored) if stored else budget.defaults(args.budget)
    missing = budget.defaults(args.budget).keys() - _given(args).keys()
    return {name: found[name] for name in budget.defaults(args.budget) if name in missing}


def run(args: argparse.Namespace) -> int:
    """Explore until the budget is spent; returns 1 if no network meets the requirement."""
    from edgesegnet_ros.extras import need

    need('explore', ('optuna', 'sqlalchemy', 'tqdm', 'jinja2', 'matplotlib'), 'edgesegnet explore')
    from edgesegnet_ros.exploration.processes import explore
    from edgesegnet_ros.exploration.results import write_results
    from edgesegnet_ros.exploration.storage import open_study, stored_settings

    out = Path(args.out)
    storage = args.storage or f'sqlite:///{out / "study.db"}'
    stored = stored_settings(storage, args.study)
    settings = settings_of(args, stored)
    said = '' if stored else budget.in_words(not_given(args), args.budget)
    if said:
        print(said, file=sys.stderr)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExplorationError(f'--out {out}: cannot be made ({error.strerror})') from None
    study: optuna.Study = open_study(storage, args.study, settings)
    spent = explore(
        study, storage, settings, out, args.budget, args.workers, args.networks or sys.maxsize
    )
    return write_results(study, storage, settings, out, spent, args.json)

"""`edgesegnet train`."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from edgesegnet_ros import shipped
from edgesegnet_ros.arguments import add_classes, add_data, output_file, output_folder, size
from edgesegnet_ros.atomic_file import write_json
from edgesegnet_ros.training.config import TrainConfig, read_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for files, and one option for each setting of TrainConfig."""
    add_data(parser)
    parser.add_argument(
        '--out',
        type=output_folder,
        default='out/train',
        metavar='DIR',
        help='folder of the checkpoint, weights, logs and curves; resumes a run found there',
    )
    add_classes(parser, 'class file of the labels')
    parser.add_argument(
        '--config',
        metavar='NAME|FILE',
        help='YAML file of settings, a shipped one or your own; the options below override it',
    )
    parser.add_argument(
        '--init',
        default='',
        metavar='NAME|FILE',
        help='weights to start from, published ones too: every tensor that fits is kept; by '
        'default the weights are random',
    )
    parser.add_argument(
        '--teacher',
        default=[],
        nargs='+',
        metavar='NAME|FILE',
        help='weights of the teacher for --distillation; of several, which may be different '
        'networks, the mean of the logits is used',
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument(
        '--tensorboard',
        default=True,
        action=argparse.BooleanOptionalAction,
        help='write TensorBoard logs',
    )
    parser.add_argument(
        '--json',
        type=output_file,
        metavar='FILE',
        help='write the figures of the run to this file, as JSON',
    )
    settings = parser.add_argument_group('settings, which override --config')
    for one in fields(TrainConfig):
        default: Any = one.default
        shown = 'x'.join(map(str, default)) if isinstance(default, tuple) else default
        text = one.metadata['help'].replace('%', '%%')  # argparse formats its help
        given: dict[str, Any] = {
            'default': argparse.SUPPRESS,
            'help': f'{text} (default: {shown})',
        }
        if isinstance(default, bool):
            given['action'] = argparse.BooleanOptionalAction
        else:
            given['type'] = size if isinstance(default, tuple) else type(default)
            given['metavar'] = 'HxW' if isinstance(default, tuple) else type(default).__name__
        if one.metadata['choices']:
            given['choices'] = one.metadata['choices']
            given['metavar'] = '|'.join(one.metadata['choices'])
        settings.add_argument('--' + one.name.replace('_', '-'), **given)


def parser_defaults() -> dict[str, Any]:
    """The values of the options that are not given."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return vars(parser.parse_args([]))


def config_of(args: argparse.Namespace) -> TrainConfig:
    """The configuration of the run: defaults, then the YAML file, then the options.

    Raises:
        ConfigError: A value that cannot be used.
    """
    settings = read_settings(args.config) if args.config else {}
    names = [one.name for one in fields(TrainConfig)]
    settings.update({name: getattr(args, name) for name in names if hasattr(args, name)})
    return TrainConfig(**settings)


def run(args: argparse.Namespace) -> int:
    """Train until the last epoch, or until a signal stops the run."""
    from edgesegnet_ros.data.classes import load_classes
    from edgesegnet_ros.data.datasets import open_dataset
    from edgesegnet_ros.extras import need
    from edgesegnet_ros.network.registry import identity
    from edgesegnet_ros.training.train import BEST, WEIGHTS, Sources, train

    need('train', ('tqdm', 'matplotlib'), 'edgesegnet train')
    config = config_of(args)
    identity(config.network)  # refuses a wrong design before any data is read
    init = str(shipped.find('models', args.init)) if args.init else ''
    teachers = tuple(str(shipped.find('models', name)) for name in args.teacher)
    classes = load_classes(args.classes)
    dataset = open_dataset(args.data, classes, args.val_fraction, args.split_seed)
    dataset.tell()
    sources = Sources(dataset, classes, init, teachers)
    out = Path(args.out)
    outcome = train(config, sources, out, args.device, args.tensorboard)
    if not outcome.is_main:
        return 0
    progress = outcome.progress
    if args.json:
        figures = {
            'config': asdict(config),
            'epochs': progress.epoch,
            'steps': progress.steps,
            'best_val_pixel_accuracy': progress.best if progress.best >= 0 else None,
            'weights': str(out / WEIGHTS),
            'history': progress.history,
        }
        write_json(args.json, figures)
    if outcome.signal:
        print(
            f'stopped after epoch {progress.epoch} and {progress.step} more steps; run the same '
            'command again to resume'
        )
        return 128 + outcome.signal
    if not outcome.trained:
        print(f'{out}: the run is already finished; nothing was trained')
        return 0
    words = ['edgesegnet', 'evaluate', '--model', str(out / BEST), '--split', 'val']
    for name in ('data', 'val_fraction', 'split_seed'):
        value = getattr(args, name)
        if value is not None and value != parser_defaults()[name]:
            words += ['--' + name.replace('_', '-'), str(value)]
    print(
        f'The weights are in {out / WEIGHTS}, and those that were best on val in {out / BEST}.\n'
        f'Evaluate them with:\n  {shlex.join(words)}'
    )
    return 0

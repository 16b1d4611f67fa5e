"""`edgesegnet train`."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from edgesegnet_ros.training.config import TrainConfig

_HELP = {
    'epochs': 'passes over the training images',
    'batch': 'views a step',
    'input_size': 'height and width that whole pictures stand for, as HxW',
    'crop': 'height and width of a training view, as HxW',
    'scale_min': 'smallest random scale of a view',
    'scale_max': 'largest random scale of a view',
    'rendered': 'rendered street scenes an epoch, beside CamVid\'s images',
    'rendered_pool': 'different rendered scenes in all',
    'learning_rate': 'peak rate of AdamW',
    'weight_decay': 'weight decay of AdamW',
    'warmup_epochs': 'epochs over which the rate rises',
    'ema_decay': 'decay of the averaged weights, which are what is kept',
    'class_balance': 'power of a class\'s inverse frequency that weighs its loss, 0 to 1',
    'gradient_norm': 'longer gradients are shortened to this',
    'training_norms': 'foldable batch norms behind the bare convolutions of Fig. 1',
    'validate_every': 'epochs between two looks at val',
    'seed': 'of all chance',
}


def size(text: str) -> tuple[int, int]:
    """HxW as (height, width)."""
    height, _, width = text.lower().partition('x')
    try:
        return int(height), int(width)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is not HxW, such as 256x256') from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run's files, and every field of TrainConfig."""
    parser.add_argument('--data', help='CamVid folder; else EDGESEGNET_CAMVID')
    parser.add_argument(
        '--out', default='out/train',
        help='takes checkpoint, weights and log.csv; a run found there is gone on with',
    )  # fmt: skip
    parser.add_argument('--classes', default='camvid11', help='class file that the labels follow')
    for field in fields(TrainConfig):
        option = '--' + field.name.replace('_', '-')
        default, text = field.default, _HELP[field.name]
        if isinstance(default, bool):
            parser.add_argument(
                option, default=default, action=argparse.BooleanOptionalAction, help=text
            )
        elif isinstance(default, tuple):
            parser.add_argument(option, default='x'.join(map(str, default)), type=size, help=text)
        else:
            parser.add_argument(option, default=default, type=type(default), help=text)


def run(args: argparse.Namespace) -> int:
    """Train until the last epoch."""
    from edgesegnet_ros.data.camvid import dataset_folder
    from edgesegnet_ros.data.classes import load_classes
    from edgesegnet_ros.training.train import WEIGHTS, train

    values = {field.name: getattr(args, field.name) for field in fields(TrainConfig)}
    config = TrainConfig(**values)
    classes = load_classes(args.classes)
    out = Path(args.out)
    train(config, dataset_folder(args.data), out, len(classes.classes), classes.name)
    print(f'weights in {out / WEIGHTS}: try them with '
          f'`edgesegnet evaluate --model {out / WEIGHTS} --split val`')  # fmt: skip
    return 0

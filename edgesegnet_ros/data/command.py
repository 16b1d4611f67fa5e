"""`edgesegnet data`: check a dataset, render a street, or turn a folder of images into a bag."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, Tuple

from edgesegnet_ros import shipped
from edgesegnet_ros.arguments import (
    HelpFormatter,
    add_random_split,
    output_file,
    output_folder,
    size,
)
from edgesegnet_ros.atomic_file import write_bytes, write_json
from edgesegnet_ros.errors import EdgeSegNetError

SECOND_NS = 10**9
START_NS = 1_700_000_000 * SECOND_NS


class DataError(EdgeSegNetError):
    """A usage error of `edgesegnet data`."""


def street_size(text: str) -> Tuple[int, int]:
    """`HxW` as (height, width).

    Raises:
        argparse.ArgumentTypeError: Anything else, or fewer than 16 or more than 8192 pixels.
    """
    height, width = size(text)
    if not (16 <= height <= 8192 and 16 <= width <= 8192):
        raise argparse.ArgumentTypeError(
            f'{text}: height and width must be from 16 to 8192 pixels'
        )
    return height, width


def count(text: str) -> int:
    """A whole number of 1 or more."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number of 1 or more')
    return int(text)


def seed(text: str) -> int:
    """A whole number of 0 or more."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number of 0 or more')
    return int(text)


def rate(text: str) -> float:
    """A rate in frames per second, 0.01 to 1000."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1000:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a rate from 0.01 to 1000 frames per second'
        )
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions `check`, `render` and `to-bag`."""
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    layout = HelpFormatter
    _add_check(actions)

    render = actions.add_parser(
        'render',
        formatter_class=layout,
        help='render a street with exact labels',
        description='Render a street seen from a moving car, with exact labels of the eleven '
        'classes of camvid11. The same seed gives the same images.',
    )
    render.add_argument('--seed', type=seed, default=0, help='seed of the street')
    render.add_argument('--frames', type=count, default=60, help='number of frames')
    render.add_argument(
        '--size',
        type=street_size,
        default='360x480',
        metavar='HxW',
        help='height and width in pixels',
    )
    render.add_argument(
        '--rate', type=rate, default=10.0, metavar='HZ', help='frame rate, in frames per second'
    )
    render.add_argument(
        '--out',
        type=output_folder,
        required=True,
        metavar='DIR',
        help='bag to write; with --format images, the folder of the images; the labels go to '
        'DIRannot',
    )
    render.add_argument(
        '--format',
        choices=('bag', 'images'),
        default='bag',
        help='output format: a ROS 2 bag, or PNG files in the layout of a CamVid split',
    )
    _common(render)

    to_bag = actions.add_parser(
        'to-bag',
        formatter_class=layout,
        help='turn a folder of images into a bag',
        description='Write the images of a folder into a ROS 2 bag, in the order of their names. '
        'The labels of a CamVid split X are found in Xannot.',
    )
    to_bag.add_argument('images', type=Path, metavar='DIR', help='folder of images')
    to_bag.add_argument(
        '--labels',
        type=Path,
        metavar='DIR',
        help='folder of label images of the same names (default: DIRannot, where it exists)',
    )
    to_bag.add_argument(
        '--classes',
        default=shipped.DEFAULT_CLASSES,
        metavar='NAME|FILE',
        help='class file that the label images follow',
    )
    to_bag.add_argument(
        '--rate',
        type=rate,
        default=1.0,
        metavar='HZ',
        help='frame rate of the bag, in frames per second',
    )
    to_bag.add_argument(
        '--out', type=output_folder, required=True, metavar='DIR', help='bag to write'
    )
    _common(to_bag)


def _add_check(actions: Any) -> None:
    parser = actions.add_parser(
        'check',
        formatter_class=HelpFormatter,
        help='check a labelled dataset before training on it',
        description='Read every image and label image of a dataset, count what they show, and '
        'draw a contact sheet. Nothing is written to the dataset. Exit status: 0 if every file '
        'can be used, 1 if not.',
    )
    parser.add_argument(
        'dataset',
        metavar='DATASET',
        help='dataset folder in a known layout, or a dataset.yaml file (docs/own-data.md)',
    )
    parser.add_argument(
        '--classes',
        required=True,
        metavar='NAME|FILE',
        help='class file in which the labels are read: the name of a shipped one, or a path',
    )
    add_random_split(parser)
    parser.add_argument(
        '--sheet',
        type=output_file,
        default='out/data-check.png',
        metavar='FILE',
        help='write a contact sheet to this PNG file: overlays of up to twelve images',
    )
    parser.add_argument(
        '--json', type=output_file, metavar='FILE', help='write the findings to this file, as JSON'
    )


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--storage', choices=('mcap', 'sqlite3'), default='mcap', help='storage format of the bag'
    )
    parser.add_argument('--force', action='store_true', help='replace an existing output')
    parser.add_argument(
        '--json', type=output_file, metavar='FILE', help='write the results to this file, as JSON'
    )


def run(args: argparse.Namespace) -> int:
    """Run the chosen action.

    Raises:
        EdgeSegNetError: The input is wrong, or the output exists.
    """
    if args.action == 'check':
        return _check(args)
    began = time.perf_counter()
    result = _render(args) if args.action == 'render' else _to_bag(args)
    seconds = time.perf_counter() - began
    result = {'action': args.action, 'out': str(args.out), 'seconds': round(seconds, 3), **result}
    print(f'{args.out}: {result["frames"]} frames in {seconds:.1f} s')
    if args.json:
        write_json(args.json, result)
    return 0


def _check(args: argparse.Namespace) -> int:
    from edgesegnet_ros.extras import need

    need('data', ('tqdm',), 'edgesegnet data check')
    import cv2
    from tqdm import tqdm

    from edgesegnet_ros.data.classes import load_classes
    from edgesegnet_ros.data.datasets import check, open_dataset

    dataset = open_dataset(
        args.dataset, load_classes(args.classes), args.val_fraction, args.split_seed
    )
    inside = Path(args.sheet).resolve().is_relative_to(dataset.root.resolve())
    if inside and not Path.cwd().samefile(dataset.root):
        raise DataError(
            f'--sheet {args.sheet}: nothing is written into a dataset; name a file outside of it'
        )
    found = check.check(
        dataset, lambda samples: tqdm(samples, 'checking', unit='image', disable=None)
    )
    print(check.as_text(dataset, found))
    figures = {**check.as_json(dataset, found), 'sheet': None}
    if found.shown:
        sheet = check.contact_sheet(dataset, found)
        _, encoded = cv2.imencode('.png', cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
        write_bytes(args.sheet, encoded.tobytes())
        figures['sheet'] = str(args.sheet)
        print(f'contact sheet: {args.sheet}')
    if args.json:
        write_json(args.json, figures)
    return 1 if found.wrong else 0


def _render(args: argparse.Namespace) -> dict:
    from tqdm import tqdm

    from edgesegnet_ros.data.bag import write_street_bag
    from edgesegnet_ros.data.street import Street

    street = Street(args.seed, args.size)

    def progress(numbers):
        return tqdm(numbers, desc='rendering', unit='frame')

    if args.format == 'bag':
        write_street_bag(
            args.out,
            street,
            args.frames,
            args.rate,
            storage=args.storage,
            force=args.force,
            progress=progress,
        )
    else:
        _write_pictures(args, street, progress)
    return {
        'frames': args.frames,
        'seed': args.seed,
        'size': list(args.size),
        'rate_hz': args.rate,
        'format': args.format,
        'weather': street.weather.kind,
    }


def _write_pictures(args: argparse.Namespace, street, progress) -> None:
    import cv2

    from edgesegnet_ros.data.bag.atomic_folder import atomic_folder
    from edgesegnet_ros.data.camvid import labels_folder

    labels_out = labels_folder(args.out.absolute())
    with atomic_folder(
        labels_out, args.force, '*.png', 'folder of labels'
    ) as labels_in, atomic_folder(args.out, args.force, '*.png', 'folder of images') as images_in:
        labels_in.mkdir()
        images_in.mkdir()
        for index in progress(range(args.frames)):
            frame = street.frame(index, args.rate)
            name = f'{index:06d}.png'
            for folder, pixels in ((images_in, frame.image[..., ::-1]), (labels_in, frame.labels)):
                if not cv2.imwrite(str(folder / name), pixels):
                    raise DataError(f'{folder / name}: cannot be written')


def _to_bag(args: argparse.Namespace) -> dict:
    import cv2
    from tqdm import tqdm

    from edgesegnet_ros.data.bag import ImageFrame, write_image_bag
    from edgesegnet_ros.data.camvid import labels_folder, read_labels
    from edgesegnet_ros.data.classes import load_classes
    from edgesegnet_ros.data.image_files import images_in

    classes = load_classes(args.classes)
    files = images_in(args.images)
    if not files:
        raise DataError(f'{args.images}: this folder holds no image')
    folder = args.labels or labels_folder(args.images.resolve())
    labels = {path.stem: path for path in images_in(folder)}
    if args.labels and not labels:
        raise DataError(f'{args.labels}: this folder holds no label image')
    missing = [path.name for path in files if path.stem not in labels] if labels else []
    if missing:
        raise DataError(
            f'{folder}: no labels for {len(missing)} of {len(files)} images, '
            f'the first is {missing[0]}'
        )

    def frames():
        for number, path in enumerate(tqdm(files, desc='writing', unit='frame')):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                raise DataError(f'{path}: not an image that OpenCV can read')
            ids = read_labels(labels[path.stem], classes) if labels else None
            if ids is not None and ids.shape != image.shape[:2]:
                raise DataError(
                    f'{labels[path.stem]}: {ids.shape[1]}x{ids.shape[0]} labels for an image of '
                    f'{image.shape[1]}x{image.shape[0]}'
                )
            stamp_ns = START_NS + round(number * SECOND_NS / args.rate)
            yield ImageFrame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), ids, stamp_ns)

    written = write_image_bag(args.out, frames(), storage=args.storage, force=args.force)
    return {
        'frames': written,
        'rate_hz': args.rate,
        'storage': args.storage,
        'labels': str(folder) if labels else None,
    }

"""`edgesegnet figure2`: images, labels and predictions side by side, as in the paper's Fig. 2."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgesegnet_ros import shipped
from edgesegnet_ros.atomic_file import write_bytes, write_json
from edgesegnet_ros.errors import EdgeSegNetError

if TYPE_CHECKING:
    from edgesegnet_ros.data.datasets import Dataset, Sample

STREET_SEEDS = (7, 21, 35, 52)
"""Streets that training never saw."""
_STREET_SIZE = (360, 480)
_STREET_FRAME = 25
_GAP = 6
_TITLE_ROWS = 26


class Figure2Error(EdgeSegNetError):
    """A figure that cannot be drawn."""


class Example(NamedTuple):
    """One row.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class ids, 255 for void.
    """

    image: np.ndarray
    labels: np.ndarray


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from edgesegnet_ros.arguments import add_classes, output_file
    from edgesegnet_ros.engines.options import add_network_input

    parser.add_argument(
        '--model',
        default=shipped.DEFAULT_MODEL,
        help='name of a shipped model, or path of a weights file',
    )
    add_classes(parser)
    parser.add_argument('--engine', default='torch', help='back end')
    add_network_input(parser)
    parser.add_argument(
        '--data',
        metavar='DATASET',
        help='folder or dataset.yaml: show its images instead of rendered streets; do not pass '
        "the result on where the licence of the images forbids it, as CamVid's does",
    )
    parser.add_argument('--split', default='test', help='split of the dataset that --data names')
    parser.add_argument(
        '--rows', default=4, type=int, help='number of images, evenly spread over the split'
    )
    parser.add_argument(
        '--out', type=output_file, default='out/figure2.png', help='PNG file to write'
    )
    parser.add_argument(
        '--json',
        type=output_file,
        metavar='FILE',
        help='write the pixel accuracy of each row to this file, as JSON',
    )


def streets() -> Iterator[Example]:
    """One frame of each street that training never used."""
    from edgesegnet_ros.data.street import Street

    for seed in STREET_SEEDS:
        frame = Street(seed, _STREET_SIZE).frame(_STREET_FRAME)
        yield Example(frame.image, frame.labels)


def examples_of(dataset: Dataset, split: str, rows: int) -> list[Sample]:
    """Samples of a split, evenly spread over it.

    Raises:
        Figure2Error: There are fewer images than rows, or no image.
        DatasetError: There is no such split.
    """
    samples = dataset.samples(split)
    if not 1 <= rows <= len(samples):
        raise Figure2Error(
            f'--rows {rows}: must be from 1 to {len(samples)}, the number of images of {split}'
        )
    indices = np.linspace(0, len(samples) - 1, rows + 2)[1:-1].astype(int)
    return [samples[index] for index in indices]


def row_of(example: Example, predicted: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Image, labels and prediction side by side; void is black.

    Args:
        example: The image and its labels.
        predicted: (H, W) uint8 class ids.
        palette: (256, 3) uint8 RGB.

    Returns:
        (H, 3 * W + 2 gaps, 3) uint8 RGB.
    """
    from edgesegnet_ros.data.overlay import colorize

    gap = np.full((len(predicted), _GAP, 3), 255, np.uint8)
    truth, seen = colorize(example.labels, palette), colorize(predicted, palette)
    return np.concatenate([example.image, gap, truth, gap, seen], axis=1)


def _titles(width: int, names: list[str]) -> np.ndarray:
    import cv2

    strip = np.full((_TITLE_ROWS, len(names) * (width + _GAP) - _GAP, 3), 255, np.uint8)
    for number, name in enumerate(names):
        cv2.putText(
            strip,
            name,
            (number * (width + _GAP) + 4, 18),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.5,
            (20, 20, 20),
            1,
            cv2.LINE_AA,
        )
    return strip


def sheet(rows: list[np.ndarray], width: int, legend: np.ndarray, title: str) -> np.ndarray:
    """Rows below one another, with titles above and the legend below.

    Raises:
        Figure2Error: The images have several widths.
    """
    if len({row.shape[1] for row in rows}) != 1:
        raise Figure2Error('the images have several widths, so they do not fit on one sheet')
    gap = np.full((_GAP, rows[0].shape[1], 3), 255, np.uint8)
    parts = [_titles(width, ['image', 'labels', title])]
    for row in rows:
        parts += [row, gap]
    return np.concatenate([*parts, legend])


def run(args: argparse.Namespace) -> int:
    """Draw and write the figure, and print the accuracy of each row."""
    import cv2

    from edgesegnet_ros.data.classes import load_classes
    from edgesegnet_ros.data.datasets import open_dataset
    from edgesegnet_ros.data.overlay import legend
    from edgesegnet_ros.data.street.labels import CLASSES as STREET_CLASSES
    from edgesegnet_ros.engines import open_engine
    from edgesegnet_ros.engines.recipe import recipe_for
    from edgesegnet_ros.engines.request import EngineRequest
    from edgesegnet_ros.engines.segmenter import Segmenter
    from edgesegnet_ros.evaluation.accuracy import Scores

    out = Path(args.out)
    if not cv2.haveImageWriter(str(out)):
        raise Figure2Error(f'{out}: not a supported image format; give a .png file')
    request = EngineRequest(
        args.model,
        args.classes,
        args.engine,
        input_size=args.input_size,
        resize_mode=args.resize_mode,
    )
    classes = recipe_for(request).classes
    if not args.data and classes.names != load_classes(STREET_CLASSES).names:
        raise Figure2Error(
            f'the rendered streets have the classes of {STREET_CLASSES}, not those of '
            f'{classes.name}: give --data'
        )
    examples = streets()
    if args.data:
        dataset = open_dataset(args.data, classes)
        dataset.tell()
        chosen = examples_of(dataset, args.split, args.rows)
        examples = iter([Example(*dataset.read(sample)) for sample in chosen])
    model = open_engine(request)
    segmenter = Segmenter(model.engine, model.resize_mode)
    rows, accuracies = [], []
    for example in examples:
        predicted = segmenter.segment(example.image).labels
        rows.append(row_of(example, predicted, classes.palette))
        scores = Scores.empty(len(classes.classes))
        scores.add(predicted, example.labels)
        accuracies.append(scores.pixel_accuracy)
    image = sheet(
        rows, (rows[0].shape[1] - 2 * _GAP) // 3, legend(classes, rows[0].shape[1]), args.model
    )
    content = cv2.imencode(out.suffix, image[..., ::-1])[1].tobytes()
    write_bytes(out, content)
    if args.json:
        figures = {
            'model': args.model,
            'out': str(out),
            'pixel_accuracy': accuracies,
            'shown': args.split if args.data else 'rendered streets',
        }
        write_json(args.json, figures)
    said = ', '.join(f'{accuracy:.3f}' for accuracy in accuracies)
    print(f'{out}: pixel accuracy of the rows, from above: {said}')
    if args.data:
        print(f'It shows images of {args.data}: pass it on only if their licence lets you.')
    return 0

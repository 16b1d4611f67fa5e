"""`edgesegnet evaluate`: the CamVid protocol, run through the engine that the node uses."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesegnet_ros import shipped
from edgesegnet_ros.data import camvid, camvid_colors
from edgesegnet_ros.engines.request import ENGINES, PRECISIONS
from edgesegnet_ros.errors import EdgeSegNetError

if TYPE_CHECKING:
    from edgesegnet_ros.data.classes import ClassSet
    from edgesegnet_ros.data.datasets import Dataset, Sample
    from edgesegnet_ros.engines import LoadedModel
    from edgesegnet_ros.evaluation.calibration import Fit, Reliability
    from edgesegnet_ros.evaluation.measure import Measurement
    from edgesegnet_ros.network.weights import WeightsInfo

JSON_NAME = 'evaluate.json'
PAGE_NAME = 'report.html'


class EvaluateError(EdgeSegNetError):
    """A usage error of `edgesegnet evaluate`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from edgesegnet_ros.arguments import add_classes, add_data, output_file, output_folder
    from edgesegnet_ros.engines.options import add_model, add_network_input
    from edgesegnet_ros.evaluation.report.gates import add_gate_argument

    add_model(parser)
    add_classes(
        parser,
        'class file of the classes to score',
        "; CamVid's 32 colours are folded to 11 for a model of 11 classes",
    )
    parser.add_argument('--engine', default='auto', choices=ENGINES, help='back end')
    parser.add_argument('--precision', default='auto', choices=PRECISIONS, help='number format')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--num-threads', default=0, type=int, help='CPU threads; 0 uses all cores')
    add_network_input(parser)
    add_data(parser)
    parser.add_argument('--split', default='val', help='split of the dataset to score')
    parser.add_argument(
        '--calibration',
        default=True,
        action=argparse.BooleanOptionalAction,
        help='measure the calibration error of the fp32 logits before and after temperature '
        'scaling, which takes a second forward pass per image',
    )
    parser.add_argument(
        '--fit-temperature',
        action='store_true',
        help='first fit the temperature on val, and store it in the weights file',
    )
    parser.add_argument(
        '--json', type=output_file, metavar='FILE', help='write the figures to this file, as JSON'
    )
    parser.add_argument(
        '--html',
        type=output_file,
        metavar='FILE',
        help='write a self-contained HTML report to this file',
    )
    parser.add_argument(
        '--out',
        type=output_folder,
        metavar='DIR',
        help=f'write {JSON_NAME} and {PAGE_NAME} to this folder',
    )
    add_gate_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Score a split, print the result, and write the requested files."""
    from edgesegnet_ros.extras import need

    page = Path(args.html) if args.html else Path(args.out, PAGE_NAME) if args.out else None
    if args.fit_temperature and args.split != 'val':
        raise EvaluateError(
            f'--fit-temperature with --split {args.split}: the temperature is fitted on val only, '
            'because test must not be used for fitting and the network was trained on train; '
            'leave out --split'
        )
    need('train', ('tqdm',), 'edgesegnet evaluate')
    if page:
        need('report', ('jinja2', 'matplotlib'), 'the page')
    return _run(args, page)


def _run(args: argparse.Namespace, page: Path | None) -> int:
    from tqdm import tqdm

    from edgesegnet_ros.atomic_file import write_text
    from edgesegnet_ros.data.datasets import open_dataset
    from edgesegnet_ros.engines import open_engine
    from edgesegnet_ros.engines.onnx_model import SUFFIX
    from edgesegnet_ros.engines.options import request_of
    from edgesegnet_ros.engines.recipe import recipe_for
    from edgesegnet_ros.engines.segmenter import Segmenter
    from edgesegnet_ros.evaluation.calibration import LogitsReference
    from edgesegnet_ros.evaluation.measure import measure
    from edgesegnet_ros.evaluation.report.gates import check
    from edgesegnet_ros.network.weights import load_weights, store_temperature

    path = shipped.find('models', args.model)
    network = None
    if path.suffix == SUFFIX:
        if args.fit_temperature:
            raise EvaluateError(
                '--fit-temperature: the temperature of an ONNX file cannot be fitted; fit that of '
                'a weights file that `edgesegnet train` wrote'
            )
        named = args.classes
    else:
        network, weights = load_weights(path)
        scored, outputs = _classes(args.classes, path, weights)
        named = str(_file_of(outputs, args.classes))
    request = request_of(args, classes=named)
    recipe = recipe_for(request)  # refuses what does not fit together before the data are read
    args.input_size, args.resize_mode = recipe.input_size, recipe.resize_mode
    if network is None:
        weights, scored, outputs = recipe.info, recipe.classes, recipe.classes
    dataset = open_dataset(args.data, scored, args.val_fraction, args.split_seed)
    num_classes = len(scored.classes)
    dataset.tell()
    samples = dataset.check_split(args.split)
    _refuse_ids_of_another_set(dataset, samples)

    fit = None
    folded = num_classes != weights.num_classes
    reference = None
    if network is not None:
        reference = LogitsReference(
            network, weights, args.input_size, args.resize_mode, outputs.ignored
        )
    if args.fit_temperature:
        if folded:
            raise EvaluateError(
                "--fit-temperature requires labels of the model's own classes: give --classes "
                f'{weights.classes}'
            )
        fit = _fit(reference, dataset, samples)
        store_temperature(path, fit.temperature)
        weights = weights._replace(temperature=fit.temperature)
        tqdm.write(
            f'temperature {fit.temperature:.4f}, fitted on {fit.pixels} pixels of val, is '
            f'in {path.name}: negative log-likelihood {fit.nll_before:.4f} at 1, '
            f'{fit.nll_after:.4f} with it'
        )
    model = open_engine(request)
    measures_logits = args.calibration and not folded and reference is not None
    found = measure(
        Segmenter(model.engine, args.resize_mode),
        dataset,
        tqdm(samples, f'evaluating {args.split}', unit='image', disable=None),
        reference if measures_logits else None,
        (1.0, weights.temperature) if measures_logits else (),
    )
    figures = _figures(args, model, scored, found, fit, weights.temperature)
    if page:
        from edgesegnet_ros.evaluation.evaluate_page import write_evaluate_report

        figures['report'] = str(write_evaluate_report(figures, scored, found.worst, page))
    text = json.dumps(figures, indent=2, allow_nan=False) + '\n'
    for target in (args.json, args.out and Path(args.out, JSON_NAME)):
        if target:
            write_text(Path(target), text)
    _print(figures)
    if page:
        print(f'page: {figures["report"]}')
    fired = check(args.fail_if, figures)
    for gate in fired:
        print(gate)
    return 1 if fired else 0


def _classes(name: str, path: Path, weights: WeightsInfo) -> tuple[ClassSet, ClassSet]:
    """The classes that are scored and the classes of the network's outputs.

    They differ where CamVid's 32 classes are folded to 11.
    """
    from edgesegnet_ros.data.classes import load_classes
    from edgesegnet_ros.engines.recipe import classes_of

    asked = classes_of(path, weights, name)
    count = len(asked.classes)
    if count == weights.num_classes:
        return asked, asked
    own = load_classes(weights.classes) if weights.classes in shipped.names('classes') else None
    if own is None or not (camvid.size_of_own(asked) and camvid.size_of_own(own)):
        raise EvaluateError(
            f'--classes {name} has {count} classes, but the model gives '
            f'{weights.num_classes}; it was trained for '
            f'{weights.classes}'
        )
    # Only 11 classes can be compared in either case: 32 fold to 11, never the other way.
    return (asked, own) if count == camvid.CLASSES else (own, own)


def _file_of(outputs: ClassSet, asked: str) -> str:
    """The class file that `outputs` was read from."""
    from edgesegnet_ros.data.classes import load_classes

    if load_classes(asked).name == outputs.name:
        return asked
    # A class set that is stored in the weights is found there again.
    return outputs.name if outputs.name in shipped.names('classes') else asked


def _refuse_ids_of_another_set(dataset: Dataset, samples: list[Sample]) -> None:
    """Refuse labels with the ids of the 11 classes, which look like ids of the 32 classes.

    CamVid's files do not say which they hold. Road and sky are among the highest ids of the 32,
    so that no whole split lacks them.
    """
    from edgesegnet_ros.data.classes import VOID

    if (
        dataset.layout != 'camvid'
        or dataset.states_values
        or camvid.size_of_own(dataset.classes) != camvid_colors.CLASSES
        or any(sample.labels.stem.endswith(camvid.COLOR_SUFFIX) for sample in samples)
    ):
        return
    for sample in samples:
        _, labels = dataset.read(sample)
        if (labels[labels != VOID] > camvid.CLASSES).any():
            return
    raise EvaluateError(
        f'{samples[0].labels.parent}: no label is above {camvid.CLASSES}, so these seem to be ids '
        f"of CamVid's {camvid.CLASSES} classes, not of its {camvid_colors.CLASSES}; give "
        f'--classes camvid11, or the original labels (name{camvid.COLOR_SUFFIX}.png), or state in '
        'a dataset.yaml what the values stand for (`values: {0: animal, 1: archway, …}`)'
    )


def _fit(reference: Any, dataset: Dataset, samples: list[Sample]) -> Fit:
    from tqdm import tqdm

    from edgesegnet_ros.evaluation.calibration import fit_temperature, sample_pixels

    pairs = (
        dataset.read(sample)
        for sample in tqdm(samples, 'logits of val', unit='image', disable=None)
    )
    return fit_temperature(*sample_pixels(reference, pairs, len(samples)))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _diagram(reliability: Reliability) -> list[dict[str, float | None]]:
    return [
        {name: _number(value) for name, value in each._asdict().items()}
        for each in reliability.bins()
    ]


def _figures(
    args: argparse.Namespace,
    model: LoadedModel,
    scored: ClassSet,
    found: Measurement,
    fit: Fit | None,
    temperature: float,
) -> dict[str, Any]:
    """The content of `--json`."""
    from edgesegnet_ros.evaluation.provenance import provenance

    scores = found.scores
    # Void keeps its output channel, and is never scored.
    shown = [entry for entry in scored.classes if entry.id not in scored.ignored]
    ids = [entry.id for entry in shown]
    description = model.engine.describe()
    calibration: dict[str, Any] = {
        'temperature': temperature,
        'bins': len(found.reliability.bins()),
        'confidence': 'uint8, in steps of 1/255',
        'diagram': _diagram(found.reliability),
        'logits': None,
        'fit': fit._asdict() if fit else None,
    }
    if found.at_temperature:
        before, after = found.at_temperature[1.0], found.at_temperature[temperature]
        calibration['logits'] = {
            'engine': 'torch fp32',
            'ece_before': _number(before.ece()),
            'ece_after': _number(after.ece()),
            'diagram_before': _diagram(before),
        }
    return {
        'model': args.model,
        'split': args.split,
        'classes': scored.name,
        'outputs': model.classes.name,
        'labels': args.classes,
        'images': scores.images,
        'input_size': list(args.input_size),
        'resize_mode': args.resize_mode,
        'engine': description.engine,
        'precision': description.precision,
        'pixel_accuracy': _number(scores.pixel_accuracy),
        'miou': _number(scores.miou),
        'iou': {entry.name: _number(scores.iou[entry.id]) for entry in shown},
        'ece': _number(found.reliability.ece()),
        'calibration': calibration,
        'pixels': {entry.name: int(scores.pixels[entry.id]) for entry in shown},
        'confusion': scores.confusion[ids][:, ids].tolist(),
        'unlabeled': scores.declined[ids].tolist(),
        'worst': [
            {'image': each.name, 'pixel_accuracy': each.pixel_accuracy} for each in found.worst
        ],
        'provenance': provenance(
            args.model,
            scored.name,
            description,
            {name: value for name, value in vars(args).items() if name != 'command'},
        ),
    }


def _print(figures: dict[str, Any]) -> None:
    for name, value in figures['iou'].items():
        print(f'{name:>26} {"absent" if value is None else f"{value:.3f}"}')
    height, width = figures['input_size']
    print(
        f'{figures["model"]} on {figures["split"]}, {figures["images"]} images at '
        f'{height}x{width}, {figures["engine"]} {figures["precision"]}: pixel accuracy '
        f'{_said(figures["pixel_accuracy"])}, mIoU {_said(figures["miou"])}, ECE '
        f'{_said(figures["ece"])}'
    )
    calibration = figures['calibration']
    if calibration['logits']:
        print(
            f'calibration of fp32 logits: ECE {_said(calibration["logits"]["ece_before"])} at '
            f'temperature 1, {_said(calibration["logits"]["ece_after"])} at '
            f'{calibration["temperature"]:.4g}, which the weights file holds'
        )


def _said(value: float | None) -> str:
    return 'unknown' if value is None else f'{value:.4f}'

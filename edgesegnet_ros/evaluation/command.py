"""`edgesegnet evaluate`: the CamVid protocol through the engine that a robot would run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edgesegnet_ros.engines.base import ENGINES, PRECISIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured, on what, with which engine."""
    from edgesegnet_ros.data.camvid import SPLITS
    from edgesegnet_ros.data.geometry import RESIZE_MODES
    from edgesegnet_ros.training.command import size

    parser.add_argument('--model', default='edgesegnet-camvid11', help='shipped name or file')
    parser.add_argument('--classes', default='camvid11', help='shipped name or file')
    parser.add_argument('--engine', default='auto', choices=ENGINES, help='back end')
    parser.add_argument('--precision', default='auto', choices=PRECISIONS, help='number format')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--input-size', default='256x256', type=size, help='network input, HxW')
    parser.add_argument('--resize-mode', default='stretch', choices=RESIZE_MODES, help='how an '
                        'image is brought to the input size')  # fmt: skip
    parser.add_argument('--data', help='CamVid folder; else EDGESEGNET_CAMVID')
    parser.add_argument('--split', default='val', choices=SPLITS, help='part of CamVid')
    parser.add_argument('--json', help='write the figures to this file')


def run(args: argparse.Namespace) -> int:
    """Score a split and print it."""
    from tqdm import tqdm

    from edgesegnet_ros.data.camvid import dataset_folder, read_split
    from edgesegnet_ros.engines import open_engine
    from edgesegnet_ros.engines.base import EngineRequest
    from edgesegnet_ros.engines.segmenter import Segmenter
    from edgesegnet_ros.evaluation.accuracy import score

    pairs = read_split(dataset_folder(args.data), args.split)
    model = open_engine(EngineRequest(
        args.model, args.classes, args.engine, args.precision, args.device,
        input_size=args.input_size,
    ))  # fmt: skip
    segmenter = Segmenter(model.engine, args.resize_mode)
    scores = score(segmenter, tqdm(pairs, f'evaluating {args.split}', unit='image'))
    iou = {c.name: None if scores.iou[c.id] != scores.iou[c.id] else float(scores.iou[c.id])
           for c in model.classes.classes}  # fmt: skip
    description = model.engine.describe()
    figures = {
        'model': args.model, 'split': args.split, 'classes': model.classes.name,
        'images': scores.images, 'input_size': list(args.input_size),
        'engine': description.engine, 'precision': description.precision,
        'pixel_accuracy': scores.pixel_accuracy, 'miou': scores.miou, 'iou': iou,
    }  # fmt: skip
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=2) + '\n')
    for name, value in iou.items():
        print(f'{name:>12} {"absent" if value is None else f"{value:.3f}"}')
    print(f'{args.model} on {args.split}, {scores.images} images at '
          f'{args.input_size[0]}x{args.input_size[1]}, {description.engine} '
          f'{description.precision}: pixel accuracy {scores.pixel_accuracy:.4f}, '
          f'mIoU {scores.miou:.4f}')  # fmt: skip
    return 0

"""`edgesegnet model inspect`: describes a model file, and lists what it lacks to run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict

from edgesegnet_ros import shipped
from edgesegnet_ros.arguments import output_file
from edgesegnet_ros.atomic_file import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('action', choices=('inspect',), help='describe the file')
    parser.add_argument('file', help='name of a shipped model, or a .safetensors or .onnx file')
    parser.add_argument(
        '--json',
        type=output_file,
        metavar='FILE',
        help='write the description to this file, as JSON',
    )


def run(args: argparse.Namespace) -> int:
    """Print the description; returns 1 if something is missing that the file needs to run."""
    from edgesegnet_ros.engines.onnx_model import SUFFIX

    path = shipped.find('models', args.file)
    record = _of_onnx(path) if path.suffix == SUFFIX else _of_weights(path)
    for name, value in record.items():
        if name != 'missing':
            print(f'{name + ":":<15}{value}')
    for what in record['missing']:
        print(f'missing        {what}')
    if record['missing']:
        print(f'add it to {path.with_suffix(".yaml")}')
    if args.json:
        write_json(args.json, record)
    return int(any(not what.startswith('classes') for what in record['missing']))


def _of_onnx(path: Path) -> Dict[str, Any]:
    from edgesegnet_ros.engines.onnx_model import read_onnx

    model = read_onnx(path)
    size = 'any' if model.input_size is None else '{}x{}'.format(*model.input_size)
    order = 'bgr' if model.bgr else 'rgb'
    if model.mean is None and model.dtype == 'uint8':
        normalisation = 'in the graph'
    elif model.mean is None:
        normalisation = 'unknown'
    else:
        normalisation = f'(image / 255 - {list(model.mean)}) / {list(model.std or ())}'
    return {
        'file': str(path),
        'kind': 'ONNX',
        'input': f'{model.input_name}: {model.dtype} {model.layout} {order}',
        'input_size': f'{size}, others too' if model.free_size and model.input_size else size,
        'resize_mode': model.resize_mode,
        'normalisation': normalisation,
        'output': f'{model.output_name}: {model.gives}',
        'num_classes': model.num_classes,
        'classes': model.classes,
        'temperature': model.temperature,
        'missing': list(model.missing),
    }


def _of_weights(path: Path) -> Dict[str, Any]:
    from edgesegnet_ros.network.cost import parameters
    from edgesegnet_ros.network.registry import title_of
    from edgesegnet_ros.network.weights import load_weights

    model, info = load_weights(path)
    return {
        'file': str(path),
        'kind': f'weights of {title_of(model)}, {parameters(model)} parameters',
        'input_size': '{}x{}'.format(*info.input_size),
        'resize_mode': info.resize_mode,
        'normalisation': f'(image / 255 - {list(info.mean)}) / {list(info.std)}',
        'num_classes': info.num_classes,
        'classes': info.classes,
        'temperature': info.temperature,
        'missing': [],
    }

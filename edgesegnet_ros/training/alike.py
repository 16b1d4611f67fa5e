"""Networks trained alike: the same command, views, teachers and steps for each, side by side.

    python -m edgesegnet_ros.training.alike --config edgesegnet-x-gpu --out out/alike \
      --teacher teacher1.safetensors teacher2.safetensors

One network rarely fills a GPU, so several share it. Each is a run of `edgesegnet train` in its own
folder; the same command resumes what is unfinished. Every other option goes to `edgesegnet train`.
Val decides; test is not looked at.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgesegnet_ros.arguments import output_file, output_folder
from edgesegnet_ros.atomic_file import write_json
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.training.stopping import StopRequest

NETWORKS = (
    'unet-slim',
    'edgesegnet',
    'ddrnet-23-slim',
    'pidnet-s',
    'bisenetv2',
    'segformer-b0',
    'fast-scnn',
    'erfnet',
    'enet',
)
"""Those of `edgesegnet bench` and unet-slim, the slowest to train not last.

RefineNet-101, the paper's reference, has a training configuration of its own.
"""
_TRAIN = (
    'import sys; from edgesegnet_ros.child_process import end_with_parent; end_with_parent(); '
    'from edgesegnet_ros.cli import main; sys.exit(main())'
)
"""The command, in a process that does not outlive this one."""
_LOOK_EVERY = 0.2
"""Seconds between two looks at the runs."""


class AlikeError(EdgeSegNetError):
    """A run of several networks that cannot begin."""


def train_alike(
    networks: list[str], options: list[str], out: Path, at_once: int
) -> tuple[dict[str, int], int]:
    """Train each network, a few at once; a signal stops all of them, each with a checkpoint.

    Args:
        networks: Names or design files.
        options: Options of `edgesegnet train`, the same for all.
        out: Takes a folder, a log and a JSON file for each.
        at_once: Number of runs side by side.

    Returns:
        The exit status of each that ended, and the number of the signal or 0.
    """
    waiting, running = list(networks), dict[str, subprocess.Popen]()
    status: dict[str, int] = {}
    with StopRequest() as stop:
        while running or (waiting and not stop.signal):
            while waiting and len(running) < at_once and not stop.signal:
                name = waiting.pop(0)
                running[name] = _start(name, options, out)
            time.sleep(_LOOK_EVERY)
            if stop.signal:
                for process in running.values():
                    process.terminate()
            for name, process in list(running.items()):
                # A run that was told to stop saves a checkpoint first.
                ended = process.wait() if stop.signal else process.poll()
                if ended is not None:
                    status[name] = ended
                    del running[name]
                    print(f'{name}: ended with status {ended}', flush=True)
    return status, stop.signal


def _start(name: str, options: list[str], out: Path) -> subprocess.Popen:
    label = Path(name).stem
    command = [sys.executable, '-c', _TRAIN, 'train', *options, '--network', name]
    command += ['--out', str(out / label), '--json', str(out / f'{label}.json')]
    with (out / f'{label}.log').open('a') as log:
        print(f'{name}: begins; its log is {log.name}', flush=True)
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def row_of(name: str, out: Path) -> dict[str, Any] | None:
    """The figures of a finished run: name, parameters, steps, and the best validation.

    Args:
        name: Name or design file.
        out: See `train_alike`.
    """
    from edgesegnet_ros.network.cost import gmac, parameters
    from edgesegnet_ros.network.registry import inference_form
    from edgesegnet_ros.network.weights import load_weights
    from edgesegnet_ros.training.train import BEST

    label = Path(name).stem
    path = out / f'{label}.json'
    if not path.exists():
        return None
    found = json.loads(path.read_text())
    judged = [row for row in found['history'] if row['val_pixel_accuracy'] is not None]
    if not judged:
        return None
    best = max(judged, key=lambda row: row['val_pixel_accuracy'])
    weights = out / label / BEST
    network, info = load_weights(str(weights))
    return {
        'network': label,
        'weights': str(weights),
        'params': parameters(network),
        'gmac': gmac(inference_form(network), info.input_size),
        'steps': found['steps'],
        'val_pixel_accuracy': best['val_pixel_accuracy'],
        'val_miou': best['val_miou'],
    }


def main(words: list[str] | None = None) -> int:
    """Run as a program; 1 if a network could not be trained."""
    parser = argparse.ArgumentParser(
        prog='python -m edgesegnet_ros.training.alike',
        description='Train several networks alike: all other options are those of `edgesegnet '
        'train`, and the same for each network. The same command resumes.',
        allow_abbrev=False,
    )
    parser.add_argument(
        '--networks',
        default=','.join(NETWORKS),
        metavar='a,b,…',
        help='names or design files (default: those of `edgesegnet bench`)',
    )
    parser.add_argument('--out', type=output_folder, default='out/alike', metavar='DIR')
    parser.add_argument(
        '--at-once', type=int, default=4, metavar='N', help='runs side by side (default: 4)'
    )
    parser.add_argument(
        '--table', type=output_file, metavar='FILE', help='write the table to this file, as JSON'
    )
    args, options = parser.parse_known_args(words)
    try:
        return _main(args, options)
    except EdgeSegNetError as error:
        print(f'{parser.prog}: {error}', file=sys.stderr)
        return 2


def _main(args: argparse.Namespace, options: list[str]) -> int:
    from edgesegnet_ros.network.registry import identity

    networks = [name.strip() for name in args.networks.split(',') if name.strip()]
    labels = [Path(name).stem for name in networks]
    if not networks or len(set(labels)) < len(labels):
        raise AlikeError(f'--networks {args.networks}: give different names')
    if args.at_once < 1:
        raise AlikeError(f'--at-once {args.at_once}: at least 1')
    for name in networks:
        identity(name)
    out = Path(args.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AlikeError(f'--out {out}: cannot be made ({error.strerror})') from None
    status, number = train_alike(networks, options, out, args.at_once)
    rows = [row for row in (row_of(name, out) for name in networks) if row]
    print(f'{"network":16} {"params":>9} {"GMAC":>7} {"steps":>6} {"val":>7} {"mIoU":>6}')
    for row in sorted(rows, key=lambda one: -one['val_pixel_accuracy']):
        print(
            f'{row["network"]:16} {row["params"] / 1e6:>8.2f}M {row["gmac"]:>7.3f} '
            f'{row["steps"]:>6} {row["val_pixel_accuracy"]:>7.2%} {row["val_miou"]:>6.1%}'
        )
    if args.table:
        write_json(args.table, {'options': options, 'networks': rows})
    if number:
        print('stopped; run the same command again to resume')
        return 128 + number
    failed = [name for name, code in status.items() if code]
    for name in failed:
        print(f'{name} could not be trained: see {out / (Path(name).stem + ".log")}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

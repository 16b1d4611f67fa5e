"""`edgesegnet export`: build an engine for this machine, verify it, and store it.

The node finds it in the cache; `--out` copies it, with its record, for other tools.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict

from edgesegnet_ros.arguments import add_classes, output_file
from edgesegnet_ros.atomic_file import atomic_file, write_json
from edgesegnet_ros.engines.options import add_model, add_network_input, request_of
from edgesegnet_ros.engines.request import ENGINES, PRECISIONS, EngineError

if TYPE_CHECKING:
    from edgesegnet_ros.engines.image_sets import ImageSet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add(
        '--engine',
        required=True,
        choices=[name for name in ENGINES if name != 'auto'],
        help='back end',
    )
    add(
        '--precision',
        default='auto',
        choices=PRECISIONS,
        help='number format; auto takes the fastest one that needs no calibration',
    )
    add_model(parser)
    add_classes(parser)
    add('--device', default='auto', help='auto, cpu, cuda, cuda:N or (TensorRT) dla:N')
    add('--dla-core', type=int, help='the same as --device dla:N')
    add('--num-threads', default=0, type=int, help='CPU threads; 0 uses all cores')
    add_network_input(parser)
    add(
        '--calibration',
        metavar='DIR',
        help='folder of images on which int8 ranges are measured; by default the train split of '
        'EDGESEGNET_CAMVID, or rendered streets',
    )
    add(
        '--parity-frames',
        metavar='DIR',
        default='',
        help='folder of images on which the engine is compared with the fp32 network, with '
        'labels in its sibling …annot if there are any; by default rendered streets',
    )
    add(
        '--engine-cache',
        metavar='DIR',
        default='',
        help='folder of built engines; by default EDGESEGNET_ENGINE_CACHE, or '
        '~/.cache/edgesegnet_ros',
    )
    add(
        '--workspace-mib',
        default=1024,
        type=int,
        help='memory in MiB that TensorRT may use while it builds',
    )
    add(
        '--out',
        type=output_file,
        metavar='FILE',
        help='copy the engine to this file, and its record beside it',
    )
    add('--json', type=output_file, metavar='FILE', help='write the figures to this file, as JSON')


def run(args: argparse.Namespace) -> int:
    """Build and verify; returns 0, or 1 if the parity gate refuses the engine."""
    from edgesegnet_ros.engines.cache import named_folder
    from edgesegnet_ros.engines.image_sets import parity_set
    from edgesegnet_ros.engines.parity import EngineRefused
    from edgesegnet_ros.engines.proving import proved_engine
    from edgesegnet_ros.engines.recipe import recipe_for
    from edgesegnet_ros.engines.registry import back_end

    device = args.device if args.dla_core is None else f'dla:{args.dla_core}'
    chosen = back_end(args.engine)
    why_not = chosen.why_not(device)
    if why_not:
        raise EngineError(why_not)
    precision = args.precision
    if precision == 'auto':
        precision = next(one for one in chosen.precisions(device) if one != 'int8')
    recipe = recipe_for(request_of(args, precision=precision, device=device))._replace(
        calibrated_on=_calibration(args.calibration), workspace_mib=args.workspace_mib
    )
    refusal = chosen.refusal(recipe)
    if refusal:
        raise EngineError(refusal)
    frames = parity_set(args.parity_frames)
    try:
        proved = proved_engine(
            chosen, recipe, named_folder(args.engine_cache), frames, rebuild=True
        )
    except EngineRefused as refused:
        print(f'edgesegnet export: {refused}', file=sys.stderr)
        return 1
    is_ = proved.engine.describe()
    proved.engine.close()
    figures: Dict[str, Any] = {
        'engine': is_.engine,
        'precision': is_.precision,
        'device': is_.device,
        'version': is_.version,
        'input_size': list(recipe.input_size),
        'resize_mode': recipe.resize_mode,
        'file': str(proved.file) if proved.file else None,
        'verdict': proved.verdict._asdict() if proved.verdict else None,
    }
    if precision == 'int8':
        figures['calibrated_on'] = recipe.calibrated_on.title
    what = 'needs no proof' if proved.verdict is None else f'proved: {proved.verdict.figures}'
    print(f'{is_.engine} {is_.version} {is_.precision} on {is_.device}: {what}')
    if proved.file is None:
        print(f'the {is_.engine} engine requires no file')
    else:
        print(f'stored as {proved.file}')
        if args.out:
            _copy(proved.file, args.out)
            figures['file'] = str(args.out)
            print(f'copied to {args.out}, its record to {args.out.with_suffix(".json")}')
    if args.json:
        write_json(args.json, figures)
    return 0


def _calibration(named: str) -> ImageSet:
    from edgesegnet_ros.data.camvid import ENVIRONMENT_VARIABLE
    from edgesegnet_ros.engines.image_sets import calibration_set

    camvid = os.environ.get(ENVIRONMENT_VARIABLE, '')
    if not named and camvid:
        return calibration_set(str(Path(camvid, 'train')))
    # A CamVid folder is one of splits.
    split = Path(named or '', 'train')
    return calibration_set(str(split) if named and split.is_dir() else named or '')


def _copy(engine: Path, out: Path) -> None:
    for source, target in (
        (engine, out),
        (engine.with_suffix('.json'), out.with_suffix('.json')),
    ):
        with atomic_file(target) as partial:
            shutil.copyfile(str(source), str(partial))

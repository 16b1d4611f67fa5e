"""The installation: weights, class file, engines that can run here, and engines in the cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator, List

from edgesegnet_ros.data.jpeg import missing_checker
from edgesegnet_ros.doctor.finding import ERROR, OK, WARNING, Finding
from edgesegnet_ros.engines.request import ENGINES, EngineRequest
from edgesegnet_ros.engines.cache import cache_folder
from edgesegnet_ros.engines.cache_command import entries
from edgesegnet_ros.engines.registry import back_end
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.extras import install


def findings(request: EngineRequest) -> Iterator[Finding]:
    """Check whether the requested model and engine can be loaded on this machine.

    Args:
        request: Model, classes, engine, precision and device, as in the parameters of the node.
    """
    yield _model(request)
    yield from _engines(request)
    yield _jpeg()
    yield from _cache(cache_folder(request.engine_cache))


def _model(request: EngineRequest) -> Finding:
    try:
        from edgesegnet_ros.engines.recipe import recipe_for

        recipe = recipe_for(request)
    except EdgeSegNetError as error:
        return Finding(ERROR, 'model', str(error))
    return Finding(
        OK,
        'model',
        f'{request.model} fits {request.classes} ({len(recipe.classes.classes)} classes)',
    )


def _engines(request: EngineRequest) -> Iterator[Finding]:
    """One finding per engine; only an engine that is requested by name can be an error."""
    usable: List[str] = []
    for name in ENGINES:
        if name == 'auto':
            continue
        why_not = back_end(name).why_not(request.device)
        wanted = request.engine == name
        if why_not is None:
            usable.append(name)
            precisions = ', '.join(back_end(name).precisions(request.device))
            yield Finding(OK, f'engine {name}', f'can run here in {precisions}')
        else:
            yield Finding(
                ERROR if wanted else OK,
                f'engine {name}',
                f'cannot run here: {why_not}',
                'Install what is missing, or set engine: auto.' if wanted else '',
            )
    if not usable:
        yield Finding(
            ERROR, 'engine', 'no engine can run here', 'Install torch, and openvino on a CPU.'
        )
    elif usable == ['torch'] and request.engine == 'auto':
        yield Finding(
            WARNING,
            'engine',
            'only torch can run here; OpenVINO is several times faster on a CPU, TensorRT on an '
            'NVIDIA GPU',
            f'On a CPU: {install("openvino")}. On a Jetson: docs/jetson.md.',
        )


def _jpeg() -> Finding:
    missing = missing_checker()
    if missing:
        return Finding(
            WARNING,
            'compressed images',
            missing,
            'Install it where image_transport is compressed; raw images do not need it.',
        )
    return Finding(OK, 'compressed images', 'damaged JPEG images are found and refused')


def _cache(folder: Path) -> Iterator[Finding]:
    if not folder.is_dir():
        yield Finding(OK, 'engine cache', f'{folder} does not exist yet; it is made when needed')
        return
    if not os.access(str(folder), os.W_OK):
        yield Finding(
            WARNING,
            'engine cache',
            f'{folder} cannot be written, so that only engines that are in it can be used',
            'Set engine_cache to a folder that the node may write to.',
        )
    mode = folder.stat().st_mode
    if mode & 0o022:
        yield Finding(
            WARNING,
            'engine cache',
            f'{folder} can be written by other users, who could replace an engine',
            f'chmod go-w {folder}',
        )
    kept = list(entries(folder, whole=False))
    stale = [
        f'{one.name} has no usable record'
        if not one.engine
        else f'{one.name} would be built again: {one.objection}'
        for one in kept
        if one.objection
    ]
    if stale:
        yield Finding(
            WARNING,
            'engine cache',
            f'{len(stale)} of {len(kept)} engines in {folder} will be built again when '
            f'they are asked for: {"; ".join(stale[:3])}',
            'Nothing has to be done; `edgesegnet export` builds one ahead of the drive.',
        )
    else:
        yield Finding(OK, 'engine cache', f'{folder} holds {len(kept)} engines that fit')

"""The options of a replay from the arguments of `edgesegnet replay`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgesegnet_ros.engines.options import request_of
from edgesegnet_ros.engines.request import ENGINES, PRECISIONS, EngineRequest
from edgesegnet_ros.evaluation.replay.options import ReplayOptions
from edgesegnet_ros.evaluation.replay.result import ReplayError

if TYPE_CHECKING:
    from edgesegnet_ros.data.classes import ClassSet

BARE_FRAMES = 10
"""Number of frames on which the engine alone is timed, before and after a single bag."""


def parse_options(args: argparse.Namespace, bags: int) -> ReplayOptions:
    """Check the arguments and make options of them.

    Args:
        args: Parsed arguments of the command.
        bags: Number of bags.

    Raises:
        ReplayError: A value is out of range, or two options exclude each other.
    """
    if not 0 <= args.unlabeled_below <= 1:
        raise ReplayError(f'--unlabeled-below {args.unlabeled_below:g}: 0 to 1')
    if not 0 < args.rate <= 1000:
        raise ReplayError(f'--rate {args.rate:g}: more than 0, at most 1000')
    for name in ('jobs', 'num_threads'):
        if getattr(args, name) < 0:
            raise ReplayError(f'--{name.replace("_", "-")} {getattr(args, name)}: 0 or more')
    if args.live and args.ray:
        raise ReplayError(
            '--live cannot be combined with --ray: the node and the player run on this machine'
        )
    if args.live and args.against:
        raise ReplayError(
            '--live cannot be combined with --against: only one node runs at a '
            'time; compare offline instead'
        )
    min_confidence = _thresholds(args)
    several = bags > 1
    if args.write_bag and not several and not args.force and Path(args.write_bag).exists():
        raise ReplayError(f'--write-bag {args.write_bag}: exists already; give --force')
    if args.rerun:
        from edgesegnet_ros.extras import need

        if several:
            raise ReplayError(f'--rerun {args.rerun}: records one bag, but there are {bags}')
        if args.rerun.suffix != '.rrd':
            raise ReplayError(f'--rerun {args.rerun}: the name of a recording ends in .rrd')
        need('view', ['rerun'], '--rerun')
    labels = args.labels
    if labels and not labels.startswith('/') and not Path(labels).is_dir():
        raise ReplayError(
            f'--labels {labels}: neither a folder nor a topic, which begins with a slash'
        )
    request = request_of(args)
    return ReplayOptions(
        request=request,
        topics=tuple(args.topic),
        labels=labels,
        label_start=args.label_start,
        unlabeled_below=args.unlabeled_below,
        min_confidence=min_confidence,
        unlabeled_inside=tuple(sorted(set(args.unlabeled_inside))),
        confidence=args.confidence and not args.live,
        flow=args.flow,
        against=_against(args, request),
        label_maps=args.label_maps,
        pictures=args.pictures,
        video=not several if args.video is None else args.video,
        write_bag=args.write_bag,
        write_bag_each=several,
        rerun=None if args.rerun is None else str(args.rerun.absolute()),
        force=args.force,
        bare_frames=0 if several or args.live else BARE_FRAMES,
        live=args.live,
        rate=args.rate,
    )


def _thresholds(args: argparse.Namespace) -> tuple[tuple[str, float], ...]:
    """Group and threshold of each --min-confidence, by name; the last one of a group counts."""
    found: dict[str, float] = {}
    for text in args.min_confidence:
        name, _, value = text.rpartition('=')
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = -1.0
        if not name or not 0 <= found[name] <= 1:
            raise ReplayError(
                f'--min-confidence {text}: GROUP=VALUE, with a value of 0 to 1, as in drivable=0.6'
            )
    if found and not args.confidence:
        raise ReplayError('--min-confidence requires the confidence: leave --no-confidence out')
    if (found or args.unlabeled_inside) and not (args.live or args.write_bag or args.rerun):
        raise ReplayError(
            '--min-confidence and --unlabeled-inside are about the masks of groups, which are '
            'written by --write-bag and --rerun: give one of them'
        )
    return tuple(sorted(found.items()))


def _against(args: argparse.Namespace, request: EngineRequest) -> EngineRequest | None:
    if not args.against:
        return None
    model, engine, precision, *more = [*args.against.split(','), '', ''][:4]
    if (
        more
        and more[0]
        or (engine or 'auto') not in ENGINES
        or (precision or 'auto') not in PRECISIONS
    ):
        raise ReplayError(
            f'--against {args.against}: MODEL, or MODEL,ENGINE, or MODEL,ENGINE,PRECISION with an '
            f'engine of {", ".join(ENGINES)} and a precision of {", ".join(PRECISIONS)}'
        )
    return request._replace(
        model=model or request.model,
        engine=engine or request.engine,
        precision=precision or ('auto' if engine else request.precision),
    )


def complete(options: ReplayOptions) -> tuple[ReplayOptions, ClassSet]:
    """Complete the options from the weights files, and return the classes of the labels.

    This refuses options that do not fit the weights before a bag is read.

    Raises:
        EngineError: The weights cannot be used, or do not fit the options.
        ReplayError: A group that an option names is not there.
    """
    from edgesegnet_ros.data.masks import groups_with_rules
    from edgesegnet_ros.engines.recipe import recipe_for

    recipe = recipe_for(options.request)
    request = options.request._replace(
        input_size=recipe.input_size, resize_mode=recipe.resize_mode
    )
    try:
        groups_with_rules(
            recipe.classes.groups, dict(options.min_confidence), options.unlabeled_inside
        )
    except ValueError as error:
        raise ReplayError(
            f'--min-confidence, --unlabeled-inside: {error} in {recipe.classes.name}'
        ) from None
    against = options.against
    if against is not None:
        other = recipe_for(against)
        against = against._replace(input_size=other.input_size, resize_mode=other.resize_mode)
    return replace(options, request=request, against=against), recipe.classes

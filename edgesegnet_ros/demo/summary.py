"""The figures of a demo: the content of summary.json, and a summary in one line."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import Dict, List, Optional

from edgesegnet_ros.data.sources import Source
from edgesegnet_ros.demo.domain import ros_distribution
from edgesegnet_ros.engines import cpu
from edgesegnet_ros.interface import diagnostic_keys as keys


def figures(
    args: argparse.Namespace, source: Source, played: Dict, collected: Dict, out: Path
) -> Dict:
    """The content of summary.json.

    Args:
        args: Options of the command.
        source: The source that was played.
        played: Figures of the player: published, republished, unanswered, round_trip_ms, and the
            number of images that it skipped with the first reasons.
        collected: Figures of the collector.
        out: Folder of the results.

    Returns:
        Shares are 0-1 (null without labels), times are in ms. `latency_ms` is the latency of the
        node, from the entry of the image callback to the publication of the last output.
        `round_trip_ms` is the time from the publication by the player to the answer of the
        collector. `dropped` counts frames without an output, `skipped` those of them without a
        usable image, and `reasons` has the first sentences about skipped frames.
    """
    values = (collected['diagnostics'] or {}).get('values', {})
    return {
        'input': source.name,
        'frames_in': played['published'] + played['skipped'],
        'frames_out': collected['frames_out'],
        'dropped': played['published'] + played['skipped'] - collected['frames_out'],
        'skipped': played['skipped'],
        'reasons': played['reasons'],
        'republished': played['republished'],
        'frames_scored': collected['frames_scored'],
        'latency_ms': keys.stage_times_ms(values, keys.LATENCY),
        'stages_ms': {stage: keys.stage_times_ms(values, stage) for stage in keys.STAGES},
        'round_trip_ms': _of(played['round_trip_ms']),
        'rate_hz': collected['rate_hz'],
        'pixel_accuracy': collected['pixel_accuracy'],
        'miou': collected['miou'],
        'iou': collected['iou'],
        'engine': values.get(keys.ENGINE),
        'precision': values.get(keys.PRECISION),
        'engine_version': values.get(keys.ENGINE_VERSION),
        'model': args.model,
        'classes': args.classes,
        'input_size': list(args.input_size),
        'live': source.live,
        'overlay': str(out / 'overlay.png'),
        'machine': machine(),
    }


def line(figures: Dict) -> str:
    """A summary in one line."""
    parts = [f'{figures["frames_in"]} frames in, {figures["frames_out"]} out']
    if figures['dropped']:
        parts[0] += f' ({figures["dropped"]} dropped)'
    latency = figures['latency_ms']
    if latency:
        values = ', '.join(f'{key} {value:.1f}' for key, value in latency.items())
        parts.append(f'latency {values} ms')
    if figures['pixel_accuracy'] is not None:
        parts.append(
            f'pixel accuracy {100 * figures["pixel_accuracy"]:.1f} %, '
            f'mIoU {100 * figures["miou"]:.1f} % on {figures["frames_scored"]} frames'
        )
    height, width = figures['input_size']
    parts.append(f'{figures["engine"]} {figures["precision"]}, {height}x{width}')
    return '; '.join(parts)


def verdict(figures: Dict, out: Path) -> int:
    """The exit status: 1, with a printed sentence, if expected masks are missing."""
    problem = ''
    if figures['frames_in'] == 0:
        problem = 'no frame was played'
    elif figures['frames_out'] == 0:
        problem = 'the node published no mask'
    # A camera does not wait for the node, so dropped frames are not a failure.
    elif figures['dropped'] and not figures['live']:
        problem = (
            f'no mask was published for {figures["dropped"]} of {figures["frames_in"]} frames'
        )
    for reason in figures['reasons']:
        print(f'edgesegnet demo: {reason}', file=sys.stderr)
    if problem:
        print(f'edgesegnet demo: {problem}; see the logs in {out}', file=sys.stderr)
    return 1 if problem else 0


def machine() -> Dict[str, object]:
    """Description of the machine."""
    return {
        'cpu': cpu.name(),
        'cpus': cpu.cores(),
        'system': platform.platform(),
        'python': platform.python_version(),
        'ros_distro': ros_distribution(),
        'rmw': os.environ.get('RMW_IMPLEMENTATION') or 'default',
    }


def _of(times_ms: List[float]) -> Optional[Dict[str, float]]:
    import numpy as np

    if not times_ms:
        return None
    return dict(zip(keys.PERCENTILES, map(float, np.percentile(times_ms, (50, 95, 99)))))

"""The end of a replay: writes its JSON and page, and prints its figures."""

from __future__ import annotations

import sys
from pathlib import Path

from edgesegnet_ros.atomic_file import WriteError
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.evaluation.replay.problems import sentence
from edgesegnet_ros.evaluation.replay.result import RESULT_NAME, ReplayResult

REPORT_NAME = 'report.html'


def write(result: ReplayResult, out: Path, wants_page: bool) -> bool:
    """Write the JSON and the page; returns whether both were written."""
    result.folder = str(out)
    well = True
    try:
        result.report = str(_page(result, out)) if wants_page else None
    except (EdgeSegNetError, OSError) as error:
        well = False
        print(f'edgesegnet replay: no page: {error}', file=sys.stderr)
    try:
        result.write(out / RESULT_NAME)
    except WriteError as error:
        well, result.folder = False, None
        print(f'edgesegnet replay: {error}', file=sys.stderr)
    return well


def _page(result: ReplayResult, out: Path) -> Path:
    from edgesegnet_ros.evaluation.replay.replay_page import write_replay_report

    frames_dir = out / result.frames_dir if result.frames_dir else out
    return write_replay_report(result, frames_dir, out / REPORT_NAME)


def tell(result: ReplayResult, out: Path) -> None:
    """Print the figures in a few lines, and everything that went wrong."""
    lost = f' ({result.dropped} missing)' if result.dropped else ''
    parts = [f'{result.frames_in} frames in, {result.frames_out} out{lost}']
    if result.latency_ms:
        shown = ', '.join(f'{key} {result.latency_ms[key]:.1f}' for key in ('p50', 'p95', 'p99'))
        parts.append(f'latency {shown} ms')
    if result.rate_hz:
        share = (
            f' ({100 * result.engine_share:.0f} % of the engine alone)'
            if (result.engine_share)
            else ''
        )
        parts.append(f'{result.rate_hz:.1f} frames/s{share}')
    print('; '.join(parts))
    if result.age_ms:
        jitter = '' if result.jitter_ms is None else f'; jitter {result.jitter_ms:.1f} ms'
        print(
            f'age p50 {result.age_ms["p50"]:.1f}, p95 {result.age_ms["p95"]:.1f} ms{jitter}; '
            f'dropped: {result.drops or "none"}'
        )
    if result.pixel_accuracy is not None and result.miou is not None:
        print(
            f'pixel accuracy {result.pixel_accuracy:.4f}, mIoU {result.miou:.4f} on '
            f'{result.frames_scored} of {result.frames_in} frames'
            + (f', against {result.labels_from}' if result.labels_from else '')
        )
    if result.temporal_consistency is not None:
        print(
            f'temporal consistency {result.temporal_consistency:.4f} on '
            f'{result.consistency_pairs} pairs of frames'
        )
    if result.disagreement and result.disagreement.get('pixels') is not None:
        print(
            f'disagreement with {result.disagreement["with"]}: '
            f'{result.disagreement["pixels"]:.4f} of all pixels'
        )
    if result.labels_sha256:
        print(f'label maps sha256 {result.labels_sha256}')
    for note in result.notes[:20]:
        print(f'note: {note}')
    for problem in result.problems[:20]:
        print(f'PROBLEM ({problem.kind}): {sentence(problem)}', file=sys.stderr)
    if len(result.problems) > 20:
        print(f'… and {len(result.problems) - 20} more problems in {RESULT_NAME}', file=sys.stderr)
    places = [f'figures: {out / RESULT_NAME}'] if result.folder else []
    places += [f'page: {result.report}'] if result.report else []
    if places:
        print('   '.join(places))

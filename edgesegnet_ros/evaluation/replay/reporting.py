"""Writing the results of a replay as JSON and as a page, and printing a summary."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from edgesegnet_ros.atomic_file import WriteError
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.evaluation.replay.problems import sentence
from edgesegnet_ros.evaluation.replay.result import RESULT_NAME, ReplayResult

REPORT_NAME = 'report.html'


def write_results(result: ReplayResult, out: Path, wants_page: bool) -> tuple[ReplayResult, bool]:
    """Write the JSON and the page.

    Args:
        result: The result.
        out: Folder of both.
        wants_page: Whether the page is written.

    Returns:
        The result with the paths of both, and whether everything was written.
    """
    result = replace(result, files=replace(result.files, folder=str(out)))
    complete = True
    if wants_page:
        try:
            result = replace(result, files=replace(result.files, report=str(_page(result, out))))
        except (EdgeSegNetError, OSError) as error:
            complete = False
            print(f'edgesegnet replay: no page: {error}', file=sys.stderr)
    try:
        result.write(out / RESULT_NAME)
    except WriteError as error:
        complete, result = False, replace(result, files=replace(result.files, folder=None))
        print(f'edgesegnet replay: {error}', file=sys.stderr)
    return result, complete


def _page(result: ReplayResult, out: Path) -> Path:
    from edgesegnet_ros.evaluation.replay.replay_page import write_replay_report

    frames_dir = out / result.files.frames_dir if result.files.frames_dir else out
    return write_replay_report(result, frames_dir, out / REPORT_NAME)


def print_summary(result: ReplayResult, out: Path) -> None:
    """Print the figures in a few lines, and all problems."""
    frames, timing, accuracy = result.frames, result.timing, result.accuracy
    lost = f' ({frames.dropped} missing)' if frames.dropped else ''
    parts = [f'{frames.frames_in} frames in, {frames.frames_out} out{lost}']
    if timing.latency_ms:
        shown = ', '.join(f'{key} {timing.latency_ms[key]:.1f}' for key in ('p50', 'p95', 'p99'))
        parts.append(f'latency {shown} ms')
    if timing.rate_hz:
        share = timing.engine_share
        of_engine = f' ({100 * share:.0f} % of the engine alone)' if share else ''
        parts.append(f'{timing.rate_hz:.1f} frames/s{of_engine}')
    print('; '.join(parts))
    if timing.age_ms:
        jitter = '' if timing.jitter_ms is None else f'; jitter {timing.jitter_ms:.1f} ms'
        print(
            f'age p50 {timing.age_ms["p50"]:.1f}, p95 {timing.age_ms["p95"]:.1f} ms{jitter}; '
            f'dropped: {frames.drops or "none"}'
        )
    if accuracy.pixel_accuracy is not None and accuracy.miou is not None:
        source = result.source.labels_from
        print(
            f'pixel accuracy {accuracy.pixel_accuracy:.4f}, mIoU {accuracy.miou:.4f} on '
            f'{accuracy.frames_scored} of {frames.frames_in} frames'
            + (f', against {source}' if source else '')
        )
    consistency = result.consistency
    if consistency.temporal_consistency is not None:
        print(
            f'temporal consistency {consistency.temporal_consistency:.4f} on '
            f'{consistency.consistency_pairs} pairs of frames'
        )
    other = result.disagreement
    if other is not None and other.pixels is not None:
        print(f'disagreement with {other.model}: {other.pixels:.4f} of all pixels')
    if result.masks.labels_sha256:
        print(f'label maps sha256 {result.masks.labels_sha256}')
    for note in result.notes[:20]:
        print(f'note: {note}')
    for problem in result.problems[:20]:
        print(f'PROBLEM ({problem.kind}): {sentence(problem)}', file=sys.stderr)
    if len(result.problems) > 20:
        print(f'… and {len(result.problems) - 20} more problems in {RESULT_NAME}', file=sys.stderr)
    files = [f'figures: {out / RESULT_NAME}'] if result.files.folder else []
    files += [f'page: {result.files.report}'] if result.files.report else []
    if files:
        print('   '.join(files))

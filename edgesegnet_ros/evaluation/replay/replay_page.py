"""The page of `edgesegnet replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from edgesegnet_ros.atomic_file import write_text
from edgesegnet_ros.evaluation.replay import film
from edgesegnet_ros.evaluation.replay.kept_frames import KeptFrame, read_frames, video_of
from edgesegnet_ros.evaluation.replay.result import ReplayResult
from edgesegnet_ros.evaluation.report import plots, verdicts
from edgesegnet_ros.evaluation.report.page import file_uri, number, of_100, percent, render

PERCENTILES = ('p50', 'p95', 'p99', 'max')
SHOWN_PROBLEMS = 20
SHOWN_PARTS = 300
"""Largest number of bags on the page; all of them are in the JSON."""
NO_COLOR = '#808080'


def write_replay_report(result: ReplayResult, frames_dir: Path | None, out: Path) -> Path:
    """Write one self-contained page atomically.

    Its size is bounded whatever the length of the recording: at most twelve frames of 480 pixels
    width (2 MB), one minute of video (6 MB, 8 MB in the page), curves of at most 1,024 points.

    Args:
        result: What was found.
        frames_dir: Pictures and video, as the sinks of `replay_frames` left them; None without.
        out: The file.

    Raises:
        BagError: It cannot be written.
    """
    write_text(out, render('replay.html.j2', **_context(result, frames_dir)))
    return out


def _context(result: ReplayResult, frames_dir: Path | None) -> dict[str, Any]:
    colors = {name: '#{:02x}{:02x}{:02x}'.format(*color) for name, color in result.colors.items()}
    frames, video = read_frames(frames_dir), video_of(frames_dir)
    series = result.series or {}
    times = series.get('t_s') or []
    engine = result.provenance.get('engine') or {}
    bags = [Path(bag).name for bag in result.source.bags]
    return {
        'title': f'Replay of {bags[0] if len(bags) == 1 else f"{len(bags)} bags"}',
        'subtitle': _subtitle(result, engine),
        'problems': result.problems[:SHOWN_PROBLEMS],
        'problem_count': f'{len(result.problems)} '
        f'problem{"s" if len(result.problems) != 1 else ""}',
        'more_problems': max(0, len(result.problems) - SHOWN_PROBLEMS),
        'sentences': sentences(result),
        'cards': _cards(result),
        'colors': colors,
        'video': video and file_uri(video),
        'video_note': _video_note(result),
        'speed_note': _speed_note(result),
        'latency': _latency(result, times),
        'percentile_names': PERCENTILES,
        'stages': _stages(result),
        'costs': result.timing.costs_s,
        'frames_scored': f'{result.accuracy.frames_scored:,}',
        'rows': _class_rows(result, colors),
        'confusion': Markup(plots.confusion(result.accuracy.confusion, result.classes))
        if result.accuracy.confusion
        else None,
        'fractions': Markup(
            plots.fractions(times, series['fractions'], {**colors, 'unlabelled': NO_COLOR})
        )
        if times and series.get('fractions')
        else None,
        **_quality(series, times),
        'histogram': Markup(plots.confidence_histogram(result.masks.confidence_histogram))
        if result.masks.confidence_histogram
        else None,
        'flicker': _by_class(result.consistency.flicker, colors),
        'disagreement': _disagreement(result, colors),
        **_parts(result),
        'worst': [_frame(f, frames_dir) for f in frames if f.kind == 'worst'],
        'worst_note': 'By their pixel accuracy; in the last image wrong pixels are red.'
        if result.accuracy.frames_scored
        else 'There are no labels: those that agree least with the frame '
        'before, along optical flow.',
        'sample': [_frame(f, frames_dir) for f in frames if f.kind == 'sample'],
        'notes': result.notes,
        'sha256': result.masks.labels_sha256,
        **verdicts.origin(result.provenance),
    }


def sentences(result: ReplayResult) -> list[str]:
    """Sentences about the figures."""
    frames, timing, accuracy = result.frames, result.timing, result.accuracy
    said = []
    if not frames.frames_out:
        return [f'No frame of {frames.frames_in} was segmented, so there is nothing to judge.']
    if frames.dropped:
        why = ', '.join(
            f'{count} {reason.replace("_", " ")}'
            for reason, count in frames.drops.items()
            if count
        )
        said.append(
            f'{frames.dropped:,} of {frames.frames_in:,} frames were not '
            f'segmented{(f" ({why})" if why else "")}: every figure below covers the other '
            f'{frames.frames_out:,}.'
        )
    else:
        said.append(f'All {frames.frames_out:,} frames were segmented.')
    if timing.latency_ms:
        times = timing.latency_ms
        said.append(
            f'Half of the frames take at most {times["p50"]:.0f} ms, 95 of 100 at most '
            f'{times["p95"]:.0f} ms, 99 of 100 at most {times["p99"]:.0f} ms.'
        )
    if accuracy.pixel_accuracy is not None:
        if accuracy.frames_scored < frames.frames_out:
            said.append(
                f'Only {accuracy.frames_scored:,} of them have labels; the accuracy below covers '
                'these.'
            )
        said += verdicts.accuracy(accuracy.pixel_accuracy, accuracy.miou, accuracy.iou or {})
    else:
        said.append('There are no labels, so accuracy was not measured.')
    if accuracy.ece is not None:
        said.append(verdicts.calibration(accuracy.ece))
    consistency = result.consistency.temporal_consistency
    if consistency is not None:
        said.append(
            f'{of_100(consistency)} of 100 pixels keep their class from '
            'one frame to the next, followed along optical flow.'
        )
    other = result.disagreement
    if other is not None and other.pixels is not None:
        said.append(f'{of_100(other.pixels)} of 100 pixels have another class in {other.model}.')
    return said


def _subtitle(result: ReplayResult, engine: dict[str, Any]) -> str:
    how = (
        'offline, every frame as fast as the engine goes'
        if result.mode == 'offline'
        else 'live, in bag time through the node over DDS'
    )
    parts = [
        result.source.topic,
        how,
        ' '.join(filter(None, (engine.get('engine'), engine.get('precision')))),
    ]
    if result.source.duration_s:
        parts.insert(1, f'{result.source.duration_s:,.1f} s of recording')
    if result.source.labels_from:
        parts.append(f'labels from {result.source.labels_from}')
    return ', '.join(part for part in parts if part)


def _cards(result: ReplayResult) -> list[dict[str, str]]:
    frames, timing, accuracy = result.frames, result.timing, result.accuracy
    consistency = result.consistency
    latency = timing.latency_ms or {}
    cards = [
        {
            'label': 'frames',
            'value': f'{frames.frames_out:,}',
            'aside': f'of {frames.frames_in:,}, {frames.dropped:,} dropped',
        },
        {
            'label': 'latency, 95 of 100',
            'value': number(latency.get('p95'), 0, 'ms'),
            'aside': f'half: {number(latency.get("p50"), 0, "ms")}',
        },
        {
            'label': 'rate',
            'value': number(timing.rate_hz, 1, 'Hz'),
            'aside': f'{percent(timing.engine_share, 0)} of the bare engine'
            if timing.engine_share is not None
            else 'label maps a second',
        },
    ]
    if accuracy.pixel_accuracy is not None:
        cards += [
            {
                'label': 'pixel accuracy',
                'value': percent(accuracy.pixel_accuracy),
                'aside': f'over {accuracy.frames_scored:,} frames',
            },
            {'label': 'mIoU', 'value': percent(accuracy.miou), 'aside': 'mean of the classes'},
        ]
    if accuracy.ece is not None:
        cards.append(
            {
                'label': 'calibration error',
                'value': number(100 * accuracy.ece, 1, 'pt'),
                'aside': 'of the confidence',
            }
        )
    if consistency.temporal_consistency is not None:
        cards.append(
            {
                'label': 'temporal consistency',
                'value': percent(consistency.temporal_consistency),
                'aside': f'{consistency.consistency_pairs:,} pairs of frames',
            }
        )
    if timing.age_ms:
        cards.append(
            {
                'label': 'age, 95 of 100',
                'value': number(timing.age_ms.get('p95'), 0, 'ms'),
                'aside': f'jitter {number(timing.jitter_ms, 1, "ms")}',
            }
        )
    return cards


def _video_note(result: ReplayResult) -> str:
    step = max(1, -(-result.frames.frames_in // film.MOST_FRAMES))
    which = 'Every frame' if step == 1 else f'Every {step}th frame'
    return f'{which} with the class colours over it, at {film.RATE_HZ} frames per second.'


def _speed_note(result: ReplayResult) -> str:
    said = []
    if result.mode == 'offline':
        said.append(
            'Latency is the time from an image in memory to the label map at its own size.'
        )
    else:
        said.append(
            'Latency is measured by the node, from the arrival of an image to the '
            'publication of its mask.'
        )
    timing = result.timing
    if timing.bare_rate_hz and timing.rate_hz:
        said.append(
            f'The engine alone ran at {timing.bare_rate_hz:.1f} frames per second in the same '
            f'run, the replay at {timing.rate_hz:.1f}.'
        )
    if result.timing.wall_s:
        said.append(f'The replay took {result.timing.wall_s:,.1f} s.')
    return ' '.join(said)


def _latency(result: ReplayResult, times: list[float]) -> Markup | None:
    mean = (result.series or {}).get('latency_ms') or []
    if not times or not any(value is not None for value in mean):
        return None
    worst = result.series.get('latency_max_ms') or mean
    return Markup(plots.latency(times, mean, worst, result.timing.latency_ms or {}))


def _stages(result: ReplayResult) -> dict[str, dict[str, float]]:
    stages = {'whole frame': result.timing.latency_ms} if result.timing.latency_ms else {}
    stages |= result.timing.stages_ms
    return stages | ({'age at arrival': result.timing.age_ms} if result.timing.age_ms else {})


def _class_rows(result: ReplayResult, colors: dict[str, str]) -> list[dict[str, Any]]:
    if not result.accuracy.iou or not result.accuracy.confusion:
        return []
    total = max(1, sum(map(sum, result.accuracy.confusion)))
    return [
        {
            'name': name,
            'color': colors.get(name, NO_COLOR),
            'iou': result.accuracy.iou.get(name),
            'share': sum(row) / total,
        }
        for name, row in zip(result.classes, result.accuracy.confusion, strict=True)
    ]


def _quality(series: dict[str, Any], times: list[float]) -> dict[str, Any]:
    lines = {
        label: series[key]
        for key, label in (
            ('pixel_accuracy', 'pixel accuracy'),
            ('consistency', 'consistency'),
            ('confidence', 'confidence'),
        )
        if any(v is not None for v in series.get(key) or [])
    }
    if not times or not lines:
        return {'quality': None, 'quality_note': ''}
    return {
        'quality': Markup(plots.over_time('Quality over time', times, lines)),
        'quality_note': f'{verdicts.listed(list(lines)).capitalize()} over the recording.',
    }


def _by_class(
    values: dict[str, float | None] | None, colors: dict[str, str]
) -> list[dict[str, Any]]:
    known = [(name, value) for name, value in (values or {}).items() if value is not None]
    return [
        {'name': name, 'value': value, 'color': colors.get(name, NO_COLOR)}
        for name, value in sorted(known, key=lambda item: -item[1])
    ]


def _disagreement(result: ReplayResult, colors: dict[str, str]) -> dict[str, Any] | None:
    other = result.disagreement
    if other is None or other.pixels is None:
        return None
    return {
        'name': other.model,
        'note': f'{percent(other.pixels, 2)} of the pixels have another class there '
        f'({other.engine} {other.precision}); by our class:',
        'rows': _by_class(other.per_class, colors),
    }


def _parts(result: ReplayResult) -> dict[str, Any]:
    def badness(part: dict[str, Any]) -> tuple[bool, float]:
        figure = part.get('miou')
        figure = part.get('temporal_consistency') if figure is None else figure
        return not part.get('problems'), 2.0 if figure is None else figure

    rows = [
        {
            'bag': f'{Path(part["bag"]).name} {part.get("topic") or ""}'.strip(),
            'frames': f'{part["frames_out"]:,}',
            'dropped': part.get('dropped', 0),
            'p95': (part.get('latency_ms') or {}).get('p95'),
            'pixel_accuracy': part.get('pixel_accuracy'),
            'miou': part.get('miou'),
            'consistency': part.get('temporal_consistency'),
            'problems': _count(part['problems']) if 'problems' in part else 0,
        }
        for part in sorted(result.parts, key=badness)[:SHOWN_PARTS]
    ]
    left = len(result.parts) - len(rows)
    note = 'Bags with problems come first, then the worst.'
    return {
        'part_rows': rows,
        'parts_note': note + (f' {left:,} more are in the JSON.' if left else ''),
    }


def _count(problems: Any) -> int:
    return problems if isinstance(problems, int) else len(problems or [])


def _frame(frame: KeptFrame, folder: Path | None) -> dict[str, Any]:
    assert folder is not None
    notes = []
    if frame.pixel_accuracy is not None:
        notes.append(f'{percent(frame.pixel_accuracy)} of its pixels are right')
    if frame.consistency is not None:
        notes.append(f'{percent(frame.consistency)} as in the frame before')
    return {
        'title': f'frame {frame.index}',
        'notes': [*notes, f'stamp {frame.stamp_ns / 1e9:.3f} s'],
        'views': [{**view, 'uri': file_uri(folder / view['file'])} for view in frame.views],
    }

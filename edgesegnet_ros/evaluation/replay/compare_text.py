"""The comparison of two replays as sentences and as a table for a terminal."""

from __future__ import annotations

from typing import Any

from edgesegnet_ros.evaluation.report.page import percent


def sentences(changes: dict[str, Any]) -> list[str]:
    """Sentences about the differences."""
    said = []
    changed = changes['pixels_changed']
    if changes['labels_equal'] or changed == 0.0 and not changes['frames_left_out']:
        said.append('No pixel changed.')
    elif changed is not None:
        said.append(
            f'{percent(changed, 2)} of the pixels changed their class, in '
            f'{changes["frames_compared"] - changes["frames_equal"]:,} of '
            f'{changes["frames_compared"]:,} frames.'
        )
    else:
        said.append(
            'The label maps of one or both were not kept, so pixels cannot be compared; replay '
            'with --label-maps.'
        )
    if changes['frames_left_out']:
        said.append(
            f'{changes["frames_left_out"]:,} frames are in only one of the two, or differ in '
            'size, and are skipped.'
        )
    for name, title in (
        ('miou', 'mIoU'),
        ('pixel_accuracy', 'pixel accuracy'),
        ('temporal_consistency', 'temporal consistency'),
    ):
        change = changes['figures'][name]['change']
        if change is not None:
            difference = (
                'is the same'
                if abs(change) < 5e-5
                else f'{"rose" if change > 0 else "fell"} by {abs(100 * change):.2f} points'
            )
            said.append(f'The {title} {difference}, to {percent(changes["figures"][name]["b"])}.')
    latency = changes['figures']['latency_ms.p95']
    if latency['change'] is not None and latency['a']:
        said.append(
            f'95 of 100 frames take at most {latency["b"]:.1f} ms, where it was '
            f'{latency["a"]:.1f} ms ({100 * latency["change"] / latency["a"]:+.0f} %).'
        )
    return said


def as_text(changes: dict[str, Any]) -> str:
    """The comparison as text."""
    lines = [f'A: {changes["a"]}', f'B: {changes["b"]}', *sentences(changes), '']
    lines.append(f'{"figure":<28}{"A":>12}{"B":>12}{"change":>12}')
    for name, each in changes['figures'].items():
        if each['a'] is not None or each['b'] is not None:
            lines.append(f'{name:<28}' + ''.join(_cell(each[k]) for k in ('a', 'b', 'change')))
    lines.append('')
    lines.append(f'{"class":<28}{"changed":>12}{"IoU A":>12}{"IoU B":>12}{"change":>12}')
    for name, each in changes['classes'].items():
        iou = each['iou']
        lines.append(
            f'{name:<28}'
            + ''.join(
                _cell(value) for value in (each['changed'], iou['a'], iou['b'], iou['change'])
            )
        )
    if changes['made_differently']:
        lines += ['', 'made differently:']
        lines += [f'  {name}: {a} -> {b}' for name, (a, b) in changes['made_differently'].items()]
    return '\n'.join(lines)


def _cell(value: float | None) -> str:
    if value is None:
        return f'{"–":>12}'
    return f'{value:>12,}' if isinstance(value, int) else f'{value:>12.4f}'

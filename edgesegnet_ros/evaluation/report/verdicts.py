"""Sentences about figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesegnet_ros.evaluation.provenance import as_shell
from edgesegnet_ros.evaluation.report.page import of_100, percent

DEPENDABLE, WEAK = 0.7, 0.4
"""A class is called dependable above the first IoU, and weak below the second."""


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f'{", ".join(names[:-1])} and {names[-1]}'


def accuracy(
    pixel_accuracy: float, miou: float | None, iou: Mapping[str, float | None]
) -> list[str]:
    """Sentences about the pixel accuracy, the mIoU and the IoU of the classes."""
    said = [f'{of_100(pixel_accuracy)} of 100 labelled pixels get the right class.']
    known = {name: value for name, value in iou.items() if value is not None}
    by_iou = sorted(known, key=lambda name: -known[name])
    good = [name for name in by_iou if known[name] >= DEPENDABLE]
    weak = [name for name in reversed(by_iou) if known[name] < WEAK]
    if good:
        said.append(f'Dependable (IoU from {percent(DEPENDABLE, 0)}): {listed(good)}.')
    if weak:
        said.append(
            f'Weak (IoU below {percent(WEAK, 0)}), the weakest first: {listed(weak)}. A planner '
            'should not rely on these alone.'
        )
    absent = [name for name, value in iou.items() if value is None]
    if absent:
        said.append(f'Not in these images, so not in the mIoU: {listed(absent)}.')
    return said


def calibration(ece: float, diagram: list[Mapping[str, Any]] | None = None) -> str:
    """Sentences about the calibration error, and its direction."""
    text = (
        f'A confidence is off by {100 * ece:.1f} points on average (ECE): of pixels said to '
        'be right with 80 %, '
    )
    filled = [each for each in diagram or () if each['share']]
    gap = sum(each['share'] * (each['accuracy'] - each['confidence']) for each in filled)
    if ece < 0.02:
        return (
            f'The confidence is well calibrated: it is off by {100 * ece:.1f} points on average '
            '(ECE).'
        )
    if filled and gap < -0.005:
        return text + 'fewer are. The network is overconfident.'
    if filled and gap > 0.005:
        return text + 'more are. The network is underconfident.'
    return f'A confidence is off by {100 * ece:.1f} points on average (ECE).'


def origin(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Facts, command and options for the end of a page."""
    engine, machine = provenance.get('engine') or {}, provenance.get('machine') or {}
    weights, classes = provenance.get('weights') or {}, provenance.get('classes') or {}
    facts = [
        ('started', provenance.get('started')),
        (
            'weights',
            _joined(
                weights.get('name'),
                weights.get('file'),
                weights.get('sha256') and f'SHA-256 {weights["sha256"]}',
            ),
        ),
        (
            'classes',
            _joined(classes.get('name'), classes.get('sha256') and f'SHA-256 {classes["sha256"]}'),
        ),
        (
            'engine',
            _joined(
                engine.get('engine'),
                engine.get('precision'),
                engine.get('version'),
                engine.get('reason'),
            ),
        ),
        (
            'runs on',
            _joined(
                engine.get('device'), engine.get('threads') and f'{engine["threads"]} threads'
            ),
        ),
        (
            'machine',
            _joined(
                *(
                    f'{key} {value}' if key == 'cpus' else str(value)
                    for key, value in machine.items()
                )
            ),
        ),
        (
            'software',
            ', '.join(
                f'{name} {version}' for name, version in (provenance.get('software') or {}).items()
            ),
        ),
        ('fingerprint', provenance.get('fingerprint')),
    ]
    return {
        'facts': [(name, text) for name, text in facts if text],
        'command': as_shell(map(str, provenance.get('command') or ['unknown'])),
        'options': dict(provenance.get('options') or {}),
    }


def _joined(*parts: Any) -> str:
    return ', '.join(str(part) for part in parts if part)

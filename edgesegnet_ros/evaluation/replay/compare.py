"""Comparison of two replays, pixel by pixel and class by class."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgesegnet_ros.evaluation.replay.label_maps import LabelMaps
from edgesegnet_ros.evaluation.replay.result import RESULT_NAME, ReplayError, ReplayResult

MOST_CHANGED = 6
FIGURES = (
    'frames_out',
    'dropped',
    'frames_scored',
    'pixel_accuracy',
    'miou',
    'ece',
    'temporal_consistency',
    'mean_confidence',
    'rate_hz',
    'latency_ms.p50',
    'latency_ms.p95',
    'latency_ms.p99',
)
_IDENTITY = ('weights', 'classes', 'engine', 'machine', 'software', 'options')


@dataclass
class ChangedFrame:
    """A frame whose labels differ.

    Attributes:
        bag: Its bag and topic.
        index: Index of the image in them.
        changed: Share of its pixels, 0-1.
        before: (H, W) uint8 class ids of A.
        after: (H, W) uint8 class ids of B.
    """

    bag: str
    index: int
    changed: float
    before: np.ndarray
    after: np.ndarray


@dataclass
class Comparison:
    """The differences between A and B.

    Attributes:
        before: A.
        after: B.
        transitions: (N + 1, N + 1) int64 pixels by class in A (rows) and in B; the last is
            "unlabelled". None where no label maps were kept.
        frames: Frames compared pixel for pixel.
        frames_equal: Those of them without any change.
        frames_left_out: Frames that only one has, or that differ in size.
        most_changed: Frames with the largest changed share, that first.
    """

    before: ReplayResult
    after: ReplayResult
    transitions: np.ndarray | None = None
    frames: int = 0
    frames_equal: int = 0
    frames_left_out: int = 0
    most_changed: list[ChangedFrame] = field(default_factory=list)

    @property
    def changed(self) -> float | None:
        """Share of the pixels whose class changed, 0-1."""
        if self.transitions is None or not self.transitions.sum():
            return None
        return float(1.0 - np.trace(self.transitions) / self.transitions.sum())


def _parts(result: ReplayResult, file: Path) -> dict[str, tuple[ReplayResult, Path]]:
    """Results of single cameras, by bag and topic."""
    if not result.parts:
        bag = result.source.bags[0] if result.source.bags else ''
        return {_key(bag, result.source.topic): (result, file)}
    parts = {}
    for part in result.parts:
        path = result.beside(part.get('result'), file)
        key = _key(part['bag'], part.get('topic'))
        parts[key] = (ReplayResult.read(path), path) if path else (ReplayResult(), file)
    return parts


def _key(bag: str, topic: str | None) -> str:
    return f'{Path(bag).name} {topic or ""}'.strip()


def _check_comparable(
    a: ReplayResult, b: ReplayResult, parts_a: Any, parts_b: Any, names: tuple[str, str]
) -> None:
    if set(parts_a) != set(parts_b):
        only_a, only_b = (
            sorted(set(parts_a) - set(parts_b)),
            sorted(set(parts_b) - set(parts_a)),
        )
        missing = [
            f'only {name} has {", ".join(only[:4])}{(" …" if len(only) > 4 else "")}'
            for name, only in zip(names, (only_a, only_b), strict=True)
            if only
        ]
        raise ReplayError(
            f'--compare: the two are of different bags or topics: '
            f'{"; ".join(missing)}; replay the same bags twice'
        )
    if a.classes != b.classes:
        raise ReplayError(
            f'--compare: {names[0]} has {len(a.classes)} classes and {names[1]} '
            f'{len(b.classes)}, or other names for them: classes that differ '
            'cannot be compared; replay both with the same --classes'
        )
    if (a.source.labels_from is None) != (b.source.labels_from is None):
        raise ReplayError(
            '--compare: only one of the two was scored against labels, so their figures cannot '
            'be compared; replay both with --labels, or both without'
        )


def compare(path_a: Path, path_b: Path) -> Comparison:
    """Compare two results of `edgesegnet replay`.

    Args:
        path_a: Folder or replay.json of the one before.
        path_b: The same of the one after.

    Raises:
        ReplayError: One cannot be read, or they are of different bags, classes or labels.
    """
    a, b = ReplayResult.read(path_a), ReplayResult.read(path_b)
    files = [path / RESULT_NAME if path.is_dir() else path for path in (path_a, path_b)]
    parts_a, parts_b = _parts(a, files[0]), _parts(b, files[1])
    names = (str(path_a), str(path_b))
    _check_comparable(a, b, parts_a, parts_b, names)
    found = Comparison(a, b)
    columns = len(a.classes) + 1
    heap: list[tuple[float, int, ChangedFrame]] = []
    for key in parts_a:
        maps = [_label_maps(*parts[key]) for parts in (parts_a, parts_b)]
        if maps[0] is None or maps[1] is None:
            continue
        if found.transitions is None:
            found.transitions = np.zeros((columns, columns), np.int64)
        for frame, counted in _frames(key, maps[0], maps[1], columns):
            if counted is None:
                found.frames_left_out += 1
                continue
            found.transitions += counted
            found.frames += 1
            found.frames_equal += frame.changed == 0.0
            if frame.changed > 0.0:
                heapq.heappush(heap, (frame.changed, -found.frames, frame))
                if len(heap) > MOST_CHANGED:
                    heapq.heappop(heap)
        for each in maps:
            each.close()  # type: ignore[union-attr]
    found.most_changed = [frame for _, _, frame in sorted(heap, key=lambda e: -e[0])]
    return found


def _label_maps(result: ReplayResult, file: Path) -> LabelMaps | None:
    path = result.beside(result.files.label_maps, file)
    return LabelMaps(path) if path else None


def _frames(
    key: str, maps_a: LabelMaps, maps_b: LabelMaps, columns: int
) -> Iterator[tuple[ChangedFrame, np.ndarray | None]]:
    """Every frame of both, with its transitions; None for those that cannot be compared."""
    common = 0
    for one in maps_a:
        if one.index not in maps_b:
            yield ChangedFrame(key, one.index, 0.0, one.labels, one.labels), None
            continue
        common += 1
        other = maps_b[one.index]
        if other.stamp_ns != one.stamp_ns:
            raise ReplayError(
                f'--compare: image {one.index} of {key} has the stamp {one.stamp_ns} in one and '
                f'{other.stamp_ns} in the other: these are different recordings of the same name'
            )
        if other.labels.shape != one.labels.shape:
            yield ChangedFrame(key, one.index, 0.0, one.labels, other.labels), None
            continue
        rows = np.minimum(one.labels, columns - 1).astype(np.int64)
        cells = rows * columns + np.minimum(other.labels, columns - 1)
        counted = np.bincount(cells.ravel(), minlength=columns**2).reshape(columns, columns)
        share = float(1.0 - np.trace(counted) / max(1, counted.sum()))
        yield ChangedFrame(key, one.index, share, one.labels, other.labels), counted
    for index in range(len(maps_b) - common):
        yield ChangedFrame(key, index, 0.0, np.empty(0), np.empty(0)), None


def figures(found: Comparison) -> dict[str, Any]:
    """The content of `compare.json`: `a`, `b` and `change` of each figure."""
    a, b = json.loads(found.before.to_json()), json.loads(found.after.to_json())
    per_class = {}
    for index, name in enumerate(found.before.classes):
        row = found.transitions[index] if found.transitions is not None else None
        per_class[name] = {
            **{
                kind: _change(_at(a, f'{kind}.{name}'), _at(b, f'{kind}.{name}'))
                for kind in ('iou', 'fractions', 'flicker')
            },
            'changed': None
            if row is None or not row.sum()
            else float(1.0 - row[index] / row.sum()),
        }
    return {
        'a': a['folder'],
        'b': b['folder'],
        'labels_equal': None
        if a['labels_sha256'] is None or b['labels_sha256'] is None
        else a['labels_sha256'] == b['labels_sha256'],
        'pixels_changed': found.changed,
        'frames_compared': found.frames,
        'frames_equal': found.frames_equal,
        'frames_left_out': found.frames_left_out,
        'figures': {name: _change(_at(a, name), _at(b, name)) for name in FIGURES},
        'classes': per_class,
        'transitions': None if found.transitions is None else found.transitions.tolist(),
        'most_changed': [
            {'bag': f.bag, 'index': f.index, 'changed': f.changed} for f in found.most_changed
        ],
        'made_differently': differences(a['provenance'], b['provenance']),
    }


def differences(a: Any, b: Any) -> dict[str, list[Any]]:
    """The differing values of the provenance: dotted name -> [in A, in B]."""
    found: dict[str, list[Any]] = {}

    def walk(name: str, left: Any, right: Any) -> None:
        if isinstance(left, dict) and isinstance(right, dict):
            for key in [*left, *(key for key in right if key not in left)]:
                walk(f'{name}.{key}' if name else key, left.get(key), right.get(key))
        elif left != right:
            found[name] = [left, right]

    for part in _IDENTITY:
        walk(part, a.get(part) or {}, b.get(part) or {})
    return found


def _at(values: dict[str, Any], path: str) -> float | None:
    value: Any = values
    for name in path.split('.'):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _change(a: float | None, b: float | None) -> dict[str, float | None]:
    return {'a': a, 'b': b, 'change': None if a is None or b is None else b - a}

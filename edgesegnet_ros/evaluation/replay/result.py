"""The result of a replay: the JSON that gates, comparisons and the page read.

The result of one camera of one bag has a `series`, `label_maps` and `frames_dir`.
Where there are several (bags, cameras), the result on top is their sum: the same figures over all
of them, `parts` names these results, and what only one bag can have is null.

A folder of results looks so::

    DIR/replay.json                 the result of all (with one camera: the result of that camera)
    DIR/report.html                 its page
    DIR/bags/<bag>-<key>/<camera>/replay.json   one camera of one bag
    DIR/bags/<bag>-<key>/<camera>/labels.zip    its label maps (label_maps.LabelMaps)
    DIR/bags/<bag>-<key>/<camera>/frames/       images and video (what the page shows)
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from edgesegnet_ros.atomic_file import write_text
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.evaluation.replay.figures import (
    Accuracy,
    Consistency,
    Disagreement,
    Figures,
    Files,
    Frames,
    Masks,
    Source,
    Timing,
)
from edgesegnet_ros.evaluation.replay.tallies import Tallies
from edgesegnet_ros.evaluation.replay.tallies.times import StageTimes

FORMAT = 'edgesegnet_ros replay 1'
RESULT_NAME = 'replay.json'
_GROUPS: dict[str, type[Figures]] = {
    'source': Source,
    'frames': Frames,
    'timing': Timing,
    'accuracy': Accuracy,
    'consistency': Consistency,
    'masks': Masks,
    'files': Files,
}


class ReplayError(EdgeSegNetError):
    """A usage error of `edgesegnet replay`, or a result that cannot be read."""


@dataclass
class Problem:
    """A problem; the replay continued without the affected frames.

    Attributes:
        kind: For programs, one of: truncated, no_index, no_images, bad_image, out_of_order,
            resolution_changes, no_stamp, assumed_encoding, labels_unmatched, labels_unused,
            labels_size, labels_disagree, bad_labels, not_written, dropped, worker_died,
            unreadable.
        where: Bag, topic and perhaps stamp, or the file.
        what: A sentence for people: what it was, and what it means for the figures.
        frames: How many frames it concerns; None where that is unknown.
    """

    kind: str
    where: str
    what: str
    frames: int | None = None


@dataclass(frozen=True)
class ReplayResult:
    """The result of a replay, in groups of figures whose keys replay.json has on one level.

    Attributes:
        mode: `offline` (every frame, as fast as the engine goes) or `live` (bag time, the node
            as a process over DDS).
        classes: Names, in the order of their ids.
        colors: Class -> [red, green, blue].
        source: What was replayed.
        frames: What became of the images.
        timing: How long it took.
        accuracy: Against ground truth.
        consistency: Along optical flow.
        masks: What the label maps hold.
        disagreement: With `--against`; None without.
        series: Over time, at most 1,024 points, each the mean over its frames: `t_s` (since the
            first stamp), `frames`, `latency_ms`, `latency_max_ms`, `confidence`, `consistency`,
            `pixel_accuracy`, `disagreement`, and `fractions` {class: [...]}; entries are None
            where unknown. Empty over several parts.
        problems: What was wrong; the replay continued without it. If empty, the figures are of
            every frame.
        notes: Choices made, such as topics that were skipped, in sentences.
        provenance: `command` (list of words), `started` (UTC, ISO 8601), `software` {name:
            version}, `weights` {name, file, sha256}, `classes` {name, sha256}, `engine` {engine,
            precision, device, version, threads, reason}, `machine` {cpu, cpus, system, …},
            `options` {option: value} and `fingerprint`, which all that decides the figures goes
            into.
        files: Where its files are.
        parts: The results summed up here, each {"bag", "topic", "result" (path of its replay.json
            relative to this one), and its frames_in, frames_out, dropped, frames_scored,
            labels_sha256, latency_ms, rate_hz, temporal_consistency, pixel_accuracy, miou,
            problems}.
        tallies: The sums behind the figures, for merging; None where they are not known.
        times: Stage -> histogram (StageTimes), for merging.
    """

    mode: str = 'offline'
    classes: list[str] = field(default_factory=list)
    colors: dict[str, list[int]] = field(default_factory=dict)
    source: Source = Source()
    frames: Frames = Frames()
    timing: Timing = Timing()
    accuracy: Accuracy = Accuracy()
    consistency: Consistency = Consistency()
    masks: Masks = Masks()
    disagreement: Disagreement | None = None
    series: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
    files: Files = Files()
    parts: list[dict[str, Any]] = field(default_factory=list)
    tallies: Tallies | None = None
    times: StageTimes = field(default_factory=StageTimes)

    def values(self) -> dict[str, Any]:
        """The figures as `replay.json` has them: those of all groups on one level."""
        values: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Figures):
                values |= value.to_json()
            elif isinstance(value, (Tallies, StageTimes, Disagreement)):
                values[each.name] = value.to_json()
            else:
                values[each.name] = value
        return {**values, 'problems': [asdict(problem) for problem in self.problems]}

    def to_json(self) -> str:
        """JSON that `from_json` reads; numbers that are not finite are null."""
        return json.dumps({'format': FORMAT, **self.values()}, indent=1, allow_nan=False) + '\n'

    @classmethod
    def from_json(cls, text: str, where: str = 'the result') -> ReplayResult:
        """Parse the output of `to_json`.

        Args:
            text: The JSON.
            where: Its path, for messages.

        Raises:
            ReplayError: It is something else.
        """
        try:
            values = json.loads(text)
            if not isinstance(values, dict) or values.pop('format', None) != FORMAT:
                raise ReplayError(
                    f'{where}: no result of `edgesegnet replay` ({FORMAT}); name its {RESULT_NAME}'
                )
            return cls.from_values(values)
        except (ValueError, TypeError, KeyError) as error:
            raise ReplayError(f'{where}: no result of `edgesegnet replay` ({error})') from error

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> ReplayResult:
        """What `values` gave; other names are left out, and missing ones are not known.

        Raises:
            TypeError, ValueError, KeyError: A value is something else.
        """
        groups: dict[str, Any] = {name: kind.from_json(values) for name, kind in _GROUPS.items()}
        known = {each.name for each in fields(cls)} - groups.keys()
        given = {name: value for name, value in values.items() if name in known}
        given['problems'] = [Problem(**problem) for problem in values.get('problems', ())]
        if given.get('tallies'):
            given['tallies'] = Tallies.from_json(given['tallies'])
        if given.get('disagreement'):
            given['disagreement'] = Disagreement.from_json(given['disagreement'])
        given['times'] = StageTimes.from_json(given.get('times', {}), groups['timing'].wall_s)
        return cls(**groups, **given)

    @classmethod
    def read(cls, path: str | Path) -> ReplayResult:
        """Read a result from a file, or from the replay.json of a folder.

        Raises:
            ReplayError: There is none.
        """
        path = Path(path).expanduser()
        path = path / RESULT_NAME if path.is_dir() else path
        try:
            return cls.from_json(path.read_text(encoding='utf-8'), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ReplayError(f'{path}: cannot be read ({error})') from error

    def write(self, path: Path) -> None:
        """Write the JSON atomically.

        Raises:
            WriteError: The file cannot be written.
        """
        write_text(path, self.to_json())

    def beside(self, relative: str | None, read_from: Path | None = None) -> Path | None:
        """The path of `label_maps`, `frames_dir` or a part's `result`.

        Args:
            relative: As it stands here.
            read_from: The file that this was read from; a copy of it elsewhere is understood.
        """
        if relative is None:
            return None
        folders = [read_from.absolute().parent] if read_from else []
        folders += [Path(self.files.folder)] if self.files.folder else []
        return next((f / relative for f in folders if (f / relative).exists()), None)

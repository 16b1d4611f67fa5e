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

FORMAT = 'edgesegnet_ros replay 1'
RESULT_NAME = 'replay.json'


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


@dataclass
class ReplayResult:
    """The result of a replay. Shares are 0-1, names of times have units, null means unknown.

    Attributes:
        mode: `offline` (every frame, as fast as the engine goes) or `live` (bag time, the node
            as a process over DDS).
        bags: Paths of the bags, as they were named.
        topic: The image topic; None over several cameras.
        labels_from: Topic or folder of the ground truth; None without.

        frames_in: Images that the bag holds (offline) or that were played (live), as far as they
            can be known: those lost to damage are counted where the bag says how many there were.
        frames_out: Label maps that came out.
        dropped: frames_in - frames_out; why, is in `drops` and `problems`.
        drops: Reason -> frames: `unreadable` (damaged, offline); the node's own counters, such as
            `replaced` and `too_old` (live); `unaccounted`.
        frames_scored: Frames compared with ground truth, which pixel_accuracy, miou, iou,
            confusion and ece are over.
        labels_sha256: Over all label maps in order, each with height and width before its bytes
            (offline); over several parts, over their hashes. None live, and of no label map.

        latency_ms: p50, p95, p99, mean, max. Offline: image to label map at the image's own
            size. Live: the node's own, from the image callback's entry to the publication.
        rate_hz: Label maps a second of the replay (offline), as they arrived (live); over several
            parts, frames_out by the sum of their wall_s: what one process does.
        bare_rate_hz: What the engine alone did in the same run, nothing beside it; None if not
            measured.
        engine_share: rate_hz / bare_rate_hz.
        stages_ms: Stage -> p50, p95, p99, mean, max. Offline: read (and decode), resize, infer,
            score, and each optional stage. Live: the node's wait, convert, resize, infer, publish.
        costs_s: Optional stage (flow, against, label_maps, write_bag, pictures, video) -> seconds
            of one thread that it took; 0.0 where it was switched off.
        age_ms: Live: from a frame's publication to its mask's arrival, on one steady clock.
        jitter_ms: Live: standard deviation of (interval of arrivals - interval of stamps);
            None for fewer than two intervals.
        duration_s: Duration of the recording in s, from the first stamp to the last.
        wall_s: Duration of the replay in s, from the first frame to the last, without opening the
            engine; over several parts their sum.

        classes: Names, in the order of their ids.
        colors: Class -> [red, green, blue].
        pixel_accuracy: Over all scored pixels; None without labels.
        miou: Mean over the classes that occur; None without labels.
        iou: Class -> intersection over union, None for one that does not occur.
        confusion: [true][predicted] pixels, N rows of N + 1: the last column is "unlabelled".
        ece: Expected calibration error, 15 equal bins; None without labels or confidence.

        temporal_consistency: Share of pixels that keep their class along optical flow; None
            where it was switched off or no pair could be compared.
        consistency_pairs: Pairs of frames that it is over.
        consistency_coverage: Share of those pairs' pixels whose flow passed the check forward
            and backward, and that it is over.
        flicker: Class -> share of its pixels that had another class one frame later, along flow.
        fractions: Class -> share of all pixels; `unlabelled` too, where there are any.
        confidence_histogram: 256 counts of pixels by uint8 confidence; None if not asked for.
        mean_confidence: 0-1.
        disagreement: With `--against`: {"with": name, "engine", "precision", "pixels": share,
            "per_class": {class: share or null}}; None without.
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

        report: Path of the HTML page; None without.
        label_maps: labels.zip, relative to the folder of replay.json; None if not kept.
        frames_dir: Folder of images and video, relative to the folder of replay.json.
        result_bag: Absolute path of the bag that `--write-bag` wrote; None without.
        folder: Absolute path of the folder of replay.json, when it was written.
        parts: The results summed up here, each {"bag", "topic", "result" (path of its replay.json
            relative to this one), and its frames_in, frames_out, dropped, frames_scored,
            labels_sha256, latency_ms, rate_hz, temporal_consistency, pixel_accuracy, miou,
            problems}.
        tallies: The sums behind the figures (tallies.Tallies), for merging.
        times: Stage -> histogram (tallies.Times), with `latency`; for merging.
    """

    mode: str = 'offline'
    bags: list[str] = field(default_factory=list)
    topic: str | None = None
    labels_from: str | None = None

    frames_in: int = 0
    frames_out: int = 0
    dropped: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    frames_scored: int = 0
    labels_sha256: str | None = None

    latency_ms: dict[str, float] | None = None
    rate_hz: float | None = None
    bare_rate_hz: float | None = None
    engine_share: float | None = None
    stages_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    costs_s: dict[str, float] = field(default_factory=dict)
    age_ms: dict[str, float] | None = None
    jitter_ms: float | None = None
    duration_s: float | None = None
    wall_s: float | None = None

    classes: list[str] = field(default_factory=list)
    colors: dict[str, list[int]] = field(default_factory=dict)
    pixel_accuracy: float | None = None
    miou: float | None = None
    iou: dict[str, float | None] | None = None
    confusion: list[list[int]] | None = None
    ece: float | None = None

    temporal_consistency: float | None = None
    consistency_pairs: int = 0
    consistency_coverage: float | None = None
    flicker: dict[str, float | None] | None = None
    fractions: dict[str, float] | None = None
    confidence_histogram: list[int] | None = None
    mean_confidence: float | None = None
    disagreement: dict[str, Any] | None = None
    series: dict[str, Any] = field(default_factory=dict)

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)

    report: str | None = None
    label_maps: str | None = None
    frames_dir: str | None = None
    result_bag: str | None = None
    folder: str | None = None
    parts: list[dict[str, Any]] = field(default_factory=list)
    tallies: dict[str, Any] | None = None
    times: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_json(self) -> str:
        """JSON that `from_json` reads; numbers that are not finite are null."""
        return json.dumps({'format': FORMAT, **asdict(self)}, indent=1, allow_nan=False) + '\n'

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
            problems = [Problem(**problem) for problem in values.pop('problems')]
            known = {field.name for field in fields(cls)}
            return cls(problems=problems, **{k: v for k, v in values.items() if k in known})
        except (ValueError, TypeError, KeyError) as error:
            raise ReplayError(f'{where}: no result of `edgesegnet replay` ({error})') from error

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
        folders += [Path(self.folder)] if self.folder else []
        return next((f / relative for f in folders if (f / relative).exists()), None)

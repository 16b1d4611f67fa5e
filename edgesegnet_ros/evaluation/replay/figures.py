"""The figures of a replay, by idea: what of `replay.json` belongs together.

Each class holds the keys of one idea: its fields, and the properties that it names in `DERIVED`.
Shares are 0-1, times are named by their unit, and None is "not known".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self


class Figures:
    """Frozen figures that are written to, and read from, the one level of `replay.json`."""

    DERIVED: ClassVar[tuple[str, ...]] = ()

    def to_json(self) -> dict[str, Any]:
        """Fields and derived figures by name."""
        return {
            **asdict(self),  # type: ignore[call-overload]
            **{name: getattr(self, name) for name in self.DERIVED},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The fields among a result's values; derived figures are derived again."""
        names = [each.name for each in fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: values[name] for name in names if name in values})


@dataclass(frozen=True)
class Source(Figures):
    """What was replayed.

    Attributes:
        bags: Paths of the bags, as they were named.
        topic: The image topic; None over several cameras of other names.
        labels_from: Topic or folder of the ground truth; None without, and over several cameras
            that have other ones.
        duration_s: Duration of the recording in s, from the first stamp to the greatest; over
            several parts their sum.
    """

    bags: list[str] = field(default_factory=list)
    topic: str | None = None
    labels_from: str | None = None
    duration_s: float | None = None


@dataclass(frozen=True)
class Frames(Figures):
    """What became of the images.

    Attributes:
        frames_in: Images that the bag holds (offline) or that were played (live), as far as they
            can be known: those lost to damage are counted where the bag says how many there were.
        frames_out: Label maps that came out.
        drops: Reason -> frames: `unreadable` (damaged, offline); the node's own counters, such as
            `replaced` and `too_old` (live); `unaccounted`.
    """

    DERIVED = ('dropped',)

    frames_in: int = 0
    frames_out: int = 0
    drops: dict[str, int] = field(default_factory=dict)

    @property
    def dropped(self) -> int:
        """frames_in - frames_out; why, is in `drops` and the result's problems."""
        return self.frames_in - self.frames_out

    def __add__(self, other: Frames) -> Frames:
        """Those of both."""
        reasons = [*self.drops, *(reason for reason in other.drops if reason not in self.drops)]
        return Frames(
            self.frames_in + other.frames_in,
            self.frames_out + other.frames_out,
            {each: self.drops.get(each, 0) + other.drops.get(each, 0) for each in reasons},
        )


@dataclass(frozen=True)
class Masks(Figures):
    """What the label maps hold.

    Attributes:
        labels_sha256: Over all label maps in order, each with height and width before its bytes
            (offline); over several parts, over their hashes. None live, and of no label map.
        fractions: Class -> share of all pixels; `unlabelled` too, where there are any.
        confidence_histogram: 256 counts of pixels by uint8 confidence; None if not asked for.
        mean_confidence: 0-1.
    """

    labels_sha256: str | None = None
    fractions: dict[str, float] | None = None
    confidence_histogram: list[int] | None = None
    mean_confidence: float | None = None


@dataclass(frozen=True)
class Timing(Figures):
    """How long it took.

    Attributes:
        latency_ms: p50, p95, p99, mean, max. Offline: image to label map at the image's own
            size. Live: the node's own, from the image callback's entry to the publication.
        rate_hz: Label maps a second of the replay (offline), as they arrived (live); over several
            parts, frames_out by the sum of their wall_s: what one process does.
        bare_rate_hz: What the engine alone did in the same run, nothing beside it; None if not
            measured.
        stages_ms: Stage -> p50, p95, p99, mean, max. Offline: read (and decode), resize, infer,
            score, and each optional stage. Live: the node's wait, convert, resize, infer, publish.
        costs_s: Optional stage (flow, against, label_maps, write_bag, rerun, pictures, video) ->
            seconds of one thread that it took; 0.0 where it was switched off.
        age_ms: Live: from a frame's publication to its mask's arrival, on one steady clock.
        jitter_ms: Live: standard deviation of (interval of arrivals - interval of stamps);
            None for fewer than two intervals.
        wall_s: Duration of the replay in s, from the first frame to the last, without opening the
            engine; over several parts their sum.
    """

    DERIVED = ('engine_share',)

    latency_ms: dict[str, float] | None = None
    rate_hz: float | None = None
    bare_rate_hz: float | None = None
    stages_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    costs_s: dict[str, float] = field(default_factory=dict)
    age_ms: dict[str, float] | None = None
    jitter_ms: float | None = None
    wall_s: float | None = None

    @property
    def engine_share(self) -> float | None:
        """rate_hz / bare_rate_hz."""
        if not self.rate_hz or not self.bare_rate_hz:
            return None
        return round(self.rate_hz / self.bare_rate_hz, 4)


@dataclass(frozen=True)
class Accuracy(Figures):
    """How the label maps compare with ground truth.

    Attributes:
        frames_scored: Frames compared with ground truth, which all of these are over.
        pixel_accuracy: Over all scored pixels; None without labels.
        miou: Mean over the classes that occur; None without labels.
        iou: Class -> intersection over union, None for one that does not occur.
        confusion: [true][predicted] pixels, N rows of N + 1: the last column is "unlabelled".
        ece: Expected calibration error, 15 equal bins; None without labels or confidence.
    """

    frames_scored: int = 0
    pixel_accuracy: float | None = None
    miou: float | None = None
    iou: dict[str, float | None] | None = None
    confusion: list[list[int]] | None = None
    ece: float | None = None


@dataclass(frozen=True)
class Consistency(Figures):
    """How neighbouring label maps compare along optical flow.

    Attributes:
        temporal_consistency: Share of pixels that keep their class along optical flow; None
            where it was switched off or no pair could be compared.
        consistency_pairs: Pairs of frames that it is over.
        consistency_coverage: Share of those pairs' pixels whose flow passed the check forward
            and backward, and that it is over.
        flicker: Class -> share of its pixels that had another class one frame later, along flow.
    """

    temporal_consistency: float | None = None
    consistency_pairs: int = 0
    consistency_coverage: float | None = None
    flicker: dict[str, float | None] | None = None


@dataclass(frozen=True)
class Disagreement:
    """How the label maps compare with those of a second engine (`--against`).

    Attributes:
        model: The other's name; `with` in the JSON.
        engine: The other's back end.
        precision: The other's number format.
        pixels: Share of all pixels that have another class there.
        per_class: Class -> share of its pixels that have another class there.
    """

    model: str
    engine: str = ''
    precision: str = ''
    pixels: float | None = None
    per_class: dict[str, float | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The value of `disagreement`."""
        values = asdict(self)
        return {'with': values.pop('model'), **values}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Disagreement:
        """What `to_json` gave."""
        return cls(**{('model' if name == 'with' else name): v for name, v in values.items()})


@dataclass(frozen=True)
class Files(Figures):
    """Where its files are.

    Attributes:
        report: Path of the HTML page; None without.
        label_maps: labels.zip, relative to the folder of replay.json; None if not kept.
        frames_dir: Folder of images and video, relative to the folder of replay.json.
        result_bag: Absolute path of the bag that `--write-bag` wrote; None without.
        folder: Absolute path of the folder of replay.json, when it was written.
    """

    report: str | None = None
    label_maps: str | None = None
    frames_dir: str | None = None
    result_bag: str | None = None
    folder: str | None = None

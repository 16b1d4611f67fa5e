"""All options that determine a replay's figures, by which a finished bag is recognised."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgesegnet_ros.engines.request import EngineRequest


@dataclass(frozen=True)
class ReplayOptions:
    """The options of a replay.

    Attributes:
        request: Model, classes and engine.
        topics: Image topics; all cameras where none is named.
        labels: Topic or folder of the ground truth; found by name where None, none where ''.
        label_start: Number of the first frame in the names of a folder of label images, 0 or 1;
            None where the names tell.
        unlabeled_below: Pixels of a smaller confidence (0-1) become unlabelled.
        min_confidence: Pairs of a group and a threshold (0-1); pixels below it are uncertain for
            this group. As the node's parameter group.<name>.min_confidence.
        unlabeled_inside: Groups whose masks contain all uncertain pixels, as the node's parameter
            group.<name>.unlabeled says.
        confidence: Whether it is computed.
        flow: Whether labels are compared along optical flow.
        against: A second engine, whose disagreement is measured; None for none.
        label_maps: Whether labels.zip is kept.
        pictures: Whether the worst and a sample of the frames are kept.
        video: Whether the overlay video is made.
        write_bag: Where the results are written as a bag; None for nowhere.
        write_bag_each: Whether that is a folder, for a bag of each camera of each bag.
        rerun: Rerun recording that is written; None for none.
        force: Whether what is there is replaced.
        bare_frames: Frames by which the engine alone is timed; 0 for not at all.
        live: Whether the node runs in bag time.
        rate: Live: times the recording's own pace.
    """

    request: EngineRequest = EngineRequest()
    topics: tuple[str, ...] = ()
    labels: str | None = None
    label_start: int | None = None
    unlabeled_below: float = 0.0
    min_confidence: tuple[tuple[str, float], ...] = ()
    unlabeled_inside: tuple[str, ...] = ()
    confidence: bool = True
    flow: bool = True
    against: EngineRequest | None = None
    label_maps: bool = True
    pictures: bool = True
    video: bool = True
    write_bag: str | None = None
    write_bag_each: bool = False
    rerun: str | None = None
    force: bool = False
    bare_frames: int = 0
    live: bool = False
    rate: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """The options as numbers, strings and lists."""
        values = asdict(self)
        del values['force']
        values['min_confidence'] = dict(self.min_confidence)
        for name in ('request', 'against'):
            request = getattr(self, name)
            values[name] = None if request is None else request._asdict()
        return values

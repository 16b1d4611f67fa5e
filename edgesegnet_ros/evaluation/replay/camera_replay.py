"""Replay of one camera of one bag. All other results are sums of these."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgesegnet_ros.data.bag import BagError, BagFrames, Camera
from edgesegnet_ros.data.classes import ClassSet
from edgesegnet_ros.data.geometry import compute_placement, to_network
from edgesegnet_ros.data.masks import groups_with_rules
from edgesegnet_ros.engines import LoadedModel
from edgesegnet_ros.engines.base import EngineDescription
from edgesegnet_ros.evaluation.provenance import provenance
from edgesegnet_ros.evaluation.replay.figures import Files, Frames, Source
from edgesegnet_ros.evaluation.replay.frames import FrameSink, ReplayFrame
from edgesegnet_ros.evaluation.replay.kept_frames import open_sinks
from edgesegnet_ros.evaluation.replay.label_folder import LabelFolder
from edgesegnet_ros.evaluation.replay.label_maps import LABEL_MAPS_NAME, LabelMapWriter
from edgesegnet_ros.evaluation.replay.options import ReplayOptions
from edgesegnet_ros.evaluation.replay.pipeline import Decoded, Label, Pipeline
from edgesegnet_ros.evaluation.replay.problems import ProblemLog, reason
from edgesegnet_ros.evaluation.replay.replay_engines import ReplayEngines
from edgesegnet_ros.evaluation.replay.result import ReplayResult
from edgesegnet_ros.evaluation.replay.result_bag import ResultBag
from edgesegnet_ros.evaluation.replay.scoring import Labelled, Scoring
from edgesegnet_ros.evaluation.replay.tallies.times import LATENCY, StageTimes

FRAMES_NAME = 'frames'
_LEAST_OF_CHANCE = 0.05
"""Labels whose agreement with the masks is below this share of chance are reported."""
_BLANK: Callable[[], None] = lambda: None  # noqa: E731


class CameraReplay:
    """The inputs and outputs of the replay of one camera of one bag.

    Args:
        bag: Its path.
        camera: Its topics.
        options: Options of the replay.
        classes: Classes of the labels.
        folder: For its files; it exists.
        key: Its fingerprint.
        result_bag: Where its results are written as a bag; None for nowhere.
    """

    def __init__(
        self,
        bag: Path,
        camera: Camera,
        options: ReplayOptions,
        classes: ClassSet,
        folder: Path,
        key: str,
        result_bag: Path | None = None,
    ) -> None:
        self.result_bag = result_bag
        self.bag, self.camera, self.options, self.classes = bag, camera, options, classes
        self.folder, self.key = folder, key
        self.log, self.times = ProblemLog(), StageTimes()
        self.where = f'{bag}: {camera.image_topic}'
        self.frames = BagFrames(bag, camera.image_topic, camera.label_topic, self.log.on_problem)
        labels = options.labels
        is_folder = bool(labels) and Path(str(labels)).is_dir()
        self.truth = None
        if is_folder:
            self.truth = LabelFolder(
                Path(str(labels)), classes, self.frames.stamps(), options.label_start
            )
        self.groups = groups_with_rules(
            classes.groups, dict(options.min_confidence), options.unlabeled_inside
        )
        sinks = self._sinks()
        self.scoring = Scoring(self.where, classes, options.flow, sinks, self.times, self.log)
        self.pipeline = Pipeline(self.frames, self.truth, self.scoring, self.times, self.log)

    def _sinks(self) -> list[FrameSink]:
        """The sinks that could be opened; a failure is reported and the replay continues."""
        options, made = self.options, []
        namespace = self.camera.image_topic.rsplit('/', 1)[0]
        openings: list[tuple[str, Callable[[], Any]]] = []
        if options.label_maps:
            path = self.folder / LABEL_MAPS_NAME
            openings.append(('label_maps', lambda: [LabelMapWriter(path)]))
        if self.result_bag is not None:
            bag = self.result_bag
            openings.append(
                (
                    'write_bag',
                    lambda: [
                        ResultBag(
                            bag,
                            self.camera.image_topic,
                            self.classes,
                            self.groups,
                            namespace,
                            options.unlabeled_below,
                            options.force,
                        )
                    ],
                )
            )
        if options.rerun is not None:
            openings.append(('rerun', self._rerun_sinks))
        openings.append(('pictures', self._report_sinks))
        for name, opening in openings:
            try:
                made += opening()
            except (OSError, BagError) as error:
                self.log.add(
                    'not_written', f'{self.where}: {name}', f'not written: {reason(error)}'
                )
        return made

    def _rerun_sinks(self) -> list[FrameSink]:
        from edgesegnet_ros.evaluation.replay.rerun_recording import RerunSink

        path = Path(str(self.options.rerun))
        camera = self.camera.image_topic.strip('/')
        truth = self.truth is not None or bool(self.camera.label_topic)
        other = self.options.against is not None
        return [RerunSink(path, camera, self.classes, self.groups, truth, other)]

    def _report_sinks(self) -> list[FrameSink]:
        folder = self.folder / FRAMES_NAME
        if not (self.options.pictures or self.options.video):
            return []
        folder.mkdir()
        return open_sinks(
            folder, self.classes, self.options.pictures, self.options.video, self.frames.total
        )

    def run(
        self,
        label: Label,
        progress: Callable[[], None],
        before: Callable[[np.ndarray], None] = lambda image: None,
    ) -> None:
        """Label and score every frame; see Pipeline."""
        complete = False
        try:
            self.pipeline.run(label, progress, before)
            complete = True
        finally:
            self.scoring.close(complete)
            self.frames.close()

    def result(self, engine: EngineDescription) -> ReplayResult:
        """The result.

        Args:
            engine: Description of what ran.
        """
        tallies, options = self.scoring.tallies, self.options
        names, frames = self.classes.names, self._frames()
        self._note_labels()
        self._note_agreement()
        request = options.request
        origin = provenance(request.model, request.classes, engine, {'replay': None})
        return ReplayResult(
            mode='live' if options.live else 'offline',
            classes=names,
            colors={entry.name: list(entry.color) for entry in self.classes.classes},
            source=Source(
                [str(self.bag)],
                self.camera.image_topic,
                self._labels_from(),
                self.scoring.duration_s,
            ),
            frames=frames,
            timing=self.times.timing(frames.frames_out),
            accuracy=tallies.accuracy.accuracy(names),
            consistency=tallies.consistency.consistency(names),
            masks=tallies.masks.masks(names, self.scoring.label_hash.hexdigest()),
            series=self.scoring.series.to_json(),
            problems=list(self.log.problems),
            provenance=origin | {'options': options.to_json(), 'fingerprint': self.key},
            files=self._files(),
            tallies=tallies,
            times=self.times,
        )

    def _frames(self) -> Frames:
        """What became of the images, and a problem where some of them could not be read."""
        seen = max(self.frames.seen, self.frames.total)
        if not seen:
            self.log.add('no_images', self.where, 'holds no image: there is nothing to evaluate')
        unread = self.frames.total - self.frames.seen
        if unread > 0:
            self.log.add(
                'truncated',
                self.where,
                f'{unread} of the {self.frames.total} images '
                'that the bag announces could not be read',
                unread,
            )
        frames = Frames(seen, self.scoring.tallies.masks.frames)
        return replace(frames, drops={'unreadable': frames.dropped}) if frames.dropped else frames

    def _files(self) -> Files:
        names = [
            name if (self.folder / name).exists() else None
            for name in (LABEL_MAPS_NAME, FRAMES_NAME)
        ]
        bag = self.result_bag
        written = str(bag.absolute()) if bag is not None and bag.exists() else None
        return Files(label_maps=names[0], frames_dir=names[1], result_bag=written)

    def _labels_from(self) -> str | None:
        return str(self.truth.folder) if self.truth else (self.camera.label_topic or None)

    def _note_labels(self) -> None:
        source = self._labels_from()
        frames = self.scoring.tallies.masks.frames
        if source is None or not frames:
            return
        if not self.scoring.tallies.accuracy.frames_scored:
            self.log.add(
                'labels_unmatched',
                self.where,
                f'no label of {source} has the stamp or the number of one of its {frames} frames '
                '(or all of them are void), so accuracy was not measured',
                frames,
            )
        elif self.truth is not None and self.truth.used < self.truth.total:
            self.log.add(
                'labels_unused',
                source,
                f'{self.truth.total - self.truth.used} of {self.truth.total} label images match '
                'no frame',
            )

    def _note_agreement(self) -> None:
        """Report labels that are probably those of other classes; ids alone cannot show it."""
        agreement, chance = self.scoring.tallies.accuracy.agreement_and_chance()
        if agreement < _LEAST_OF_CHANCE * chance:
            self.log.add(
                'labels_disagree',
                self._labels_from() or self.where,
                f'only {agreement:.2%} of the labelled pixels agree, where chance would give '
                f'{chance:.2%}: the ids of these labels are probably those of other classes than '
                f'{self.classes.name}; give the class file that they were drawn with',
            )


def replay_offline(
    replay: CameraReplay, engines: ReplayEngines, progress: Callable[[], None] = _BLANK
) -> ReplayResult:
    """Replay every frame, as fast as the engine runs.

    Args:
        replay: What is replayed.
        engines: What labels it.
        progress: Called after each frame.

    Raises:
        EdgeSegNetError: The engine failed.
    """
    options, times = replay.options, replay.times
    bare: list[float] = []

    def label(decoded: Decoded) -> Labelled:
        frame = decoded.frame
        began = time.perf_counter()
        done = engines.segmenter.segment(frame.image, options.confidence, options.unlabeled_below)
        labelled = time.perf_counter()
        other = None
        if engines.other is not None:
            with times.measure('against'):
                other = engines.other.segment(frame.image).labels.copy()
        # The segmenter's buffers are written again with the next frame.
        kept = ReplayFrame(
            frame.number,
            frame.stamp_ns,
            frame.image,
            done.labels.copy(),
            decoded.truth,
            None if done.confidence is None else done.confidence.copy(),
            other,
            source=frame.message,
            camera_info=replay.frames.camera_info,
        )
        latency_ms = (labelled - began) * 1e3
        times.add(LATENCY, latency_ms)
        for stage, spent in done.stages_ms.items():
            times.add(stage, spent)
        stamp = frame.message.header.stamp
        return Labelled(kept, bool(stamp.sec or stamp.nanosec), latency_ms)

    last: list[np.ndarray] = []

    def time_bare(image: np.ndarray) -> None:
        last[:] = [image]
        bare.extend(_bare_ms(engines.model, options, image))

    replay.run(label, progress, time_bare)
    if last:
        time_bare(last[0])
    result = replay.result(engines.model.engine.describe())
    if bare:
        timing = replace(result.timing, bare_rate_hz=round(1e3 * len(bare) / sum(bare), 4))
        result = replace(result, timing=timing)
    if options.against is not None and engines.other_model is not None:
        other = engines.other_model.engine.describe()
        disagreement = replay.scoring.tallies.disagreement.disagreement(
            result.classes, options.against.model, other.engine, other.precision
        )
        result = replace(result, disagreement=disagreement)
    return result


def _bare_ms(model: LoadedModel, options: ReplayOptions, image: np.ndarray) -> list[float]:
    """Times of the engine alone on one image, without other work in this process."""
    engine = model.engine
    placement = compute_placement(image.shape[:2], engine.input_size, model.resize_mode)
    pixels = to_network(image, placement)
    labels = np.empty(engine.input_size, np.uint8)
    confidence = np.empty_like(labels) if options.confidence else None
    spent = []
    for _ in range(options.bare_frames):
        began = time.perf_counter()
        engine.infer(pixels, labels, confidence)
        spent.append((time.perf_counter() - began) * 1e3)
    return spent

"""Replay of one bag with all its cameras into its own folder, which appears atomically.

A folder that is there already is a finished bag: its key is made of the bag, the weights, the
engine and every option, so it is what would come out again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgesegnet_ros.atomic_file import write_text
from edgesegnet_ros.data.bag import BagError, Camera, find_cameras
from edgesegnet_ros.data.bag.atomic_folder import atomic_folder
from edgesegnet_ros.engines.recipe import recipe_for
from edgesegnet_ros.evaluation.replay.camera_replay import CameraReplay, replay_offline
from edgesegnet_ros.evaluation.replay.figures import Files
from edgesegnet_ros.evaluation.replay.options import ReplayOptions
from edgesegnet_ros.evaluation.replay.problems import ProblemLog
from edgesegnet_ros.evaluation.replay.replay_engines import ReplayEngines
from edgesegnet_ros.evaluation.replay.result import (
    RESULT_NAME,
    Problem,
    ReplayError,
    ReplayResult,
)

BAGS_NAME, CAMERAS_NAME = 'bags', 'cameras.json'
Progress = Callable[[], None]


@dataclass
class BagOutcome:
    """The outcome of one bag.

    Attributes:
        bag: Its path, as it was named.
        folders: Folders of each camera's result, relative to the folder of all results.
        results: Results of each camera.
        problems: Those of the bag that kept it from having results.
        notes: Choices made.
        resumed: Whether it was finished before.
        fatal: Why no bag at all can be replayed here; None where they can.
    """

    bag: str
    folders: list[str] = field(default_factory=list)
    results: list[ReplayResult] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    resumed: bool = False
    fatal: str | None = None


def folder_of(bag: Path, key: str) -> str:
    """Folder of a bag's results, relative to the folder of all results."""
    name = re.sub(r'[^\w.-]', '_', bag.resolve().name) or 'bag'
    return f'{BAGS_NAME}/{name[:64]}-{key}'


def finished(bag: Path, out: Path, key: str, wants_bag: bool) -> BagOutcome | None:
    """The outcome of a bag that was finished before; None if it was not.

    Args:
        bag: Its path.
        out: Folder of all results.
        key: The bag's fingerprint.
        wants_bag: Whether the bag of results must also be there.
    """
    folder = folder_of(bag, key)
    try:
        index = json.loads((out / folder / CAMERAS_NAME).read_text(encoding='utf-8'))
        folders = [f'{folder}/{name}' for name in index['cameras']]
        results = [ReplayResult.read(out / name) for name in folders]
    except (OSError, ValueError, KeyError, TypeError, ReplayError):
        return None
    bags = [result.files.result_bag for result in results]
    if wants_bag and not all(written and Path(written).exists() for written in bags):
        return None
    return BagOutcome(str(bag), folders, results, notes=index['notes'], resumed=True)


def replay_bag(
    bag: Path,
    options: ReplayOptions,
    engines: ReplayEngines | None,
    out: Path,
    key: str,
    on_frame: Callable[[int, int], None] = lambda done, total: None,
) -> BagOutcome:
    """Replay all requested cameras of a bag.

    Args:
        bag: Its path.
        options: Options of the replay.
        engines: What labels it; None live, where the node does.
        out: Folder of all results.
        key: The bag's fingerprint.
        on_frame: Called after each frame with the number done and all of this camera.

    Returns:
        With a problem, and without results, for a bag of which nothing can be evaluated.

    Raises:
        EdgeSegNetError: The engine failed, or `out` cannot be written.
    """
    log = ProblemLog()
    labels = options.labels
    topic_of_labels = None if labels and Path(labels).is_dir() else labels
    try:
        classes = engines.model.classes if engines else recipe_for(options.request).classes
        found = find_cameras(bag, options.topics, topic_of_labels, log.on_problem, classes)
    except BagError as error:
        return BagOutcome(
            str(bag),
            problems=[
                *log.problems,
                Problem('unreadable', str(bag), str(error).removeprefix(f'{bag}: ')),
            ],
        )
    if labels and topic_of_labels is None:
        found = found._replace(cameras=[c._replace(label_topic='') for c in found.cameras])
        if len(found.cameras) > 1:
            raise ReplayError(
                f'{bag}: --labels {labels}, but there are {len(found.cameras)} cameras '
                f'({", ".join(c.image_topic for c in found.cameras)}): name one with --topic'
            )
    if options.rerun and len(found.cameras) > 1:
        raise ReplayError(
            f'{bag}: --rerun {options.rerun}, but there are {len(found.cameras)} cameras '
            f'({", ".join(c.image_topic for c in found.cameras)}): name one with --topic'
        )
    folder = folder_of(bag, key)
    names = _names(found.cameras)
    outcome = BagOutcome(str(bag), [f'{folder}/{name}' for name in names], notes=found.notes)
    try:
        with atomic_folder(out / folder, True, CAMERAS_NAME, 'result of a replay') as filling:
            for camera, name in zip(found.cameras, names, strict=True):
                (filling / name).mkdir(parents=True)
                written = _bag_for(options, f'{Path(folder).name}-{name}', len(names))
                result = _replay_camera(
                    bag, camera, options, engines, filling / name, key, written, on_frame
                )
                result_folder = str((out / folder / name).absolute())
                files = replace(result.files, folder=result_folder)
                result = replace(result, files=files, notes=found.notes)
                outcome.results.append(result)
                result.write(filling / name / RESULT_NAME)
            index = {'bag': str(bag), 'cameras': names, 'notes': found.notes}
            write_text(filling / CAMERAS_NAME, json.dumps(index, indent=1) + '\n')
    except BagError as error:
        if len(outcome.results) < len(names):
            raise
        # What was found is worth more than where it should have been kept.
        outcome.folders = []
        problem = Problem('not_written', str(out / folder), str(error))
        outcome.results = [
            replace(
                result,
                files=Files(result_bag=result.files.result_bag),
                problems=[*result.problems, problem],
            )
            for result in outcome.results
        ]
    return outcome


def _replay_camera(
    bag: Path,
    camera: Camera,
    options: ReplayOptions,
    engines: ReplayEngines | None,
    folder: Path,
    key: str,
    written: Path | None,
    on_frame: Callable[[int, int], None],
) -> ReplayResult:
    classes = engines.model.classes if engines else recipe_for(options.request).classes
    replay = CameraReplay(bag, camera, options, classes, folder, key, written)
    done = 0

    def progress() -> None:
        nonlocal done
        done += 1
        on_frame(done, replay.frames.total)

    if engines is None:
        from edgesegnet_ros.evaluation.replay.live import replay_live

        return replay_live(replay, progress)
    return replay_offline(replay, engines, progress)


def _bag_for(options: ReplayOptions, name: str, cameras: int) -> Path | None:
    """Path of a camera's result bag."""
    if options.write_bag is None:
        return None
    path = Path(options.write_bag)
    return path / name if options.write_bag_each or cameras > 1 else path


def _names(cameras: list[Camera]) -> list[str]:
    """A unique folder name for each camera, from its topic."""
    names: list[str] = []
    for camera in cameras:
        name = re.sub(r'[^\w.-]', '_', camera.image_topic.strip('/')) or 'camera'
        names.append(name if name not in names else f'{name}-{len(names)}')
    return names

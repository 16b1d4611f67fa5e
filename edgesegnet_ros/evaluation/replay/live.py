"""Live replay: a bag in real time through the node, as on a robot.

The node, a player and a collector run as processes over DDS, as in `edgesegnet demo`, but nobody
waits for anybody: the image subscription is the node's own (best effort, the newest alone), the
player keeps the recording's pace times the rate. The masks that came are then scored as those of
an offline replay are; a frame without one is dropped.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from edgesegnet_ros.engines.base import EngineDescription
from edgesegnet_ros.errors import EdgeSegNetError
from edgesegnet_ros.evaluation.replay.camera_replay import CameraReplay
from edgesegnet_ros.evaluation.replay.figures import Frames, Timing
from edgesegnet_ros.evaluation.replay.frames import ReplayFrame
from edgesegnet_ros.evaluation.replay.label_maps import LabelMaps
from edgesegnet_ros.evaluation.replay.pipeline import Decoded
from edgesegnet_ros.evaluation.replay.result import ReplayResult
from edgesegnet_ros.evaluation.replay.scoring import Labelled
from edgesegnet_ros.evaluation.replay.tallies.times import AGE
from edgesegnet_ros.interface import diagnostic_keys as keys
from edgesegnet_ros.interface.parameter_table import INSIDE

BRING_UP_S = 180.0


class LiveError(EdgeSegNetError):
    """A process of the live replay failed."""


def replay_live(replay: CameraReplay, progress: Callable[[], None]) -> ReplayResult:
    """Play a camera to the node in real time, and score the masks.

    Args:
        replay: What is replayed.
        progress: Called after each played frame.

    Raises:
        NodeMissing: There is no ROS 2 here.
        LiveError: A process failed; the message has its last log lines.
    """
    from edgesegnet_ros.demo.node_start import check_node_is_there
    from edgesegnet_ros.demo.processes import ProcessFailed

    check_node_is_there()
    folder = replay.folder / 'live'
    folder.mkdir()
    try:
        played = _play(replay, folder, progress)
    except ProcessFailed as failure:
        raise LiveError(str(failure)) from failure
    arrived = _arrivals(folder / 'arrivals.csv')
    masks = LabelMaps(folder / 'masks.zip')
    index_of_stamp = _index_of_stamp(masks)
    confidences = LabelMaps(folder / 'confidence.zip') if _needs_confidence(replay) else None
    confident = {} if confidences is None else _index_of_stamp(confidences)
    number = -1

    def label(decoded: Decoded) -> Labelled | None:
        nonlocal number
        number += 1
        # The player's stamps rise always: the frame's own may not.
        stamp_ns = played[number][0] if number < len(played) else -1
        index = index_of_stamp.get(stamp_ns)
        if index is None:
            return None
        confidence = None
        if confidences is not None:
            if stamp_ns not in confident:
                return None  # without it, there are no masks of groups
            confidence = confidences[confident[stamp_ns]].labels
        frame = decoded.frame
        stamp = frame.message.header.stamp
        return Labelled(
            ReplayFrame(
                frame.number,
                frame.stamp_ns,
                frame.image,
                masks[index].labels,
                decoded.truth,
                confidence,
                source=frame.message,
                camera_info=replay.frames.camera_info,
            ),
            bool(stamp.sec or stamp.nanosec),
        )

    replay.run(label, lambda: None)
    for maps in (masks, confidences):
        if maps is not None:
            maps.close()
            maps.path.unlink()
    collected = json.loads((folder / 'collected.json').read_text())
    return _result(replay, played, arrived, (collected['diagnostics'] or {}).get('values', {}))


def _play(
    replay: CameraReplay, folder: Path, progress: Callable[[], None]
) -> list[tuple[int, float]]:
    """Stamp in ns of each played frame, and time of its publication, in s of the steady clock."""
    from edgesegnet_ros.demo.domain import free_domain, ros_environment
    from edgesegnet_ros.demo.node_start import ROS_ARGUMENTS, bring_up, write_parameters
    from edgesegnet_ros.demo.processes import Processes

    options = replay.options
    parameters = write_parameters(
        folder / 'parameters.yaml',
        options.request,
        {
            'use_sim_time': True,
            'num_threads': options.request.num_threads,
            'unlabeled_below': options.unlabeled_below,
            **{f'group.{name}.min_confidence': least for name, least in options.min_confidence},
            **{f'group.{name}.unlabeled': INSIDE for name in options.unlabeled_inside},
        },
    )
    classes = folder / 'classes.yaml'  # of a class set that the weights hold, too
    classes.write_text(yaml.safe_dump(replay.classes.as_document()))
    played: list[tuple[int, float]] = []

    def on_line(line: str) -> None:
        event = json.loads(line)
        if event['event'] == 'frame':
            played.append((event['stamp_ns'], event['at_s']))
            progress()

    with Processes(folder, ros_environment(free_domain())) as processes:
        node = processes.start(
            'segmentation_node',
            [
                *ROS_ARGUMENTS,
                '--params-file',
                str(parameters),
            ],
        )
        collector = processes.start(
            'collector',
            [
                '--out',
                str(folder),
                '--classes',
                str(classes),
                '--record',
                *(['--record-confidence'] if _needs_confidence(replay) else []),
                *ROS_ARGUMENTS,
            ],
        )
        bring_up(processes, node, BRING_UP_S)
        player = processes.start(
            'bag_player',
            [
                str(replay.bag.resolve()),
                '--tolerant',
                '--progress',
                '--topic',
                replay.camera.image_topic,
                '--labels',
                '',
                '--rate',
                str(options.rate),
                '--wait-for',
                'image=1',
                *ROS_ARGUMENTS,
            ],
            piped=True,
        )
        processes.follow(player, on_line)
        processes.end(collector)
    return played


def _needs_confidence(replay: CameraReplay) -> bool:
    """Whether the masks of groups that are written depend on it."""
    options = replay.options
    return bool(options.min_confidence and (options.write_bag or options.rerun))


def _index_of_stamp(maps: LabelMaps) -> dict[int, int]:
    return {maps.stamp_of(index): index for index in maps.indices}


def _arrivals(file: Path) -> dict[int, float]:
    with file.open(newline='') as rows:
        return {int(stamp): float(at) for stamp, at in csv.reader(rows)}


def _result(
    replay: CameraReplay,
    played: list[tuple[int, float]],
    arrived: dict[int, float],
    values: dict[str, Any],
) -> ReplayResult:
    for stamp, published_s in played:
        if stamp in arrived:
            replay.times.add(AGE, (arrived[stamp] - published_s) * 1e3)
    engine = EngineDescription(
        values.get(keys.ENGINE, 'unknown'),
        values.get(keys.PRECISION, 'unknown'),
        replay.options.request.device,
        values.get(keys.ENGINE_VERSION, 'unknown'),
        int(values.get(keys.THREADS, 0)),
        values.get(keys.ENGINE_REASON, ''),
    )
    result = replay.result(engine)
    frames = _frames(replay, result.frames, len(played), values)
    return replace(
        result,
        frames=frames,
        timing=_timing(replay, result.timing, arrived, values),
        # The node's masks depend on what it was given time for.
        masks=replace(result.masks, labels_sha256=None),
        problems=list(replay.log.problems),
    )


def _timing(
    replay: CameraReplay, timing: Timing, arrived: dict[int, float], values: dict[str, Any]
) -> Timing:
    """The node's own times, and those of the masks' arrival."""
    timing = replace(
        timing,
        latency_ms=keys.stage_times_ms(values, keys.LATENCY),
        stages_ms={
            stage: times for stage in keys.STAGES if (times := keys.stage_times_ms(values, stage))
        },
    )
    times_s = np.array(sorted(arrived.values()))
    if len(times_s) > 1:
        wall_s = float(times_s[-1] - times_s[0])
        rate_hz = round((len(times_s) - 1) / max(wall_s, 1e-9), 4)
        replay.times.wall_s = wall_s  # not that of the scoring afterwards
        timing = replace(timing, wall_s=wall_s, rate_hz=rate_hz)
    if len(times_s) > 2:  # one interval alone deviates from nothing
        stamps_s = np.array(sorted(arrived)) * 1e-9 / replay.options.rate
        jitter_ms = float(np.std(np.diff(times_s) - np.diff(stamps_s)) * 1e3)
        timing = replace(timing, jitter_ms=round(jitter_ms, 4))
    return timing


def _frames(replay: CameraReplay, frames: Frames, played: int, values: dict[str, Any]) -> Frames:
    """Count, by reason, and report the frames without a mask."""
    unread = max(0, frames.frames_in - played)
    drops = {'unreadable': unread} if unread else {}
    for reason in keys.DROPS:
        count = keys.count(values, reason)
        if count:
            drops[reason] = count
    rest = frames.dropped - sum(drops.values())
    if rest > 0:
        drops['unaccounted'] = rest
    dropped = frames.dropped - unread
    if dropped:
        replay.log.add(
            'dropped',
            replay.where,
            f'no mask was published for {dropped} of the {played} played frames; the figures '
            'cover the other frames',
            dropped,
        )
    return replace(frames, drops=drops)

"""Whether masks are as fresh as an overloaded node can make them, frame by frame."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from pathlib import Path
from statistics import median
from typing import NamedTuple

from endurance import Limit

SHARE = 0.1
"""A frame in whose time threads of the node waited for a core for less than this share of it had
the share of the machine that it needs."""
FEWEST = 20
"""Such frames, of which a median says something."""
LATE_SHARE = 0.01
"""Of frames, for the moments in which Python lets another thread run."""


class TracedFrame(NamedTuple):
    """One published frame of `traced_node`; times in ms.

    Attributes:
        stamp_ns: Of its image.
        newest_ns: Stamp of the newest image that the node had when the worker took one.
        taken_ns: When that was.
        period: From its stamp until the node had the next image.
        age: When its outputs were published.
        work: From the moment when it was taken: conversion, inference and post-processing.
        starved: How long threads of the node had no core meanwhile.
    """

    stamp_ns: int
    newest_ns: int
    taken_ns: int
    period: float
    age: float
    work: float
    starved: float

    @property
    def has_its_share(self) -> bool:
        """Whether the machine gave the node what it needs."""
        return self.starved < SHARE * self.work


def read(path: Path) -> list[TracedFrame]:
    """The frames of a trace for which the next image is known."""
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    offered = [line for line in lines if line['event'] == 'offered']
    stamps = [line['stamp_ns'] for line in offered]
    frames = []
    taken, newest = {}, 0
    for line in lines:
        if line['event'] == 'offered':
            newest = line['stamp_ns']
        elif line['event'] == 'taken':
            taken = {**line, 'newest_ns': newest}
        else:
            following = bisect_right(stamps, taken['stamp_ns'])
            if following < len(offered):
                period = (offered[following]['at_ns'] - taken['stamp_ns']) / 1e6
                frames.append(
                    TracedFrame(
                        taken['stamp_ns'],
                        taken['newest_ns'],
                        taken['at_ns'],
                        period,
                        line['age_ms'],
                        line['work_ms'],
                        line['starved_ms'],
                    )
                )
    return frames


def fresh(frames: list[TracedFrame], sent_ns: list[int], least: int) -> list[Limit]:
    """What is required of the frames of an overloaded node.

    The bound of a frame's age is one frame period, its own inference and its own post-processing;
    for a node that has waited for a core, that time as well. What the node cannot see is an image
    that waits before it: so that the images which were sent before a frame was taken are counted,
    for frames that had their share of the machine.

    Args:
        frames: Of a trace.
        sent_ns: Stamps of all images that were sent, ascending.
        least: How many frames must have had their share of the machine.
    """
    outdated = sum(frame.stamp_ns != frame.newest_ns for frame in frames)
    late = [frame for frame in frames if frame.age > frame.period + frame.work + frame.starved]
    ages, periods, work = (
        median([one[name] for one in map(TracedFrame._asdict, frames)] or [0.0])
        for name in ('age', 'period', 'work')
    )
    judged = [frame for frame in frames if frame.has_its_share]
    newer = [
        bisect_left(sent_ns, frame.taken_ns) - bisect_right(sent_ns, frame.stamp_ns)
        for frame in judged
    ]
    passed = median(newer) if newer else 0
    return [
        Limit(
            'masks of an image that was not the newest when it was taken',
            f'{outdated} of {len(frames)}',
            'none',
            not outdated and bool(frames),
        ),
        Limit(
            'masks older than a frame period and their own inference and post-processing',
            f'{len(late)} of {len(frames)} (medians: age {ages:.1f} ms, period {periods:.1f} ms, '
            f'work {work:.1f} ms)',
            f'{100 * LATE_SHARE:g} %, or one',
            len(late) <= max(1.0, LATE_SHARE * len(frames)),
        ),
        Limit(
            'images that were sent later and before it was taken, per mask',
            f'{passed:g} at the median of {len(judged)} masks for which the node had its cores',
            f'1, in {least} masks at least',
            (passed <= 1 or len(judged) < FEWEST) and len(judged) >= least,
        ),
    ]

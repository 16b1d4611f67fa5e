"""Random splits that keep each recording in one split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesegnet_ros.data.datasets.sample import Sample

_FEWEST_SEQUENCES = 4
_BLOCKS = 20


def groups_of(samples: Sequence[Sample]) -> list[list[int]]:
    """Groups of indices of samples that must stay in one split.

    The groups are the sequences, which names show. If there are too few sequences to draw from,
    each one is cut into blocks of neighbours, because neighbouring frames look alike.
    """
    sequences: dict[str, list[int]] = {}
    for index, sample in enumerate(samples):
        sequences.setdefault(sample.sequence, []).append(index)
    if len(sequences) >= _FEWEST_SEQUENCES:
        return list(sequences.values())
    block = max(1, len(samples) // _BLOCKS)
    return [
        indices[start : start + block]
        for indices in sequences.values()
        for start in range(0, len(indices), block)
    ]


def random_split(
    samples: Sequence[Sample], fraction: float, seed: int
) -> tuple[list[Sample], list[Sample]]:
    """Divide samples into the rest and a share of about `fraction`, whole groups at a time.

    Args:
        samples: In the order of their names, two or more.
        fraction: Share to draw, between 0 and 1.
        seed: The same seed draws the same samples.

    Returns:
        The rest and the drawn samples, both in the order of `samples` and not empty.
    """
    groups = groups_of(samples)
    wanted = min(max(1, round(fraction * len(samples))), len(samples) - 1)
    drawn: set[int] = set()
    for number in np.random.default_rng(seed).permutation(len(groups)):
        # A group that would increase the error of the share is skipped.
        gap = wanted - len(drawn)
        if len(groups[number]) <= 2 * gap - 1 and len(drawn) + len(groups[number]) < len(samples):
            drawn.update(groups[number])
    if not drawn:
        smallest = min(groups, key=len)
        drawn.update(smallest if len(smallest) < len(samples) else smallest[-wanted:])
    rest = [sample for index, sample in enumerate(samples) if index not in drawn]
    return rest, [samples[index] for index in sorted(drawn)]

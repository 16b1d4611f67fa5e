"""A hundred lifecycle cycles under images, and overload for a second; `make soak` has more."""

from __future__ import annotations

import pytest
from endurance import cycles, stream, unmet
from freshness import fresh, read
from harness import ACTIVATE, CONFIGURE

SMALL = {'input_size': '[64, 64]', 'num_threads': '1'}


@pytest.mark.timeout(1200)  # on a machine that does much else
def test_a_hundred_cycles_leave_nothing_behind(launch):
    limits, _ = cycles(launch(SMALL), 100, 5)
    assert not unmet(limits)


def test_overload_keeps_the_newest_and_counts_the_rest(launch, tmp_path):
    trace = tmp_path / 'trace'
    parameters = {'input_size': '[256, 256]', 'num_threads': '1', 'max_age_ms': '60000.0'}
    client = launch(parameters, trace=trace)
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    limits, values, _, images = stream(client, 1.0, 120.0, 10)
    # How many frames had a core of their own is no property of the node.
    assert not unmet(limits + fresh(read(trace), images.stamps, least=0))
    assert int(values['frames_replaced']) > 0

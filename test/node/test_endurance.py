"""A hundred lifecycle cycles under images, and overload for a second; `make soak` has more."""

from __future__ import annotations

import pytest
from endurance import cycles, stream, unmet
from harness import ACTIVATE, CONFIGURE

SMALL = {'input_size': '[64, 64]', 'num_threads': '1'}


@pytest.mark.timeout(1200)  # on a machine that does much else
def test_a_hundred_cycles_leave_nothing_behind(launch):
    limits, _ = cycles(launch(SMALL), 100, 5)
    assert not unmet(limits)


def test_overload_keeps_the_newest_and_counts_the_rest(launch):
    client = launch({'input_size': '[256, 256]', 'num_threads': '1', 'max_age_ms': '60000.0'})
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    limits, values, *_ = stream(client, 1.0, 60.0, 15)
    assert not unmet(limits)
    assert int(values['frames_replaced']) > int(values['frames_out']) > 0
    # Each mask is of an image that was the newest when its inference began: it has waited for
    # nothing but the frame before.
    wait, infer = float(values['wait_ms_p95']), float(values['infer_ms_p99'])
    assert wait < 2.0 * infer + 100.0

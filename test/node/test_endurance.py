"""A hundred lifecycle cycles under images, and overload for a second; `make soak` has more."""

from __future__ import annotations

import pytest
from endurance import cycles, stream, unmet
from freshness import TracedFrame, fresh, read
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


def test_what_is_not_fresh_is_found():
    sent = [number * 10_000_000 for number in range(1, 400)]  # 100 Hz
    good = [
        TracedFrame(stamp, stamp, stamp + 4_000_000, period=11.0, age=104.0, work=100.0, starved=0)
        for stamp in sent[::10]
    ]
    assert not unmet(fresh(good, sent, least=40))

    def found(**change: float) -> str:
        (sentence,) = unmet(fresh([one._replace(**change) for one in good], sent, least=40))
        return sentence

    assert 'not the newest' in found(newest_ns=1)
    assert 'older than a frame period' in found(age=112.0)
    assert '0 masks for which' in found(starved=20.0)
    waited = [one._replace(taken_ns=one.stamp_ns + 55_000_000) for one in good]  # before the node
    assert '5 at the median' in unmet(fresh(waited, sent, least=40))[0]
    assert not unmet(fresh([one._replace(age=112.0, starved=9.0) for one in good], sent, 40))

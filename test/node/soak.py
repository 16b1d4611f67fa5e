"""`make soak`: a thousand lifecycle cycles, half an hour at camera rate, a minute of overload.

Not part of `make test`, since its name does not begin with test_.
"""

from __future__ import annotations

import json
import os

import pytest
from endurance import cycles, stream
from harness import ACTIVATE, CONFIGURE
from sensor_msgs.msg import Image

MINUTES = float(os.environ.get('SOAK_MINUTES', '30'))
CYCLES = int(os.environ.get('SOAK_CYCLES', '1000'))
SMALL = {'input_size': '[64, 64]', 'num_threads': '1'}


@pytest.mark.timeout(4 * 3600)
def test_cycles(launch):
    cycles(launch(SMALL), CYCLES, 50)


@pytest.mark.timeout(4 * 3600)
def test_camera_rate(launch):
    client = launch({})
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    client.subscribe(Image, 'segmentation/mask')
    values = stream(client, 60.0 * MINUTES, 5.0, 200)
    print(json.dumps(values, indent=2))
    received, published = int(values['frames_in']), int(values['frames_out'])
    # At half the rate that two cores reach, all frames come out but those that are counted.
    assert published > 0.99 * received, values


@pytest.mark.timeout(3600)
def test_overload(launch):
    client = launch({'max_age_ms': '10000.0'})
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    client.subscribe(Image, 'segmentation/mask')
    values = stream(client, 60.0, 100.0, 100)
    print(json.dumps(values, indent=2))
    period, infer = 10.0, float(values['infer_ms_p99'])
    rest = float(values['convert_ms_p99']) + float(values['publish_ms_p99'])
    assert float(values['published_age_ms_p95']) < period + 2 * infer + rest, values

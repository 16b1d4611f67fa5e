"""`make soak`: a thousand lifecycle cycles, half an hour at camera rate, a minute of overload.

Not part of `make test`, since its name does not begin with test_.
"""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest
from endurance import cycles, stream
from harness import ACTIVATE, CONFIGURE, image_message
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


def rate_hz(clients) -> float:
    """Frames per second that each of these nodes publishes, the slowest of them."""
    cameras = [client.publisher(Image, 'image') for client in clients]
    image = image_message(np.full((240, 320, 3), 128, np.uint8))
    timers = [
        client.node.create_timer(0.02, lambda camera=camera: camera.publish(image))
        for client, camera in zip(clients, cameras)
    ]
    rates = []
    for client in clients:
        client.diagnostics(lambda v: int(v['frames_out']) > 20, 'a warm node')
    time.sleep(10.0)
    for client in clients:
        rates.append(float(client.diagnostics(lambda v: True, 'a report')['rate_out_hz']))
    for client, timer in zip(clients, timers):
        client.node.destroy_timer(timer)
    return min(rates)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize('engine', ['torch', 'openvino'])
def test_two_nodes_share_the_machine(launch, engine):
    parameters = {'engine': engine, 'precision': 'fp32', 'lazy': 'false'}
    first = launch(parameters)
    assert first.change_state(CONFIGURE) and first.change_state(ACTIVATE)
    alone = rate_hz([first])
    second = launch(parameters)
    assert second.change_state(CONFIGURE) and second.change_state(ACTIVATE)
    together = rate_hz([first, second])
    print(f'{engine}: {alone:.1f} Hz alone, {together:.1f} Hz each of two')
    assert together >= 0.8 * alone / 2


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

"""`edgesegnet view` of running nodes: what they published is in the recording."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('rerun', reason='SKIPPED FOR WANT OF rerun-sdk (extra view)')

from harness import image_message, pixels_of
from rerun_files import read
from sensor_msgs.msg import Image

SMALL = {'input_size': '[64, 64]', 'num_threads': '1', 'autostart': 'true'}
STAMP_NS = 1_000_000_000


def test_two_nodes_are_recorded_side_by_side(launch, tmp_path, street_frame):
    clients = [launch(SMALL), launch(SMALL)]
    file = tmp_path / 'nodes.rrd'
    names = [f'{client.target.namespace}/edgesegnet' for client in clients]
    view = subprocess.Popen(
        [sys.executable, '-m', 'edgesegnet_ros.cli', 'view', '--save', str(file), '--lossless']
        + [word for name in names for word in ('--node', name)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    image = street_frame.image[::4, ::4]
    for number, client in enumerate(clients):
        client.subscribe(Image, 'segmentation/mask')
        camera = client.publisher(Image, 'image')
        client.wait(
            lambda camera=camera: camera.get_subscription_count() == 2, 'the viewer to subscribe'
        )
        stamps = iter(range(10 * (number + 1), 10**6))
        client.diagnostics(
            lambda values: 'confidence' in values['outputs_subscribed'], 'the viewer is served'
        )

        def recorded_one(client=client, camera=camera, stamps=stamps):
            camera.publish(image_message(image, stamp=next(stamps)))

        client.repeat(
            recorded_one, lambda client=client: len(client.received['segmentation/mask']) > 1, ''
        )
    view.send_signal(signal.SIGINT)
    said = view.communicate(timeout=60)[0]
    assert view.returncode == 0, said
    found = read(file)
    for client, name in zip(clients, names, strict=True):
        assert f'showing {name}, which segments {client.target.namespace}/image' in said
        camera = client.target.namespace.strip('/')
        labels = {stamp: value for stamp, value in found[f'{camera}/labels'].items() if stamp > 0}
        assert labels, said
        for mask in client.received['segmentation/mask']:
            stamp = mask.header.stamp.sec * 10**9 + mask.header.stamp.nanosec
            if stamp in labels:
                np.testing.assert_array_equal(labels[stamp], pixels_of(mask))
                np.testing.assert_array_equal(found[f'{camera}/image'][stamp], image)
        assert int(max(found[f'{camera}/frames/in'].items())[1][0]) >= 1
        names_of = {e['class_id'] for e in found[f'{camera}/labels'][-1][0]}
        assert names_of == {*range(11), 255}

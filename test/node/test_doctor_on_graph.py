"""`edgesegnet doctor` on a real graph: healthy with a costmap layer's parameters, and broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from array import array

import numpy as np
import yaml
from harness import ACTIVATE, CONFIGURE, image_message
from sensor_msgs.msg import Image, PointCloud2, PointField

from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.doctor.nav2_layer import PLUGIN

SMALL = {'input_size': '[64,64]'}


def cloud_like(image: Image) -> PointCloud2:
    """An organised cloud of the image's size, with its stamp."""
    cloud = PointCloud2(header=image.header, height=image.height, width=image.width)
    cloud.fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate('xyz')
    ]
    cloud.point_step, cloud.row_step = 12, 12 * image.width
    cloud.data = array('B', bytes(12 * image.width * image.height))
    return cloud


class Camera:
    """Publishes images and clouds in a thread until it is left."""

    def __init__(self, client) -> None:
        self._images = client.publisher(Image, 'image')
        self._clouds = client.publisher(PointCloud2, 'points', matched=False)
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        pixels = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
        stamp = 0
        while not self._left.wait(0.1):
            stamp += 1
            image = image_message(pixels, stamp=stamp)
            self._images.publish(image)
            self._clouds.publish(cloud_like(image))

    def __enter__(self) -> Camera:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._left.set()
        self._thread.join()


def doctor(client, tmp_path, *arguments):
    """Its exit status, output and findings."""
    report = tmp_path / 'doctor.json'
    ended = subprocess.run(
        [
            sys.executable,
            '-m',
            'edgesegnet_ros.cli',
            'doctor',
            '--node',
            f'{client.target.namespace}/edgesegnet',
            '--json',
            str(report),
            *arguments,
        ],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        timeout=120,
    )
    assert report.is_file(), ended.stderr
    return ended.returncode, ended.stdout, json.loads(report.read_text())['findings']


def test_a_healthy_graph_and_its_costmap_layer(launch, tmp_path):
    client = launch({**SMALL, 'unlabeled_below': '0.5'})
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    names = [entry.name for entry in load_classes('camvid11').classes]
    here = client.target.namespace
    layer = {
        'plugin': PLUGIN,
        'observation_sources': 'front',
        'front': {
            'segmentation_topic': f'{here}/segmentation/mask',
            'confidence_topic': f'{here}/segmentation/confidence',
            'labels_topic': f'{here}/segmentation/label_info',
            'pointcloud_topic': f'{here}/points',
            'class_types': ['all'],
            'all': {'classes': names},
        },
    }
    path = tmp_path / 'nav2.yaml'
    path.write_text(yaml.safe_dump({'costmap': {'ros__parameters': {'layer': layer}}}))
    with Camera(client):
        status, output, findings = doctor(client, tmp_path, '--nav2-params', str(path))
    assert status == 0, output
    said = {one['subject']: one['message'] for one in findings}
    assert '64x48 rgb8' in said[f'{here}/edgesegnet image topic']
    title = 'costmap.ros__parameters.layer.front'
    assert said[f'{title}.segmentation_topic'] == '64x48 mono8, as large as the point cloud'
    assert 'have the stamp of a point cloud' in said[f'{title} stamps']
    assert said[f'{title} classes'] == 'all 11 classes of the node have a cost'
    assert 'confidence is 0' in said[f'{title}.confidence_topic']
    assert not said[f'{title}.confidence_topic'].endswith('(0 masks compared)')


def test_a_node_that_was_never_configured_has_its_remedy(launch, tmp_path):
    client = launch(SMALL)
    status, output, _ = doctor(client, tmp_path)
    assert status == 1
    assert f'ros2 lifecycle set {client.target.namespace}/edgesegnet configure' in output
    assert 'nobody publishes' in output

"""The launch files as real processes: states, precedence of parameters, remaps, a replayed bag."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import unittest
from pathlib import Path

import pytest

pytest.importorskip(
    'launch_testing',
    reason='SKIPPED FOR WANT OF launch_testing: source a ROS 2 installation; test/node covers the '
    'same behaviour of the node',
)

import launch_testing.actions
import launch_testing.asserts
import numpy as np
import rclpy
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

# launch_test, unlike pytest, leaves this folder off the path.
sys.path.insert(0, os.path.dirname(__file__))

from small_inputs import HEIGHT, WIDTH, street_images, untrained_model  # noqa: E402

from edgesegnet_ros.data.classes import VOID  # noqa: E402
from edgesegnet_ros.data.sources import PERIOD_NS, START_NS  # noqa: E402
from edgesegnet_ros.demo.domain import free_domain, ros_environment  # noqa: E402

# Before the first participant: a domain of our own, whoever runs these tests.
os.environ.update(ros_environment(free_domain()))

LAUNCH = Path(__file__).resolve().parents[2] / 'launch'
TIMEOUT_S = 90.0
STREET_FRAMES = 5
PARAMETERS = """
/**:
  ros__parameters:
    model: {model}
    input_size: [64, 64]
    overlay_alpha: 0.25
    max_age_ms: 50.0
    autostart: false
"""


def launched(file: str, /, **arguments: str) -> GroupAction:
    """A launch file in a scope of its own, so that its arguments do not reach the next one."""
    source = PythonLaunchDescriptionSource(str(LAUNCH / f'{file}.launch.py'))
    return GroupAction(
        [IncludeLaunchDescription(source, launch_arguments=list(arguments.items()))]
    )


@pytest.mark.node
@pytest.mark.launch_test
def generate_test_description():
    folder = Path(tempfile.mkdtemp(prefix='edgesegnet_launch_'))
    street, labels = street_images(folder, STREET_FRAMES)
    file = folder / 'parameters.yaml'
    file.write_text(PARAMETERS.format(model=untrained_model(folder)))
    common = {'params_file': str(file), 'num_threads': '1'}
    return LaunchDescription(
        [
            launched(
                'edgesegnet',
                **common,
                namespace='bring_up',
                name='eyes',
                image='/front/image_raw',
                max_age_ms='200',
                groups='[drivable]',
            ),
            launched(
                'edgesegnet',
                **common,
                namespace='managed',
                autostart='false',
                image='/front/image_raw',
                camera_info='/rear/camera_info',
            ),
            launched('nav2', **common, namespace='nav2', segmentation_topic='/costmap/mask'),
            launched('isaac_ros', **common, namespace='isaac'),
            launched('cameras', **common, cameras='[left, right]', namespace='rig'),
            launched(
                'replay',
                **common,
                namespace='replay',
                max_age_ms='0',
                model='edgesegnet-camvid11',
                input_size='[256, 256]',
                engine='torch',
                precision='fp32',
                loop='true',
                bag=str(street),
                shutdown_at_end='false',
            ),
            launch_testing.actions.ReadyToTest(),
        ]
    ), {'labels': labels}


class TestRunning(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rclpy.init()
        cls.client = rclpy.create_node('launch_test_client')

    @classmethod
    def tearDownClass(cls):
        cls.client.destroy_node()
        rclpy.shutdown()

    def wait(self, condition, what: str):
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            self.assertLess(time.monotonic(), deadline, f'waited {TIMEOUT_S:g} s for {what}')
            rclpy.spin_once(self.client, timeout_sec=0.1)

    def call(self, type_, name: str, request):
        service = self.client.create_client(type_, name)
        self.wait(service.service_is_ready, name)
        future = service.call_async(request)
        self.wait(future.done, f'an answer of {name}')
        self.client.destroy_client(service)
        return future.result()

    def state(self, node: str) -> str:
        return self.call(GetState, f'{node}/get_state', GetState.Request()).current_state.label

    def parameters(self, node: str, *names: str) -> list:
        request = GetParameters.Request(names=names)
        answer = self.call(GetParameters, f'{node}/get_parameters', request)
        return [parameter_value_to_python(value) for value in answer.values]

    def topics(self, node: str, active: bool = True) -> tuple:
        """Topics that a node publishes, and those it subscribes to."""
        if active:
            self.wait(lambda: self.state(node) == 'active', f'{node} to be active')
        namespace, name = node.rsplit('/', 1)
        self.wait(
            lambda: (
                name
                in [
                    found
                    for found, where in self.client.get_node_names_and_namespaces()
                    if where == namespace
                ]
            ),
            f'{node} in the graph',
        )
        publishers = self.client.get_publisher_names_and_types_by_node(name, namespace)
        subscribers = self.client.get_subscriber_names_and_types_by_node(name, namespace)
        return {topic for topic, _ in publishers}, {topic for topic, _ in subscribers}

    def test_bring_up_is_active_in_its_namespace_with_its_name(self):
        out, into = self.topics('/bring_up/eyes')
        self.assertLessEqual({'/bring_up/segmentation/mask', '/diagnostics'}, out)
        self.assertEqual(
            {topic for topic in out if '/masks/' in topic},
            {'/bring_up/segmentation/masks/drivable'},
        )
        self.assertLessEqual({'/front/image_raw', '/front/camera_info'}, into)

    def test_command_line_wins_over_file_and_file_over_defaults(self):
        names = (
            'max_age_ms',
            'overlay_alpha',
            'max_rate_hz',
            'input_size',
            'num_threads',
            'groups',
            'autostart',
            'use_sim_time',
        )
        self.assertEqual(
            self.parameters('/bring_up/eyes', *names),
            [200.0, 0.25, 0.0, [64, 64], 1, ['drivable'], True, False],
        )

    def test_without_autostart_it_waits_for_its_manager(self):
        node = '/managed/edgesegnet'
        self.assertEqual(self.state(node), 'unconfigured')
        self.assertEqual(self.parameters(node, 'autostart', 'max_age_ms'), [False, 50.0])
        out, _ = self.topics(node, active=False)
        self.assertNotIn('/managed/segmentation/mask', out)

    def test_nav2_moves_the_mask_alone(self):
        out, _ = self.topics('/nav2/edgesegnet')
        self.assertLessEqual(
            {'/costmap/mask', '/nav2/segmentation/confidence', '/nav2/segmentation/label_info'},
            out,
        )
        self.assertNotIn('/nav2/segmentation/mask', out)
        self.assertEqual(self.parameters('/nav2/edgesegnet', 'output_resolution'), ['input'])

    def test_isaac_ros_finds_its_topics_resolution_and_qos(self):
        out, _ = self.topics('/isaac/edgesegnet')
        isaac = {'/isaac/unet/raw_segmentation_mask', '/isaac/unet/colored_segmentation_mask'}
        self.assertLessEqual(isaac, out)
        self.assertFalse({'/isaac/segmentation/mask', '/isaac/segmentation/color'} & out)
        qos = [
            f'qos_overrides.{topic}.publisher.{policy}'
            for topic in sorted(isaac)
            for policy in ('depth', 'reliability')
        ]
        self.assertEqual(
            self.parameters('/isaac/edgesegnet', 'output_resolution', *qos),
            ['network', 10, 'reliable', 10, 'reliable'],
        )

    def test_cameras_each_have_a_namespace_and_the_same_parameters(self):
        for camera in ('left', 'right'):
            out, into = self.topics(f'/rig/{camera}/edgesegnet')
            self.assertIn(f'/rig/{camera}/segmentation/mask', out)
            self.assertIn(f'/rig/{camera}/image', into)
            self.assertEqual(
                self.parameters(f'/rig/{camera}/edgesegnet', 'num_threads', 'max_age_ms'),
                [1, 50.0],
            )

    def test_a_replayed_bag_is_segmented_on_its_own_clock(self, labels):
        masks = []
        self.client.create_subscription(
            Image, '/replay/segmentation/mask', masks.append, qos_profile_sensor_data
        )
        self.wait(lambda: len(masks) > 2, 'three masks')
        for mask in masks:
            self.assertEqual(
                (mask.encoding, mask.width, mask.height, mask.step, mask.header.frame_id),
                ('mono8', WIDTH, HEIGHT, WIDTH, 'camera'),
            )
            stamp_ns = mask.header.stamp.sec * 10**9 + mask.header.stamp.nanosec
            number, rest = divmod(stamp_ns - START_NS, PERIOD_NS)
            self.assertEqual(rest, 0)
            # The bag is looped.
            truth = labels[number % STREET_FRAMES]
            values = np.frombuffer(mask.data, np.uint8).reshape(HEIGHT, WIDTH)
            right = (values == truth)[truth != VOID].mean()
            self.assertGreater(right, 0.75, f'frame {number}')
        self.assertEqual(self.parameters('/replay/edgesegnet', 'use_sim_time'), [True])


@launch_testing.post_shutdown_test()
class TestEnded(unittest.TestCase):
    def test_every_process_ended_with_status_0(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)

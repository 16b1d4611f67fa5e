"""Parameter files as people write them, and topics of another type: each gets one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image

from edgesegnet_ros.interface.parameter_table import PARAMETERS
from edgesegnet_ros.node import parameters
from edgesegnet_ros.node.parameter_files import ParameterFileError, check_files
from edgesegnet_ros.node.segmentation_node import SegmentationNode

HEAD = '/**:\n  ros__parameters:\n'


@pytest.fixture
def node(tmp_path):
    """Make the node in this process, with the lines of a parameter file."""
    made = []

    def make(text='    engine: torch\n'):
        file = tmp_path / 'parameters.yaml'
        file.write_text(HEAD + text)
        check_files(['--ros-args', '--params-file', str(file)])
        context = Context()
        rclpy.init(context=context, args=['--ros-args', '--params-file', str(file)])
        made.append(context)
        made.append(
            SegmentationNode(
                context=context, namespace=f'/files_{os.getpid()}', enable_rosout=False
            )
        )
        return made[-1]

    yield make
    for each in reversed(made):
        rclpy.try_shutdown(context=each) if isinstance(each, Context) else each.destroy_node()


@pytest.fixture
def camera():
    """Publish on the topic `image` of a node, seen by it when this returns."""
    context = Context()
    rclpy.init(context=context)
    other = Node('camera', context=context)

    def publish(kind, node):
        topic = node.resolve_topic_name('image')
        other.create_publisher(kind, topic, 1)
        deadline = time.monotonic() + 60
        while not node.count_publishers(topic):
            assert time.monotonic() < deadline
            threading.Event().wait(0.02)

    yield publish
    other.destroy_node()
    rclpy.try_shutdown(context=context)


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('edgesegnet:\n  parameters:\n    engine: torch\n', "'edgesegnet' there is no `ros__par"),
        ('engine: torch\n', "under 'engine' there is no `ros__parameters`"),
        (HEAD + '\tengine: torch\n', r'yaml:3: .* this line has a tab'),
        (HEAD + '    engine: [torch\n', r'yaml:4: '),
        ('- engine\n', 'not a mapping'),
        (None, r'cannot be read \(No such file'),
    ],
    ids=['root', 'flat', 'tab', 'bracket', 'list', 'missing'],
)
def test_an_invalid_parameter_file_is_refused(tmp_path, text, sentence):
    file = tmp_path / 'a.yaml'
    if text is not None:
        file.write_text(text)
    with pytest.raises(ParameterFileError, match=sentence):
        check_files(['x', '--ros-args', '--params-file', str(file)])


def test_the_node_ends_with_a_sentence_and_status_2(tmp_path):
    command = [sys.executable, '-m', 'edgesegnet_ros.node.segmentation_node', '--ros-args']
    done = subprocess.run(
        [*command, '--params-file', str(tmp_path / 'none.yaml')], capture_output=True, text=True
    )
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert 'none.yaml: cannot be read (No such file' in done.stderr


def test_files_of_several_nodes_and_namespaces_are_fine(tmp_path):
    file = tmp_path / 'a.yaml'
    file.write_text('/front:\n  edgesegnet:\n    ros__parameters:\n      engine: torch\n' + HEAD)
    check_files(['--params-file', str(file)])


def test_an_empty_list_is_no_group(node):
    assert list(node('    groups: []\n').get_parameter('groups').value) == ['']
    made = node('    groups: [vehicles]\n    group.vehicles.classes: []\n')
    assert list(made.get_parameter('group.vehicles.classes').value) == ['']


def test_an_integer_for_a_float_is_refused_with_the_correct_spelling(node):
    with pytest.raises(parameters.NodeParameterError, match=r'max_rate_hz = 10 .* write 10\.0'):
        node('    max_rate_hz: 10\n')


def test_a_misspelt_parameter_is_named_with_the_nearest(node):
    made = node('    presision: fp32\n    robot_radius: 3\n    group.x.classes: [car]\n')
    [sentence] = parameters.misspelt(made)
    assert "'presision'" in sentence and "did you mean 'precision'" in sentence


def test_setting_a_parameter_to_its_value_succeeds(node):
    made = node()
    for each in PARAMETERS:
        same = Parameter(each.name, value=made.get_parameter(each.name).value)
        assert parameters.objection(made, same, configured=True) is None
    other = Parameter('engine', value='openvino')
    assert 'cannot change' in (parameters.objection(made, other, configured=True) or '')


def test_a_topic_of_another_type_names_the_argument_that_mends_it(node, camera):
    made = node()
    made._camera.open()
    assert made._camera.mismatch() == ''
    camera(CompressedImage, made)
    told = made._camera.mismatch()
    assert 'CompressedImage, not sensor_msgs/msg/Image' in told
    assert 'set the parameter image_transport to compressed' in told
    made._camera.close()
    assert made._camera.mismatch() == ''


def test_the_compressed_topic_may_be_named_itself(node, camera):
    made = node('    image_transport: compressed\n')
    base = made.resolve_topic_name('image')
    made._camera.open()
    assert made._camera.topic == base + '/compressed'
    camera(Image, made)
    assert 'image_transport to raw' in made._camera.mismatch()
    made._camera.close()
    made.resolve_topic_name = lambda name, only_expand=False: base + '/compressed'
    made._camera.open()
    assert made._camera.topic == base + '/compressed'


def test_a_file_as_launch_ros_writes_it_is_read(node):
    made = node('    input_size: !!python/tuple\n    - 128\n    - 256\n')
    assert list(made.get_parameter('input_size').value) == [128, 256]

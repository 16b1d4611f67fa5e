"""Launch files, parameter file and RViz view agree with the node, whether or not launch is here.

What needs the packages launch and launch_ros is skipped where they are missing; test/launch/ runs
the launch files for real.
"""

from __future__ import annotations

import ast
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml

from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.interface.parameter_table import BY_NAME, PARAMETERS

ROOT = Path(__file__).resolve().parents[1]
LAUNCH_FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
OUTPUTS = {'mask', 'confidence', 'label_info', 'overlay', 'color', 'class_masks', 'camera_info'}
wants_launch = pytest.mark.skipif(
    not find_spec('launch_ros'),
    reason='SKIPPED FOR WANT OF ROS 2 LAUNCH: source a ROS 2 installation',
)


def described(path: Path):
    spec = spec_from_file_location(path.name.replace('.', '_'), path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arguments(path: Path) -> dict:
    return {
        argument.name: argument
        for argument in described(path).generate_launch_description().get_launch_arguments()
    }


def test_the_launch_files_are_those_of_the_readme():
    assert [path.name for path in LAUNCH_FILES] == [
        'edgesegnet.launch.py',
        'edgesegnet_rviz.launch.py',
        'isaac_ros.launch.py',
        'nav2.launch.py',
        'replay.launch.py',
    ]


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_a_launch_file_compiles_and_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(), feature_version=(3, 8)))


def test_the_parameter_file_holds_every_parameter_with_its_default():
    content = yaml.safe_load((ROOT / 'config/edgesegnet.yaml').read_text())
    values = content['/**']['ros__parameters']
    assert values == {parameter.name: parameter.default for parameter in PARAMETERS}
    assert {name: type(value) for name, value in values.items()} == {
        parameter.name: type(parameter.default) for parameter in PARAMETERS
    }, 'ROS refuses 0 for a parameter that is 0.0'


def test_rviz_shows_image_overlay_and_masks_with_topics_that_follow_the_namespace():
    view = yaml.safe_load((ROOT / 'rviz/edgesegnet.rviz').read_text())
    displays = view['Visualization Manager']['Displays']
    topics = {display['Topic']['Value']: display for display in displays}
    assert {display['Class'] for display in displays} == {'rviz_default_plugins/Image'}
    assert len(topics) == len(displays)
    assert len({display['Name'] for display in displays}) == len(displays)
    assert topics['image']['Topic']['Reliability Policy'] == 'Best Effort', 'matches every camera'
    shown = {topic for topic, display in topics.items() if display['Enabled']}
    assert {'image', 'segmentation/overlay', 'segmentation/masks/drivable'} <= shown
    groups = {f'masks/{group}' for group in load_classes('camvid11').groups}
    for topic in topics.keys() - {'image'}:
        assert topic.startswith('segmentation/'), 'relative'
        assert topic.split('/', 1)[1] in OUTPUTS | groups
    assert {topic.split('/', 1)[1] for topic in topics if '/masks/' in topic} == groups


def test_the_costmap_layer_knows_every_class_but_the_sky_and_no_other():
    content = yaml.safe_load((ROOT / 'config/nav2_costmap.yaml').read_text())
    costmap = content['local_costmap']['local_costmap']['ros__parameters']
    layer = costmap['semantic_segmentation_layer']
    camera = layer[layer['observation_sources']]
    named = [name for kind in camera['class_types'] for name in camera[kind]['classes']]
    known = [entry.name for entry in load_classes('camvid11').classes]
    assert sorted([*named, 'sky']) == sorted(known)
    assert camera['drivable']['max_cost'] == 0 and camera['lethal']['max_cost'] == 254
    for argument, output in (
        ('segmentation_topic', 'mask'),
        ('confidence_topic', 'confidence'),
        ('labels_topic', 'label_info'),
    ):
        assert camera[argument] == f'/segmentation/{output}'


@wants_launch
@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_every_parameter_is_a_described_argument(path):
    given = arguments(path)
    for parameter in PARAMETERS:
        assert given[parameter.name].description.startswith(parameter.description)
    for name in ('namespace', 'name', 'image', 'camera_info', 'params_file', 'use_sim_time'):
        assert len(given[name].description) > 10


@wants_launch
@pytest.mark.parametrize(
    ('name', 'text', 'value'),
    [
        ('num_threads', '4', 4),
        ('max_age_ms', '200', 200.0),
        ('lazy', 'False', False),
        ('input_size', '[128, 256]', [128, 256]),
        ('groups', '[drivable]', ['drivable']),
        ('groups', '[]', ['']),
    ],
)
def test_a_given_argument_has_the_type_of_its_parameter(name, text, value):
    got = described(LAUNCH_FILES[0]).parameter_value(BY_NAME[name], text)
    assert got == value and type(got) is type(value)


@wants_launch
@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('num_threads', '2.5', 'num_threads:=2.5 is refused: it takes a whole number'),
        ('lazy', '1', 'lazy:=1 is refused: it takes true or false'),
        ('overlay_alpha', '7', 'overlay_alpha = 7.0 is refused: from 0 to 1'),
        ('input_size', '100', 'input_size:=100 is refused: it takes a list'),
        ('input_size', '[100, 100]', 'two multiples of 16'),
        ('groups', '[drivable', 'groups:=[drivable is refused: it takes a list'),
    ],
)
def test_a_wrong_argument_is_refused_with_what_is_allowed(name, text, message):
    with pytest.raises(ValueError) as refusal:
        described(LAUNCH_FILES[0]).parameter_value(BY_NAME[name], text)
    assert message in str(refusal.value)

"""Launch files, parameter file and RViz view agree with the node, whether or not launch is here.

What needs the packages launch and launch_ros is skipped where they are missing; test/launch/ runs
the launch files for real.
"""

from __future__ import annotations

import ast
import json
import re
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml

from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.interface import diagnostic_keys
from edgesegnet_ros.interface.parameter_table import BY_NAME, PARAMETERS

ROOT = Path(__file__).resolve().parents[1]
LAUNCH_FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
BRING_UP = ROOT / 'launch/edgesegnet.launch.py'
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
        'cameras.launch.py',
        'edgesegnet.launch.py',
        'edgesegnet_rviz.launch.py',
        'isaac_ros.launch.py',
        'nav2.launch.py',
        'replay.launch.py',
    ]


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_a_launch_file_compiles_and_has_a_description(path):
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


def leaves(layout) -> list:
    """Names of the panels of a Foxglove layout."""
    if isinstance(layout, str):
        return [layout]
    return leaves(layout['first']) + leaves(layout['second'])


PANELS = {
    'Image': (
        {'sensor_msgs/msg/Image'},
        {'cameraState', 'followMode', 'scene', 'transforms', 'topics', 'layers', 'publish'}
        | {'imageMode'},
        lambda config: [config['imageMode']['imageTopic']],
    ),
    'RawMessages': (
        {'vision_msgs/msg/LabelInfo', 'diagnostic_msgs/msg/DiagnosticArray'},
        {'topicPath', 'diffEnabled', 'diffMethod', 'diffTopicPath', 'showFullMessageForDiff'}
        | {'expansion'},
        lambda config: [config['topicPath'].partition('.')[0]],
    ),
    'Plot': (
        {'edgesegnet_ros/msg/ClassMasks'},
        {'paths', 'minYValue', 'maxYValue', 'showXAxisLabels', 'showYAxisLabels', 'showLegend'}
        | {'legendDisplay', 'showPlotValuesInLegend', 'xAxisVal', 'isSynced', 'sidebarDimension'},
        lambda config: [path['value'].partition('.')[0] for path in config['paths']],
    ),
    'DiagnosticSummary': (
        {'diagnostic_msgs/msg/DiagnosticArray'},
        {'topicToRender', 'minLevel', 'pinnedIds', 'hardwareIdFilter', 'sortByLevel'},
        lambda config: [config['topicToRender']],
    ),
}
"""Kind of a Foxglove panel -> types of its messages, keys of its configuration, and its topics.

Kinds and keys are those of Lichtblick's panels, which come from Foxglove Studio: docs/viewing.md.
"""


def test_foxglove_shows_the_topics_of_the_node_with_panels_of_their_types():
    layout = json.loads((ROOT / 'config/foxglove.json').read_text())
    assert sorted(leaves(layout['layout'])) == sorted(layout['configById'])
    types = documented_types()
    shown = set()
    for name, config in layout['configById'].items():
        expected, keys, topics = PANELS[name.partition('!')[0]]
        assert set(config) <= keys | {'foxglovePanelTitle'}, name
        for topic in topics(config):
            shown.add(topic)
            assert types[re.sub('/masks/.*', '/masks/<group>', topic)] in expected, name
    assert {'/image', '/segmentation/overlay', '/segmentation/confidence'} <= shown
    status = layout['configById']['RawMessages!node']['topicPath']
    assert f'{{name=="edgesegnet{diagnostic_keys.STATUS_SUFFIX}"}}' in status


def documented_types() -> dict[str, str]:
    """Topic -> type, from the table of docs/node.md."""
    rows = re.findall(
        r'^\| (?:in|out) \| `([^`]+)` \| (\w+)/(\w+)',
        (ROOT / 'docs/node.md').read_text(),
        re.MULTILINE,
    )
    return {
        topic if topic.startswith('/') else f'/{topic}': f'{package}/msg/{name}'
        for topic, package, name in rows
    }


def test_the_documented_types_are_those_that_the_node_publishes():
    pytest.importorskip('rclpy')
    from edgesegnet_ros.node.outputs import _TYPES

    told = documented_types()
    for name, type_ in _TYPES.items():
        package = type_.__module__.partition('.')[0]
        assert told[f'/segmentation/{name}'] == f'{package}/msg/{type_.__name__}'


@wants_launch
def test_rviz_shows_the_groups_of_any_class_file():
    rviz = described(ROOT / 'launch/edgesegnet_rviz.launch.py')
    config = yaml.safe_load((ROOT / 'rviz/edgesegnet.rviz').read_text())
    before = len(config['Visualization Manager']['Displays'])
    groups = ['soil', 'row_crop']
    displays = rviz.with_groups(config, groups)['Visualization Manager']['Displays']
    masks = [d for d in displays if '/masks/' in d['Topic']['Value']]
    assert [d['Topic']['Value'] for d in masks] == [f'segmentation/masks/{g}' for g in groups]
    assert [d['Name'] for d in masks] == ['Soil', 'Row crop']
    assert [d['Enabled'] for d in masks] == [True, False]
    assert len(displays) == before - len(load_classes('camvid11').groups) + len(groups)


LAYER = {'plugin', 'enabled', 'combination_method', 'observation_sources'}
SOURCE = {
    *('segmentation_topic', 'confidence_topic', 'labels_topic', 'pointcloud_topic'),
    *('observation_persistence', 'expected_update_rate', 'class_types', 'max_obstacle_distance'),
    *('min_obstacle_distance', 'tile_map_decay_time', 'visualize_tile_map', 'use_cost_selection'),
}
CLASS_TYPE = {
    *('classes', 'base_cost', 'max_cost', 'mark_confidence', 'samples_to_max_cost'),
    'dominant_priority',
}
"""What semantic_segmentation_layer declares on its branches humble, jazzy and rolling."""


@pytest.mark.parametrize(
    ('file', 'cameras'), [('nav2_costmap', ['']), ('nav2_two_cameras', ['/front', '/rear'])]
)
def test_the_costmap_example_has_the_parameters_that_the_layer_declares(file, cameras):
    content = yaml.safe_load((ROOT / f'config/{file}.yaml').read_text())
    costmap = content['local_costmap']['local_costmap']['ros__parameters']
    assert all('plugin' in costmap[name] for name in costmap['plugins'])
    layer = costmap['semantic_segmentation_layer']
    sources = layer['observation_sources'].split()
    assert set(layer) - LAYER == set(sources) and len(sources) == len(cameras)
    known = [entry.name for entry in load_classes('camvid11').classes]
    for source, camera in zip(sources, cameras, strict=True):
        settings = layer[source]
        assert set(settings) - SOURCE == set(settings['class_types'])
        named = []
        for kind in settings['class_types']:
            values = settings[kind]
            assert set(values) == CLASS_TYPE
            # Unknown classes cost 0 and must lose; 255 is no information, not a cost.
            assert 0 <= values['base_cost'] <= values['max_cost'] and 0 < values['max_cost'] < 255
            named += values['classes']
        # What may overhang a road, or is none of the ground, is left to layers that know height.
        assert sorted([*named, 'sky', 'tree', 'sign', 'pole']) == sorted(known)
        for argument, output in (
            ('segmentation_topic', 'mask'),
            ('confidence_topic', 'confidence'),
            ('labels_topic', 'label_info'),
        ):
            assert settings[argument] == f'{camera}/segmentation/{output}'
    manager = content['lifecycle_manager_segmentation']['ros__parameters']
    assert manager['bond_timeout'] == 0.0
    assert manager['node_names'] == [f'{camera}/edgesegnet'.lstrip('/') for camera in cameras]


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
    got = described(BRING_UP).parameter_value(BY_NAME[name], text)
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
def test_a_wrong_argument_is_refused_with_the_allowed_values(name, text, message):
    with pytest.raises(ValueError) as refusal:
        described(BRING_UP).parameter_value(BY_NAME[name], text)
    assert message in str(refusal.value)

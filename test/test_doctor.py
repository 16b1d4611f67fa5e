"""What the doctor concludes from a graph, a costmap layer, the machine and the installation."""

from __future__ import annotations

import copy
import json

import pytest
import yaml

from edgesegnet_ros import cli
from edgesegnet_ros.data import jpeg
from edgesegnet_ros.doctor import graph, installation, machine, nav2_layer
from edgesegnet_ros.doctor.finding import ERROR, OK, WARNING, worst
from edgesegnet_ros.engines.request import EngineRequest

NODE, CAMERA = '/edgesegnet', '/camera'
STAMPS = ['5.000000000', '6.000000000']


def endpoint(node, type_='sensor_msgs/msg/Image', **qos):
    return {
        'node': node,
        'type': type_,
        **{'reliability': 'reliable', 'durability': 'volatile', **qos},
    }


def healthy():
    """A node that segments, and a depth camera."""
    size = {'height': 48, 'width': 64, 'received': 2, 'stamps': STAMPS, 'last_s_ago': 0.1}
    mono = {**size, 'step': 64, 'encoding': 'mono8', 'bytes': 48 * 64, 'compared': [1, 0]}
    return {
        'nodes': [CAMERA, NODE],
        'doubled': [],
        'topics': {},
        'statuses': {
            NODE: {
                'level': 0,
                'message': 'segmenting at 5.0 Hz',
                'values': {'image_topic': '/image', 'rate_in_hz': '5.00', 'engine': 'torch'},
            }
        },
        'answers': {NODE: {'state': 'active', 'parameters': {'image_transport': 'raw'}}},
        'published': {NODE: {'/segmentation/mask': ['sensor_msgs/msg/Image']}},
        'endpoints': {
            '/image': {
                'publishers': [endpoint(CAMERA, reliability='best_effort')],
                'subscribers': [endpoint(NODE, reliability='best_effort')],
            },
            '/segmentation/label_info': {
                'publishers': [
                    endpoint(NODE, 'vision_msgs/msg/LabelInfo', durability='transient_local')
                ],
                'subscribers': [],
            },
        },
        'samples': {
            '/image': {**size, 'kind': 'image', 'encoding': 'rgb8'},
            '/segmentation/mask': {**mono, 'kind': 'mask'},
            '/segmentation/confidence': {**mono, 'kind': 'confidence'},
            '/segmentation/label_info': {
                'kind': 'labels',
                'received': 1,
                'stamps': STAMPS[:1],
                'classes': {'road': 0, 'car': 1},
            },
            '/points': {**size, 'kind': 'cloud'},
        },
    }


LAYER = {
    'plugin': nav2_layer.PLUGIN,
    'observation_sources': 'front',
    'front': {
        'segmentation_topic': '/segmentation/mask',
        'confidence_topic': '/segmentation/confidence',
        'labels_topic': '/segmentation/label_info',
        'pointcloud_topic': '/points',
        'class_types': ['free', 'lethal'],
        'free': {'classes': ['road']},
        'lethal': {'classes': ['car']},
    },
}


def nav2_file(tmp_path, layer):
    path = tmp_path / 'nav2.yaml'
    path.write_text(
        yaml.safe_dump({'local_costmap': {'local_costmap': {'ros__parameters': {'seg': layer}}}})
    )
    return path


def texts(found, level):
    return [f'{one.subject}: {one.message} -> {one.remedy}' for one in found if one.level == level]


def test_a_healthy_graph_has_only_good_findings():
    found = list(graph.findings(healthy()))
    assert worst(found) == OK
    assert any('2 masks on /segmentation/mask' in one.message for one in found)


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        (lambda d: d['statuses'].clear(), 'no segmentation node reports'),
        (lambda d: d['answers'][NODE].pop('state'), 'does not answer get_state'),
        (
            lambda d: d['answers'][NODE].update(state='inactive'),
            'ros2 lifecycle set /edgesegnet activate',
        ),
        (lambda d: d['endpoints']['/image']['publishers'].clear(), 'nobody publishes /image'),
        (
            lambda d: d['endpoints']['/image']['publishers'].__setitem__(
                0, endpoint(CAMERA, 'sensor_msgs/msg/CompressedImage')
            ),
            'image_transport:=compressed image:=/image',
        ),
        (
            lambda d: d['endpoints']['/image']['subscribers'][0].update(reliability='reliable'),
            'offers reliability best_effort, but the node requests reliable',
        ),
        (lambda d: d['samples']['/segmentation/mask'].update(received=0), 'no mask arrived'),
        (lambda d: d['statuses'][NODE].update(level=2, message='the engine failed'), 'failed'),
        (lambda d: d['doubled'].append(NODE), 'two nodes have this name'),
    ],
)
def test_each_fault_of_a_graph_is_an_error_with_its_remedy(change, expected):
    document = healthy()
    change(document)
    errors = texts(graph.findings(document), ERROR)
    assert [text for text in errors if expected in text], errors


def test_another_topic_that_is_published_is_named_as_the_remedy():
    document = healthy()
    document['endpoints']['/front/image_raw'] = document['endpoints'].pop('/image')
    assert [
        text
        for text in texts(graph.findings(document), ERROR)
        if 'image:=/front/image_raw' in text
    ]


def test_images_without_a_stamp_are_a_warning():
    document = healthy()
    document['samples']['/image']['stamps'] = ['0.000000000']
    assert any('no stamp' in text for text in texts(graph.findings(document), WARNING))


def test_a_layer_that_fits_has_only_good_findings(tmp_path):
    (source,) = nav2_layer.read_sources(nav2_file(tmp_path, LAYER))
    assert worst(nav2_layer.findings(healthy(), [source])) == OK
    assert ('mask', '/segmentation/mask') in source.watched()


@pytest.mark.parametrize(
    ('change_graph', 'change_layer', 'level', 'expected'),
    [
        (lambda d: d['samples']['/points'].update(width=32), None, ERROR, 'point cloud 32x48'),
        (
            lambda d: d['samples']['/segmentation/mask'].update(encoding='rgb8'),
            None,
            ERROR,
            'encoding is rgb8',
        ),
        (
            lambda d: d['samples']['/segmentation/mask'].update(compared=[1, 3]),
            None,
            ERROR,
            '3 pixels are unlabelled',
        ),
        (
            lambda d: d['samples']['/segmentation/label_info'].update(received=0),
            None,
            ERROR,
            'no LabelInfo arrived',
        ),
        (
            lambda d: d['endpoints']['/segmentation/label_info']['publishers'][0].update(
                durability='volatile'
            ),
            None,
            ERROR,
            'not latched',
        ),
        (
            lambda d: d['samples']['/points'].update(stamps=['9.0']),
            None,
            WARNING,
            'no mask has the stamp of a point cloud',
        ),
        (None, lambda s: s['free'].update(classes=['rode']), ERROR, 'rode are not classes'),
        (None, lambda s: s['free'].update(classes=[]), WARNING, 'classes: [road]'),
        (None, lambda s: s.update(segmentation_topic='mask'), ERROR, 'is relative'),
        (None, lambda s: s.pop('pointcloud_topic'), ERROR, 'pointcloud_topic: /camera/depth'),
    ],
)
def test_each_breach_of_the_layers_contract_is_named(
    tmp_path, change_graph, change_layer, level, expected
):
    document, layer = healthy(), copy.deepcopy(LAYER)
    if change_graph:
        change_graph(document)
    if change_layer:
        change_layer(layer['front'])
    found = list(
        nav2_layer.findings(document, nav2_layer.read_sources(nav2_file(tmp_path, layer)))
    )
    assert [text for text in texts(found, level) if expected in text], found


def test_parameter_files_that_cannot_be_used_are_usage_errors(tmp_path, capsys):
    (tmp_path / 'bad.yaml').write_text('a: [')
    (tmp_path / 'none.yaml').write_text('local_costmap: {}')
    for name, expected in (
        ('missing.yaml', 'cannot be read'),
        ('bad.yaml', 'not valid YAML'),
        ('none.yaml', 'no costmap in it has a plugin of type'),
    ):
        assert cli.main(['doctor', '--nav2-params', str(tmp_path / name)]) == 2
        assert expected in capsys.readouterr().err


def test_the_network_is_open_unless_it_is_closed():
    pytest.importorskip('rclpy', reason='SKIPPED FOR WANT OF ROS 2')

    def of(**environment):
        return [one for one in machine.findings(environment) if one.subject == 'network']

    assert [one.level for one in of()] == [WARNING]
    assert [one.level for one in of(ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')] == [OK]
    assert [one.level for one in of(ROS_SECURITY_ENABLE='true')] == [OK]


def test_profiles_that_do_not_exist_are_an_error(tmp_path):
    named = {'FASTDDS_DEFAULT_PROFILES_FILE': str(tmp_path / 'none.xml')}
    assert any('is not a file' in text for text in texts(machine.findings(named), ERROR))


def test_missing_and_foreign_files_of_an_installation_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(jpeg, 'is_there', lambda module: False)
    request = EngineRequest(model=str(tmp_path / 'none.safetensors'), engine_cache=str(tmp_path))
    (tmp_path / 'torch-fp32.json').write_text('[]')
    tmp_path.chmod(0o777)
    found = list(installation.findings(request))
    assert any('no such weights file' in text for text in texts(found, ERROR))
    warnings = texts(found, WARNING)
    assert any('written by other users' in text for text in warnings), warnings
    assert any('torch-fp32 has no usable record' in text for text in warnings), warnings
    assert any('pip install simplejpeg' in text for text in warnings), warnings


def test_the_command_reports_whether_the_node_can_work(tmp_path, capsys):
    pytest.importorskip('rclpy', reason='SKIPPED FOR WANT OF ROS 2')
    report = tmp_path / 'doctor.json'
    assert cli.main(['doctor', '--no-graph', '--json', str(report)]) == 0
    assert 'the node' in capsys.readouterr().out.lower()
    levels = {one['level'] for one in json.loads(report.read_text())['findings']}
    assert ERROR not in levels
    assert cli.main(['doctor', '--no-graph', '--model', 'none.safetensors']) == 1

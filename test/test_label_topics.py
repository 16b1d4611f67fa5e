"""A topic is ground truth by its content, and labels of other classes are refused."""

import argparse

import numpy as np
import pytest
from replay_bags import IMAGE, kinds, message, picture, replay, write

from edgesegnet_ros.data.bag import BagError, MessageBag, find_cameras
from edgesegnet_ros.data.bag.topic_reader import LABEL_INFO, LABEL_INFO_TEXT
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.evaluation import figure2

CAMVID11 = load_classes('camvid11')


def labels_at(topic, values, encoding='mono8', size=(48, 64)):
    """Two images, and beside them a topic whose name says labels."""
    pixels = np.resize(np.array(values, np.uint8), size)
    if encoding == 'rgb8':
        pixels = np.dstack([pixels] * 3)
    out = []
    for n in (1, 2):
        out.append(('/camera/image', IMAGE, n, message(n, picture(n))))
        out.append((topic, IMAGE, n, message(n, pixels, encoding)))
    return out


@pytest.mark.parametrize(
    ('messages', 'taken', 'note'),
    [
        (labels_at('/camera/labels', [0, 10, 11, 255]), '/camera/labels', ''),
        (labels_at('/gt/annot', [3]), '/gt/annot', ''),
        (labels_at('/unet/colored_segmentation_mask', [1], 'rgb8'), '', "encoding 'rgb8'; label"),
        (labels_at('/net/class_mask', [1], size=(23, 30)), '', '30x23, but the images are 64x48'),
        (labels_at('/camera/mask', [0, 200]), '', 'holds the values 200; camvid11 has'),
        (labels_at('/net/overlay', [1], 'rgb8'), '', 'an output of a segmentation node'),
    ],
    ids=['labels', 'elsewhere', 'colours', 'small', 'binary-mask', 'overlay'],
)
def test_a_topic_is_ground_truth_by_its_content(tmp_path, messages, taken, note):
    found = find_cameras(write(tmp_path / 'bag', messages), classes=CAMVID11)
    [camera] = found.cameras
    assert (camera.image_topic, camera.label_topic) == ('/camera/image', taken)
    assert note in ' '.join(found.notes) and bool(note) == bool(found.notes)


def test_labels_found_by_name_that_do_not_fit_are_noted(tmp_path, capsys):
    bag = write(tmp_path / 'bag', labels_at('/unet/colored_segmentation_mask', [1], 'rgb8'))
    result = replay(bag, out=tmp_path / 'out')
    assert result['frames_out'] == 2 and result['labels_from'] is None
    assert not result['problems'] and 'not taken as ground truth' in ' '.join(result['notes'])
    bag = write(tmp_path / 'fits', labels_at('/camera/labels', [1]))
    assert replay(bag, out=tmp_path / 'out2')['labels_from'] == '/camera/labels'
    assert 'against /camera/labels' in capsys.readouterr().out


def test_labels_of_another_size_are_used_if_named(tmp_path):
    bag = write(tmp_path / 'bag', labels_at('/net/class_mask', [1], size=(24, 32)))
    result = replay(bag, '--labels', '/net/class_mask', out=tmp_path / 'out')
    assert result['frames_scored'] == 2 and kinds(result) == ['labels_size']
    assert '32x24, the image is 64x48' in result['problems'][0]['what']


@pytest.mark.parametrize('four_classes', [True, False])
def test_labels_of_other_classes_are_not_scored(tmp_path, four_classes):
    image, labels = Street(7, (96, 128)).frame(20)[:2]
    if four_classes:  # ground, sky, obstacle, other: ids that camvid11 has, too
        table = np.full(256, 3, np.uint8)
        table[[CAMVID11.ids([name])[0] for name in ('road', 'sky', 'building')]] = 0, 1, 2
        table[255] = 255
        labels = table[labels]
    bag = write(
        tmp_path / 'bag',
        [
            ('/camera/image', IMAGE, 1, message(1, image)),
            ('/camera/labels', IMAGE, 1, message(1, labels, 'mono8')),
        ],
    )
    result = replay(bag, '--input-size', '96x128', out=tmp_path / 'out', status=int(four_classes))
    assert kinds(result) == (['labels_disagree'] if four_classes else [])
    assert (result['pixel_accuracy'] < 0.1) == four_classes


def with_label_info(path, names):
    with MessageBag(path, definitions={LABEL_INFO: LABEL_INFO_TEXT}) as bag:
        kind = bag.types['vision_msgs/msg/VisionClass']
        entries = [kind(class_id=n, class_name=name) for n, name in enumerate(names)]
        info = bag.types[LABEL_INFO](bag.header(1, 'x'), entries, 0.0)
        bag.send('/camera/label_info', LABEL_INFO, 1, info)
        for topic, kind, stamp, body in labels_at('/camera/labels', [0, 1]):
            bag.send(topic, kind, stamp, body)
    return path


def test_the_label_info_of_a_bag_is_compared_with_the_model(tmp_path):
    names = [entry.name for entry in CAMVID11.classes]
    same = with_label_info(tmp_path / 'same', [*names, 'void'])
    assert find_cameras(same, classes=CAMVID11).cameras[0].label_topic == '/camera/labels'
    other = with_label_info(tmp_path / 'other', ['floor', 'wall', 'shelf', 'person'])
    found = find_cameras(other, classes=CAMVID11)
    assert found.cameras[0].label_topic == ''
    assert "says that 0 is 'floor', which is" in found.notes[0]
    with pytest.raises(BagError, match="cannot be ground truth: .* 0 is 'floor'"):
        find_cameras(other, labels='/camera/labels', classes=CAMVID11)


def test_label_values_without_a_class_are_refused(tmp_path):
    messages = labels_at('/camera/labels', [0, 1])
    foreign = np.full((48, 64), 77, np.uint8)
    messages[-1] = ('/camera/labels', IMAGE, 2, message(2, foreign, 'mono8'))
    result = replay(write(tmp_path / 'bag', messages), out=tmp_path / 'out', status=1)
    assert result['frames_scored'] == 1 and kinds(result) == ['bad_labels']
    assert '[77], which are not class ids' in result['problems'][0]['what']


def test_a_street_is_not_scored_with_other_classes(tmp_path):
    four = tmp_path / 'four.yaml'
    four.write_text(
        'name: four\nclasses:\n'
        + ''.join(f'- {{id: {n}, name: c{n}, color: [{n}, 0, 0]}}\n' for n in range(4))
    )
    parser = argparse.ArgumentParser()
    figure2.add_arguments(parser)
    with pytest.raises(EngineError, match='class file four has 4 classes'):
        figure2.run(parser.parse_args(['--classes', str(four)]))

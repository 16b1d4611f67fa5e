"""What is seen best from inside: groups and their rule, QoS that does not fit, lost images."""

from __future__ import annotations

import numpy as np
import rclpy
import torch
from edgesegnet_ros.msg import ClassMasks
from harness import image_message, pixels_of
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from edgesegnet_ros.data import jpeg
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.masks import group_mask, groups_with_rules
from edgesegnet_ros.engines import open_engine
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo, save_weights
from edgesegnet_ros.node.stamps import LostFrames

NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def test_rules_say_on_which_side_of_a_group_uncertain_pixels_fall(in_process):
    node = in_process(groups="['drivable', 'dynamic']").active()
    received: dict[str, list] = {}

    def listen(topic: str, type_: type) -> None:
        messages = received.setdefault(topic, [])
        name = f'{node.node.get_namespace()}/segmentation/{topic}'
        node.do(node.node.create_subscription, type_, name, messages.append, 10)
        node.wait(lambda: topic in node.node._outputs.wanted(), f'the subscription to {topic}')

    for topic in ('mask', 'masks/drivable', 'masks/dynamic'):
        listen(topic, Image)
    listen('class_masks', ClassMasks)
    assert 'outside, inside' in node.set('group.dynamic.unlabeled', 'sideways')
    for value in (1.5, 1, 'high'):
        for group in ('dynamic', 'not_declared'):
            assert node.set(f'group.{group}.min_confidence', value) != ''
    assert node.set('unlabeled_below', 0.35) == ''
    rounds = [
        {'drivable': ('outside', 0.0), 'dynamic': ('inside', 0.0)},
        {'drivable': ('inside', 0.5), 'dynamic': ('outside', 0.4)},
        {'drivable': ('outside', 0.45), 'dynamic': ('inside', 0.6)},
    ]
    found = []
    for number, rules in enumerate(rounds):
        for group, (side, threshold) in rules.items():
            assert node.set(f'group.{group}.unlabeled', side) == ''
            assert node.set(f'group.{group}.min_confidence', threshold) == ''
        node.send(image_message(NOISE, stamp=number + 1))
        node.wait(lambda n=number: all(len(m) > n for m in received.values()), 'all outputs')
        found.append({topic: messages[-1] for topic, messages in received.items()})
    # Until here nobody has asked for the confidence.
    listen('confidence', Image)
    node.send(image_message(NOISE, stamp=9))
    node.wait(lambda: received['confidence'], 'the confidence')
    labels = pixels_of(received['mask'][-1])
    confidence = pixels_of(received['confidence'][-1]) / 255.0
    classes = load_classes('camvid11').groups
    for rules, outputs in zip(rounds, found, strict=True):
        assert np.array_equal(pixels_of(outputs['mask']), labels), 'a group changes no label'
        together = {one.name: one for one in outputs['class_masks'].masks}
        for group, (side, threshold) in rules.items():
            uncertain = (labels == 255) | (confidence < threshold)
            assert uncertain.any() and not uncertain.all()
            expected = np.where(uncertain, side == 'inside', np.isin(labels, classes[group]))
            mask = pixels_of(outputs[f'masks/{group}']) == 255
            assert np.array_equal(mask, expected), (group, side, threshold)
            # Replay and the Python interface make theirs of this.
            inside = [group] if side == 'inside' else []
            same = groups_with_rules(classes, {group: threshold}, inside)[group]
            confident = pixels_of(received['confidence'][-1])
            assert np.array_equal(group_mask(labels, same, confident) == 255, mask)
            assert np.array_equal(pixels_of(together[group].mask) == 255, mask)
            assert together[group].coverage == np.float32(mask.mean())


def test_a_node_runs_any_design(in_process, tmp_path):
    torch.manual_seed(0)
    network = build_network('unet-slim', 11)
    torch.nn.init.normal_(network.head.weight, std=30.0)  # random features vary by a little alone
    path = str(tmp_path / 'slim.safetensors')
    save_weights(path, network, WeightsInfo('camvid11', 11, (64, 64)))
    node = in_process(model=path).active()
    labels: list[Image] = []
    topic = f'{node.node.get_namespace()}/segmentation/mask'
    node.do(node.node.create_subscription, Image, topic, labels.append, 10)
    node.wait(lambda: 'mask' in node.node._outputs.wanted(), 'the subscription')
    node.send(image_message(NOISE, stamp=1))
    node.wait(lambda: labels, 'labels')
    request = EngineRequest(path, engine='torch', precision='fp32', input_size=(64, 64))
    expected = Segmenter(open_engine(request).engine).segment(NOISE).labels
    assert len(np.unique(expected)) > 2
    assert (pixels_of(labels[0]) == expected).mean() > 0.999


def test_a_publisher_that_offers_too_little_is_named_with_the_remedy(in_process):
    node = in_process()
    offered = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    topic = f'{node.node.get_namespace()}/image'
    node.do(
        node.node.declare_parameter, f'qos_overrides.{topic}.subscription.reliability', 'reliable'
    )
    node.active()
    camera = node.do(node.node.create_publisher, Image, topic, offered)
    remedy = f'qos_overrides.{topic}.subscription.reliability'
    node.wait(lambda: any(remedy in said for said in node.said), 'the remedy')
    assert node.report()['image_publishers_matched'] == '0'
    # What is asked for one topic changes no other.
    info = node.node._camera._infos.qos_profile
    assert info.reliability == ReliabilityPolicy.BEST_EFFORT
    # It comes back with the offer that was asked for.
    node.do(node.node.destroy_publisher, camera)
    camera = node.do(node.node.create_publisher, Image, topic, 1)
    heard(node, camera, 1)


def heard(node, camera, stamp: int) -> None:
    """Publish until an image is segmented."""
    node.wait(camera.get_subscription_count, 'the subscription')
    before = node.counts['out']

    def sent() -> bool:
        camera.publish(image_message(NOISE, stamp=stamp))
        return node.counts['out'] > before

    node.wait(sent, f'a mask of image {stamp}')


def test_a_camera_that_comes_back_with_another_offer_is_heard(in_process):
    node = in_process().active()
    context = Context()
    rclpy.init(context=context)
    other = Node('camera', namespace=node.node.get_namespace(), context=context)
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    latched = QoSProfile(depth=3, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    try:
        for stamp, offer in enumerate((best_effort, QoSProfile(depth=5), latched, best_effort), 1):
            camera = other.create_publisher(Image, 'image', offer)
            heard(node, camera, stamp)
            other.destroy_publisher(camera)
            node.wait(lambda: not node.node._camera.publishers(), 'the camera to be gone')
    finally:
        other.destroy_node()
        rclpy.try_shutdown(context=context)
    assert not [said for said in node.said if 'offers less' in said]


def test_lost_images_are_estimated_from_gaps_in_the_stamps():
    lost, period = LostFrames(), 10_000_000
    stamps = [number * period for number in range(100)]
    for stamp in stamps:
        lost.arrived(stamp)
    assert lost.total == 0
    for number in range(100, 160):
        if number % 3:  # every third one never arrives
            lost.arrived(number * period + (number % 2) * 500_000)  # some jitter
    assert 18 <= lost.total <= 20
    before = lost.total
    lost.arrived(10 * period)  # a clock that jumps back
    lost.arrived(10 * period)
    lost.arrived(1_000_000_000_000)  # a pause
    assert lost.total == before


def test_a_node_that_cannot_detect_damaged_jpegs_warns_at_activation(in_process, monkeypatch):
    monkeypatch.setattr(jpeg, 'is_there', lambda module: False)
    node = in_process(image_transport='compressed').active()
    assert [said for said in node.said if 'pip install simplejpeg' in said]


def test_a_lifecycle_cycle_leaves_no_entities_in_callback_groups(in_process):
    node = in_process()
    kept = []
    for _ in range(2):
        node.active()
        assert node.transition('deactivate') and node.transition('cleanup')
        groups = (node.node.default_callback_group, node.node.beside)
        kept.append([len(group.entities) for group in groups])
    assert kept[0] == kept[1]

"""What is seen best from inside: groups and their rule, QoS that does not fit, lost images."""

from __future__ import annotations

import numpy as np
from edgesegnet_ros.msg import ClassMasks
from harness import image_message, pixels_of
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from edgesegnet_ros.node.stamps import LostFrames

NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def test_a_rule_says_on_which_side_of_a_group_unlabelled_pixels_fall(in_process):
    node = in_process(groups="['drivable', 'dynamic']").active()
    received: dict[str, list] = {}
    listener = node.node
    topics = {'mask': Image, 'masks/drivable': Image, 'masks/dynamic': Image}
    for topic, type_ in {**topics, 'class_masks': ClassMasks}.items():
        messages = received.setdefault(topic, [])
        name = f'{listener.get_namespace()}/segmentation/{topic}'
        node.do(listener.create_subscription, type_, name, messages.append, 10)
    wanted = lambda: set(received) <= set(node.node._outputs.wanted())  # noqa: E731
    node.wait(wanted, 'the subscriptions')
    assert 'outside or inside' in node.set('group.dynamic.unlabeled', 'sideways')
    assert node.set('unlabeled_below', 0.5) == ''
    rules = {'drivable': 'outside', 'dynamic': 'inside'}
    for number, swapped in enumerate((False, True)):
        for group, rule in rules.items():
            other = {'outside': 'inside', 'inside': 'outside'}[rule]
            assert node.set(f'group.{group}.unlabeled', other if swapped else rule) == ''
        node.send(image_message(NOISE, stamp=number + 1))
        node.wait(lambda n=number: all(len(m) > n for m in received.values()), 'all outputs')
        unlabelled = pixels_of(received['mask'][-1]) == 255
        assert unlabelled.any() and not unlabelled.all()
        together = {one.name: one for one in received['class_masks'][-1].masks}
        for group, rule in rules.items():
            mask = pixels_of(received[f'masks/{group}'][-1]) == 255
            assert np.array_equal(pixels_of(together[group].mask) == 255, mask)
            inside = (rule == 'inside') != swapped
            assert mask[unlabelled].all() if inside else not mask[unlabelled].any()


def test_a_publisher_that_offers_too_little_is_named_with_the_remedy(in_process):
    node = in_process()
    offered = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    topic = f'{node.node.get_namespace()}/image'
    node.do(
        node.node.declare_parameter, f'qos_overrides.{topic}.subscription.reliability', 'reliable'
    )
    node.active()
    node.do(node.node.create_publisher, Image, topic, offered)
    remedy = f'qos_overrides.{topic}.subscription.reliability'
    node.wait(lambda: any(remedy in said for said in node.said), 'the remedy')
    assert node.report()['image_publishers_matched'] == '0'


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

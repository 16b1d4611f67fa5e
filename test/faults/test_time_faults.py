"""Clocks and stamps that do not fit together."""

from __future__ import annotations

import threading

import numpy as np
from faults import covers
from harness import image_message
from rosgraph_msgs.msg import Clock

GREY = np.full((48, 64, 3), 128, np.uint8)


def stamped(seconds: float):
    message = image_message(GREY)
    message.header.stamp.sec, message.header.stamp.nanosec = int(seconds), int(seconds % 1 * 1e9)
    return message


def now_of(node) -> float:
    return node.node.get_clock().now().nanoseconds / 1e9


def stuck(node, send) -> dict:
    """The report once nothing has been published for longer than the node puts up with."""
    assert node.transition('deactivate') and node.transition('activate')

    def error():
        send()
        report = node.report()
        return report if report['level'] == 2 else None

    return node.wait(error, 'an ERROR')


def test_old_images_and_such_without_a_stamp(shared):
    covers('old-images')
    covers('no-stamp')
    shared.active()
    assert shared.set('max_age_ms', 500.0) == ''
    before = shared.counts['too_old']
    report = stuck(shared, lambda: shared.send(stamped(now_of(shared) - 1.0)))
    assert 'nothing published' in report['message'] and 'max_age_ms' in report['message']
    assert shared.counts['too_old'] > before
    before = shared.counts['too_old']
    shared.send(stamped(0.0))
    assert shared.counts['too_old'] == before + 1
    assert shared.set('max_age_ms', 0.0) == ''
    shared.send(stamped(now_of(shared)))
    shared.wait(lambda: shared.report()['level'] == 0, 'health again')


def test_images_that_grow_too_old_in_the_node(shared, monkeypatch):
    covers('old-while-waiting')
    covers('old-when-ready')
    shared.active()
    assert shared.set('max_age_ms', 10_000.0) == ''
    ages = {'waiting': [0.0, 11_000.0], 'result': [0.0, 0.0, 11_000.0]}
    for stage, answers in ages.items():
        given = iter(answers)
        monkeypatch.setattr(shared.node._ages, 'age_ms', lambda message, given=given: next(given))
        worker = shared.node._engines.worker
        settings = worker.settings._replace(age_ms=shared.node._ages.age_ms)
        monkeypatch.setattr(worker, 'settings', settings)
        before = shared.counts[f'too_old_{stage}']
        shared.send(stamped(1.0))
        shared.wait(lambda k=f'too_old_{stage}', b=before: shared.counts[k] == b + 1, stage)
        monkeypatch.undo()
    assert shared.set('max_age_ms', 0.0) == ''
    shared.wait(shared.settled, 'an account of all frames')


def test_stamps_in_the_future(shared):
    covers('future-stamps')
    shared.active()
    shared.node._statistics._ages.clear()
    before = shared.counts['out']
    shared.send(stamped(now_of(shared) + 5.0))
    shared.wait(lambda: shared.counts['out'] == before + 1, 'its mask')
    report = shared.report()
    assert report['level'] == 1 and "ahead of the node's clock" in report['message']
    assert any('chrony' in said for said in shared.said)
    shared.node._statistics._ages.clear()


def test_simulated_time(in_process):
    node = in_process(use_sim_time='true').active()
    covers('no-clock')
    before = node.counts['out']
    node.send(stamped(5.0))
    node.wait(lambda: node.counts['out'] == before + 1, 'a mask without a clock')
    report = node.report()
    assert report['level'] == 1 and '/clock' in report['message']
    assert 'age_ms_p50' not in report
    assert node.set('max_age_ms', 100.0) == ''
    node.send(stamped(5.0))
    assert node.counts['too_old'] == 1, 'an image whose age is unknown'

    source = node.node._time_source
    clock = lambda seconds: Clock(clock=stamped(seconds).header.stamp)  # noqa: E731
    covers('negative-clock')
    negative = Clock()
    negative.clock.sec = -3
    publisher = node.node.create_publisher(Clock, '/clock', 10)
    escaped = node.node.escaped
    node.wait(
        lambda: publisher.publish(negative) or node.node.escaped > escaped, 'rclpy to refuse it'
    )
    assert any('/clock' in said for said in node.said)

    covers('clock-back')
    node.do(source.clock_callback, clock(1000.0))
    out = node.counts['out']
    node.send(stamped(1000.0))
    node.wait(lambda: node.counts['out'] == out + 1, 'its mask')
    node.send(stamped(999.8))
    assert node.counts['too_old'] == 2, 'an image too old by the simulated clock'
    assert node.set('max_age_ms', 0.0) == ''
    engine = node.node._engines.worker.opened.model.engine
    infer, entered, release = engine.infer, threading.Event(), threading.Event()

    def slow(*arguments):
        entered.set()
        release.wait(60)
        infer(*arguments)

    engine.infer = slow
    node.send(stamped(1000.1))  # in the engine while the clock jumps
    assert entered.wait(30)
    node.send(stamped(1000.2))  # waits while the clock jumps
    out, epoch = node.counts['out'], node.node._ages.epoch
    node.do(source.clock_callback, clock(10.0))
    assert node.node._ages.epoch == epoch + 1
    node.send(stamped(10.0))
    release.set()
    node.wait(lambda: node.counts['discarded'] == 2, 'both to be dropped')
    node.wait(lambda: node.counts['out'] == out + 1, 'a mask after the jump')
    assert node.set('max_age_ms', 100.0) == ''
    node.send(stamped(1.0))  # 9 s old by the new clock
    assert node.counts['too_old'] == 3, 'an image too old by the new clock'
    assert any('jumped back' in said for said in node.said)
    node.wait(node.settled, 'an account of all frames')

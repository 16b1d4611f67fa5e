"""Parameters, services and files that are wrong, and transitions at the wrong time."""

from __future__ import annotations

import errno
import itertools
import sys
import threading

import numpy as np
from faults import covers
from harness import image_message, pixels_of
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter

from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.interface.parameter_table import PARAMETERS
from edgesegnet_ros.node import engine_opening
from edgesegnet_ros.node.outputs import Plan

GREY = np.full((48, 64, 3), 128, np.uint8)
NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
OF_EVERY_TYPE = (True, 3, 2.5, 'text', [True], [1, 2], [0.5], ['a'], [b'\x01'])


def service(node, type_):
    """The callback of one of the node's services."""
    return next(one.callback for one in node.node.services if one.srv_type is type_)


def unknown_type(name: str) -> ParameterMessage:
    return ParameterMessage(name=name, value=ParameterValue(type=77))


def test_a_parameter_type_that_does_not_exist(shared):
    covers('unknown-parameter-type')
    covers('unknown-type-atomically')
    good = ParameterMessage(
        name='overlay_alpha',
        value=ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.25),
    )
    request = SetParameters.Request(parameters=[unknown_type('max_age_ms'), good])
    answer = shared.do(service(shared, SetParameters), request, SetParameters.Response())
    assert [one.successful for one in answer.results] == [False, True]
    assert answer.results[0].reason
    request = SetParametersAtomically.Request(parameters=[unknown_type('max_age_ms')])
    callback = service(shared, SetParametersAtomically)
    answer = shared.do(callback, request, SetParametersAtomically.Response())
    assert not answer.result.successful and answer.result.reason


def test_every_parameter_with_values_of_every_wrong_type(shared):
    covers('wrong-types')
    for parameter, value in itertools.product(PARAMETERS, OF_EVERY_TYPE):
        if type(value) is type(parameter.default) and not isinstance(value, list):
            continue
        before = shared.node.get_parameter(parameter.name).value
        result = shared.do(shared.node.set_parameters, [Parameter(parameter.name, value=value)])[0]
        after = shared.node.get_parameter(parameter.name).value
        if result.successful:  # a list of the right type
            assert isinstance(value, list)
            shared.do(
                shared.node.set_parameters, [Parameter(parameter.name, value=parameter.default)]
            )
        else:
            assert result.reason and np.array_equal(before, after), (parameter.name, value)


def test_a_value_of_400_kb(shared):
    covers('long-values')
    reason = shared.set('unknown' + 'x' * 400_000, 1)
    assert reason and len(reason) < 500
    reason = shared.set('groups', ['x' * 400_000])
    assert reason and len(reason) < 500


def test_a_bug_in_a_callback(shared):
    covers('callback-bug')
    escaped = shared.node.escaped

    def bug():
        raise ValueError('a bug of mine')

    timer = shared.do(lambda: shared.node.create_timer(0.0, bug))
    shared.wait(lambda: shared.node.escaped > escaped, 'it to be counted')
    shared.do(shared.node.destroy_timer, timer)
    assert any('a callback of' in said and 'a bug of mine' in said for said in shared.said)
    assert int(shared.report()['callback_errors']) > escaped


def test_transitions_that_are_not_possible(shared):
    covers('invalid-transition')
    shared.active()
    for number in (1, 250):
        result = shared.do(shared.node.change_state, number)
        assert result.to_label() == 'transition_failure' and shared.state == 'active'
    assert any('not possible in state active' in said for said in shared.said)


def test_a_configure_that_takes_its_time(in_process, monkeypatch):
    covers('slow-configure')
    covers('configure-twice')
    node = in_process()
    entered, release = threading.Event(), threading.Event()
    open_engine = engine_opening.open_engine

    def slow(request):
        entered.set()
        release.wait(60)
        return open_engine(request)

    monkeypatch.setattr(engine_opening, 'open_engine', slow)
    configuring = node.executor.create_task(node.node.change_state, 1)
    assert entered.wait(30)
    assert node.state == 'configuring' and not configuring.done()
    report = node.report()
    assert report['level'] == 0 and 'opening the engine' in report['message']
    assert 'configured' in node.set('engine', 'openvino')
    second = node.do(node.node.change_state, 1)
    assert second.to_label() == 'transition_failure'
    release.set()
    node.wait(configuring.done, 'configure to answer')
    assert node.state == 'inactive'


def test_groups_that_change_while_frames_are_published(shared, monkeypatch):
    covers('groups-race')
    shared.active()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    escaped = shared.node.escaped
    outputs, ended, failed = shared.node._outputs, threading.Event(), []
    sent: dict[int, dict] = {}
    plan, send = outputs.plan, outputs._send

    def ask() -> None:  # as the worker does for each frame
        while not ended.is_set():
            try:
                plan()
            except Exception as error:
                failed.append(error)

    def everything() -> Plan:  # as if each output had a subscriber
        with outputs._lock:
            return Plan(list(outputs._publishers), outputs._groups)

    def keep(name: str, message) -> None:
        sent.setdefault(message.header.stamp.sec, {})[name] = message
        send(name, message)

    monkeypatch.setattr(outputs, 'plan', everything)
    monkeypatch.setattr(outputs, '_send', keep)
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for number in range(75):
            assert shared.set('groups', ['drivable'] if number % 2 else ['*']) == ''
            classes = ['sky', 'tree'] if number % 3 else ['road', 'car', 'building']
            assert shared.set('group.drivable.classes', classes) == ''
            shared.send(image_message(NOISE, stamp=number + 1))
    finally:
        sys.setswitchinterval(interval)
        ended.set()
        asking.join(30)
    shared.wait(shared.settled, 'an account of all frames')
    assert sent
    for outs in sent.values():
        labels = pixels_of(outs['mask'])
        together = {one.name: one for one in outs['class_masks'].masks}
        assert set(together) in ({'drivable'}, set(load_classes('camvid11').groups))
        for name, one in together.items():
            assert np.array_equal(pixels_of(one.mask) == 255, np.isin(labels, one.class_ids))
            # A topic that was closed meanwhile gets no mask.
            alone = outs.get(f'masks/{name}', one.mask)
            assert alone.data == one.mask.data and alone.header == one.mask.header
        assert 'masks/drivable' in outs
    assert shared.set('group.drivable.classes', ['']) == '' and shared.set('groups', ['*']) == ''
    assert not failed and shared.node.escaped == escaped and shared.state == 'active'


def test_class_files_that_cannot_be_read(in_process, tmp_path):
    covers('bad-class-file')
    path = tmp_path / 'classes.yaml'
    node = in_process(classes=str(path))
    for text in ('? [a, b]\n: c', '[' * 1000, '\t{:', 'classes: 7', ''):
        path.write_text(text)
        assert not node.transition('configure') and node.state == 'unconfigured'
        report = node.report()
        assert report['level'] == 2 and f'{path}:' in report['message'], report['message']
        assert len(report['message']) < 1000


def test_a_disk_that_is_full(in_process, monkeypatch):
    covers('full-disk')
    node = in_process()

    def full(request):
        raise OSError(errno.ENOSPC, 'No space left on device', request.engine_cache or 'cache')

    monkeypatch.setattr(engine_opening, 'open_engine', full)
    assert not node.transition('configure')
    report = node.report()
    assert report['level'] == 2 and 'No space left on device' in report['message']
    monkeypatch.undo()
    node.active()

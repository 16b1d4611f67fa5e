"""Engines that fail, hang or disappear, and a worker that does."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from faults import covers
from harness import image_message

from edgesegnet_ros.engines import pytorch
from edgesegnet_ros.engines.request import EngineError
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.node import engine_opening
from edgesegnet_ros.node.outputs import Outputs

GREY = np.full((48, 64, 3), 128, np.uint8)
NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


class Sabotage:
    """Makes the engine do something else from now on, where told so."""

    def __init__(self, monkeypatch) -> None:
        self.action = None
        self.closed: list = []
        self._named: set = set()
        infer, describe, close = (
            getattr(pytorch.TorchEngine, name) for name in ('infer', 'describe', 'close')
        )

        def sabotaged(engine, *arguments):
            if self.action is not None and (not self._named or id(engine) in self._named):
                self.action()
            infer(engine, *arguments)

        def described(engine):
            found = describe(engine)
            return found._replace(engine='other') if id(engine) in self._named else found

        def closing(engine):
            self.closed.append(engine)
            close(engine)

        monkeypatch.setattr(pytorch.TorchEngine, 'infer', sabotaged)
        monkeypatch.setattr(pytorch.TorchEngine, 'describe', described)
        monkeypatch.setattr(pytorch.TorchEngine, 'close', closing)

    def rename(self, engine) -> None:
        """This one is called other, and alone does what it is told."""
        self._named.add(id(engine))


@pytest.fixture
def sabotage(monkeypatch):
    return Sabotage(monkeypatch)


@pytest.fixture
def published(monkeypatch):
    """Seconds of the stamp and labels of each frame that goes out."""
    frames: list[tuple[int, np.ndarray]] = []
    publish = Outputs.publish

    def keep(outputs, frame, plan):
        frames.append((frame.header.stamp.sec, frame.labels.copy()))
        publish(outputs, frame, plan)

    monkeypatch.setattr(Outputs, 'publish', keep)
    return frames


def labels_of(node, image: np.ndarray) -> np.ndarray:
    """What the node's engine makes of an image, while the node has none to segment."""
    model = node.node._engines.worker.opened.model
    return Segmenter(model.engine, model.resize_mode).segment(image, False, 0.0).labels.copy()


def only_frame_is(published, node, stamp: int, image: np.ndarray, lost: np.ndarray) -> None:
    """Nothing has gone out but the labels of `image`; those of the lost one are others."""
    assert [number for number, _ in published] == [stamp]
    labels = labels_of(node, image)
    assert np.array_equal(published[0][1], labels)
    assert not np.array_equal(labels, labels_of(node, lost))


def fail() -> None:
    raise EngineError('device lost')


def engine_of(node):
    return node.node._engines.worker.opened.model.engine


def test_torch_takes_the_place_of_an_engine_that_fails(in_process, sabotage, published):
    covers('engine-gives-way')
    node = in_process(on_engine_failure='torch').active()
    first = engine_of(node)
    sabotage.rename(first)
    sabotage.action = fail
    node.send(image_message(GREY))
    node.wait(lambda: node.node._engines.fallback, 'torch')
    assert sabotage.closed == [first]
    node.send(image_message(NOISE, stamp=2))
    node.wait(lambda: node.counts['out'] == 1, 'a mask of torch')
    only_frame_is(published, node, 2, NOISE, lost=GREY)
    report = node.report()
    assert report['level'] == 1 and 'other failed: device lost' in report['message']
    assert report['engine'] == 'torch' and report['frames_discarded'] == '1'


def test_a_fallback_that_fails_as_well(in_process, sabotage, monkeypatch):
    covers('fallback-fails')
    node = in_process(on_engine_failure='torch').active()
    sabotage.rename(engine_of(node))
    sabotage.action = fail

    def broken(request):
        raise RuntimeError('no memory for torch')

    monkeypatch.setattr(engine_opening, 'open_engine', broken)
    node.send(image_message(GREY))
    node.wait(lambda: node.state == 'unconfigured', 'the node to give up')
    report = node.report()
    assert report['level'] == 2
    assert 'device lost' in report['message'] and 'no memory for torch' in report['message']
    monkeypatch.undo()
    node.active()
    node.send(image_message(GREY, stamp=2))
    node.wait(lambda: node.counts['out'] == 1, 'a mask after a new configure')


@pytest.mark.parametrize('name', ['engine-hangs', 'engine-hangs-with-torch'])
def test_an_engine_that_hangs(in_process, sabotage, published, name):
    covers('engine-hangs')
    covers('engine-hangs-with-torch')
    torch = name.endswith('torch')
    node = in_process(on_engine_failure='torch' if torch else 'error').active()
    first = engine_of(node)
    sabotage.rename(first)
    node.do(node.node._engines.describe, node.node._engines.worker.opened)
    release = threading.Event()
    sabotage.action = lambda: release.wait(60)
    assert node.set('inference_timeout_s', 0.5) == ''
    node.send(image_message(NOISE))
    if torch:
        node.wait(lambda: node.report() and node.node._engines.fallback, 'torch')
        assert node.state == 'active'
    else:
        node.wait(lambda: node.report() and node.state == 'unconfigured', 'the node to give up')
        report = node.report()
        assert report['level'] == 2 and 'has not returned' in report['message']
        node.active()
    successor = node.node._engines.worker
    assert first not in sabotage.closed, 'closed under its own thread'
    release.set()
    node.wait(lambda: first in sabotage.closed, 'the first engine to be closed when it returns')
    node.send(image_message(GREY, stamp=2))
    node.wait(lambda: node.counts['out'] == 1, 'a mask of the second engine')
    only_frame_is(published, node, 2, GREY, lost=NOISE)
    assert node.node._engines.worker is successor and node.state == 'active'


def test_a_cleanup_while_torch_is_loaded_leaves_no_model(in_process, sabotage, monkeypatch):
    covers('cleanup-while-torch-loads')
    node = in_process(on_engine_failure='torch').active()
    first, worker = engine_of(node), node.node._engines.worker
    sabotage.rename(first)
    sabotage.action = fail
    entered, release = threading.Event(), threading.Event()
    open_engine, loaded = engine_opening.open_engine, []

    def slow(request):
        entered.set()
        release.wait(60)
        loaded.append(open_engine(request))
        return loaded[0]

    monkeypatch.setattr(engine_opening, 'open_engine', slow)
    node.send(image_message(GREY))
    assert entered.wait(60)
    assert node.transition('deactivate')
    number = node.node._state_machine.get_transition_by_label('cleanup')
    cleaning = node.executor.create_task(node.node.change_state, number)
    node.wait(lambda: node.state == 'cleaningup', 'cleaning up')
    release.set()
    node.wait(cleaning.done, 'cleanup to answer')
    node.wait(lambda: worker.has_ended, 'the thread to end')
    assert node.state == 'unconfigured' and node.node._engines.worker is None
    assert sabotage.closed == [first, loaded[0].engine] and worker.opened is None
    assert node.settled()


def test_a_worker_that_dies(in_process, monkeypatch):
    covers('worker-dies')
    node = in_process().active()

    def dies():
        raise AssertionError('a bug in the thread')

    monkeypatch.setattr(node.node._engines.worker._slot, 'take', dies)
    node.send(image_message(GREY))
    node.wait(lambda: node.state == 'unconfigured', 'the node to give up')
    assert 'a bug in the thread' in node.report()['message'] and node.report()['level'] == 2


def test_an_output_that_cannot_be_published(shared, monkeypatch):
    covers('publishing-fails')
    outputs = shared.active().node._outputs

    def broken(frame, wanted):
        raise RuntimeError('no room in the middleware')

    monkeypatch.setattr(outputs, 'publish', broken)
    before, escaped = shared.counts['discarded'], shared.node.escaped
    shared.send(image_message(GREY))
    shared.wait(lambda: shared.counts['discarded'] == before + 1, 'the frame to be dropped')
    shared.wait(lambda: shared.node.escaped == escaped + 1, 'it to be counted')
    monkeypatch.undo()
    assert shared.state == 'active'


def test_deactivate_with_a_frame_in_the_engine_and_one_that_waits(in_process, sabotage):
    covers('deactivate-with-waiting-frame')
    node = in_process().active()
    entered, release = threading.Event(), threading.Event()

    def slow():
        entered.set()
        release.wait(60)

    sabotage.action = slow
    node.send(image_message(GREY, stamp=1))
    assert entered.wait(30)
    node.send(image_message(GREY, stamp=2))
    assert node.transition('deactivate')
    release.set()
    node.wait(node.settled, 'both frames to be counted')
    assert node.counts['discarded'] == 2 and node.counts['out'] == 0
    sabotage.action = None
    assert node.transition('activate')
    node.send(image_message(GREY, stamp=3))
    node.wait(lambda: node.counts['out'] == 1, 'a mask')

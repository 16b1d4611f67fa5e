"""An engine that is replaced is closed: at once if it is idle, by its own thread if it hangs."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from edgesegnet_ros.engines.base import Engine, EngineDescription
from edgesegnet_ros.engines.registry import back_end
from edgesegnet_ros.engines.request import (
    BACK_ENDS,
    ENGINES,
    EngineError,
    EngineRequest,
    NonFiniteLogitsError,
)

IMAGE, LABELS = np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.uint8)


class Waiting(Engine):
    """Hangs inside a frame until it is let go; notes by which thread it was freed."""

    input_size, num_classes = (16, 16), 2

    def __init__(self):
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.freed_by = []
        self.logits = np.zeros(4, np.float32)

    def _infer(self, image, labels, confidence):
        self.entered.set()
        assert self.go_on.wait(60)
        assert not self.freed_by
        labels[:] = 1

    def _free(self):
        self.freed_by.append(threading.current_thread())

    def last_logits(self):
        return self.logits

    def describe(self):
        return EngineDescription('waiting', 'fp32', 'cpu', '1', 1)


def test_an_idle_engine_is_freed_at_once_and_only_once():
    engine = Waiting()
    engine.close()
    engine.close()
    assert engine.freed_by == [threading.current_thread()]
    with pytest.raises(EngineError, match='the engine is closed'):
        engine.infer(IMAGE, LABELS)
    assert not engine.entered.is_set()


def test_an_engine_that_hangs_is_freed_by_its_own_thread():
    engine = Waiting()
    thread = threading.Thread(target=engine.infer, args=(IMAGE, LABELS.copy()), daemon=True)
    thread.start()
    assert engine.entered.wait(60)
    engine.close()  # returns at once
    assert engine.freed_by == []
    engine.go_on.set()
    thread.join(60)
    assert engine.freed_by == [thread]


def test_an_engine_that_fails_is_freed_by_whoever_closes_it():
    engine = Waiting()
    engine.go_on.set()
    engine.logits[2] = np.nan
    with pytest.raises(NonFiniteLogitsError, match='the waiting engine gave NaN or infinite'):
        engine.infer(IMAGE, LABELS)
    assert engine.freed_by == []
    engine.close()
    assert engine.freed_by == [threading.current_thread()]


@pytest.mark.parametrize(
    ('name', 'value'), [('torch', np.nan), ('openvino', np.inf), ('onnxruntime', -np.inf)]
)
def test_logits_that_are_not_finite_are_a_failure_of_every_engine(tmp_path, name, value):
    import torch

    from edgesegnet_ros.engines.recipe import recipe_for

    found = back_end(name)
    reason = found.why_not('cpu')
    if reason:
        pytest.skip(f'SKIPPED FOR WANT OF A LIBRARY: {reason}')
    recipe = recipe_for(
        EngineRequest(precision='fp32', input_size=(32, 32), device='cpu', num_threads=1)
    )
    with torch.no_grad():
        recipe.model.head.bias[3] = value
    path = tmp_path / f'engine{found.suffix}'
    if found.suffix:
        found.build(recipe, path)
    engine = found.load(recipe, path)
    labels = np.zeros((32, 32), np.uint8)
    with pytest.raises(NonFiniteLogitsError, match=f'the {name} engine gave NaN or infinite'):
        engine.infer(np.zeros((32, 32, 3), np.uint8), labels)
    engine.close()


def test_a_line_in_the_list_is_all_that_a_back_end_needs():
    assert ENGINES == ('auto', *BACK_ENDS)
    for name in BACK_ENDS:
        found = back_end(name)
        assert found.name == name and set(found.runs_on) <= {'cpu', 'cuda'} and found.runs_on


def test_ctrl_c_is_no_segmentation_fault_after_another_thread_has_closed_an_openvino_engine():
    pytest.importorskip('openvino')
    code = (
        'import os, signal, threading\n'
        'from edgesegnet_ros.engines import open_engine\n'
        'from edgesegnet_ros.engines.request import EngineRequest\n'
        'kept = [open_engine(EngineRequest(engine="openvino", precision="fp32", '
        'input_size=(32, 32)))]\n'
        'def close():\n'
        '    kept.pop().close()\n'
        'thread = threading.Thread(target=close)\n'
        'thread.start(), thread.join()\n'
        'try:\n'
        '    os.kill(os.getpid(), signal.SIGINT)\n'
        'except KeyboardInterrupt:\n'
        '    print("interrupted")\n'
    )
    ended = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, 'interrupted\n'), ended.stderr

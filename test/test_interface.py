"""Parameters, diagnostics and messages are defined once; the documents are printed from it."""

from __future__ import annotations

import numpy as np
import pytest

from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.interface import diagnostic_keys as keys
from edgesegnet_ros.interface import documents, messages


@pytest.mark.parametrize('path', documents.documents())
def test_the_documentation_is_what_the_definitions_print(path):
    assert (documents.ROOT / path).read_text() == documents.documents()[path], (
        'run: python -m edgesegnet_ros.interface.documents --write'
    )


def test_printing_and_a_file_without_the_comments(capsys, monkeypatch):
    assert documents.main([]) == 0
    printed = capsys.readouterr().out
    assert 'dla:N' in printed and '`frames_too_old`' in printed and 'autostart: false' in printed
    monkeypatch.setitem(documents.TABLES, 'parameters', 'LICENSE')
    assert documents.main(['--write']) == 2
    assert 'LICENSE: it must hold <!-- parameters -->' in capsys.readouterr().err


def test_stage_times_are_read_back():
    values = {keys.stage_ms('infer', p): str(i) for i, p in enumerate(keys.PERCENTILES)}
    assert keys.stage_times_ms(values, 'infer') == {'p50': 0.0, 'p95': 1.0, 'p99': 2.0}
    assert keys.stage_times_ms(values, 'wait') is None
    assert keys.count({'frames_in': '3'}, 'in') == 3 and keys.count({}, 'bad') == 0


def test_label_info_and_class_mask_hold_what_they_are_given():
    types = {name: dict for name in vars(messages).values() if isinstance(name, str)}
    classes = load_classes('camvid11')
    info = messages.label_info(types, 'header', classes, 1)
    assert info['class_map'][3] == {'class_id': 3, 'class_name': 'road'}
    assert len(info['class_map']) == 11 and info['threshold'] == 1.0
    mask = np.zeros((20, 30), np.uint8)
    assert messages.bounding_box(mask) == (0, 0, 0, 0)
    mask[5:9, 7:18] = 255
    one = messages.class_mask(types, 'road', (3, 4), mask, 'image')
    assert one['bounding_box'] == {
        'x_offset': 7,
        'y_offset': 5,
        'height': 4,
        'width': 11,
        'do_rectify': False,
    }
    assert one['coverage'] == pytest.approx(44 / 600) and list(one['class_ids']) == [3, 4]

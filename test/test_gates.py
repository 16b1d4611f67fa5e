"""Gates for CI: read safely, judged exactly, never passed for want of a figure."""

from __future__ import annotations

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesegnet_ros.evaluation.report.gates import (
    OPERATORS,
    Gate,
    GateError,
    check,
    look_up,
    parse_gate,
)

FIGURES = {
    'miou': 0.55,
    'images': 101,
    'ece': None,
    'passed': True,
    'model': 'm',
    'bad': float('nan'),
    'latency_ms': {'p50': 20.0, 'p95': 61.5},
    'iou': {'car': 0.8, 'sign': None},
    'rows': [{'fps': 9.5}, {'fps': 30}],
}

names = st.text('abcXYZ0123456789_-é', min_size=1, max_size=8)
paths = st.lists(names, min_size=1, max_size=4)
numbers = st.floats(-1e6, 1e6).map(lambda value: float(f'{value:g}'))


@given(paths, st.sampled_from(sorted(OPERATORS)), numbers, st.sampled_from(['', ' ', '  ']))
def test_written_frames_are_read_back(path, sign, limit, space):
    gate = parse_gate(f'{space}{".".join(path)}{space}{sign}{space}{limit!r}{space}')
    assert gate == Gate('.'.join(path), sign, limit)
    assert parse_gate(str(gate)) == gate


@given(st.text(max_size=30))
def test_any_text_is_a_gate_or_a_sentence(text):
    try:
        gate = parse_gate(text)
    except GateError as error:
        assert 'not a condition' in str(error)
    else:
        assert gate.operator in text and gate.path in text


@given(paths, numbers, numbers, st.sampled_from(sorted(OPERATORS)))
def test_a_gate_judges_the_figure_that_its_path_names(path, value, limit, sign):
    figures: dict = {path[-1]: value}
    for name in reversed(path[:-1]):
        figures = {name: figures, 'beside': limit} if name != 'beside' else {name: figures}
    meaning = {
        '<': operator.lt,
        '<=': operator.le,
        '>': operator.gt,
        '>=': operator.ge,
        '==': operator.eq,
        '!=': operator.ne,
    }[sign]
    fired = check([Gate('.'.join(path), sign, limit)], figures)
    assert [item.value for item in fired] == ([value] if meaning(value, limit) else [])


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(names, json_like, max_size=4), paths)
def test_no_figure_is_never_a_pass(figures, path):
    # Opposite conditions cannot both pass: one fires, or both refuse.
    text = '.'.join(path)
    low, high = parse_gate(f'{text}<0.5'), parse_gate(f'{text}>=0.5')
    try:
        assert len(check([low, high], figures)) == 1
    except GateError as error:
        assert text in str(error)


@pytest.mark.parametrize(
    'text',
    [
        '',
        'miou',
        'miou<',
        '<0.6',
        'miou<<0.6',
        'miou=0.6',
        'miou=>0.6',
        'miou<nan',
        'miou<inf',
        'miou<0.6 and 1',
        'miou<__import__("os")',
        'a..b<1',
        '.a<1',
        'a.<1',
        'miou<0x10',
        'miou<1_0',
        'miou<0.6<0.7',
        'miou<\N{ARABIC-INDIC DIGIT THREE}',
    ],
)
def test_invalid_files_are_refused(text):
    with pytest.raises(GateError, match='not a condition.*latency_ms.p95>50'):
        parse_gate(text)


def test_which_fired_with_figures():
    gates = [
        parse_gate(text)
        for text in ('miou<0.6', 'images<101', 'latency_ms.p95 > 50', 'rows.1.fps<=30')
    ]
    assert [str(item) for item in check(gates, FIGURES)] == [
        'miou<0.6 fired: miou is 0.55',
        'latency_ms.p95>50 fired: latency_ms.p95 is 61.5',
        'rows.1.fps<=30 fired: rows.1.fps is 30',
    ]


@pytest.mark.parametrize(
    ('path', 'sentence'),
    [
        ('ece', 'ece: is null'),
        ('iou.sign', 'iou.sign: is null'),
        ('iou.sihn', "iou has no 'sihn'; there are car, sign"),
        ('mIoU', "the JSON has no 'mIoU'; there are miou, images"),
        ('latency_ms', 'a group of figures in these figures, not a number; there are p50, p95'),
        ('miou.p50', 'miou is a number, there is nothing below it'),
        ('passed', 'passed: is true'),
        ('model', 'model: is text'),
        ('bad', 'bad: is not finite'),
        ('rows.2.fps', 'rows is a list of 2, counted from 0'),
        ('rows.-1.fps', 'rows is a list of 2'),
        ('rows', 'rows: is a list'),
    ],
)
def test_wrong_names_list_the_known_ones(path, sentence):
    with pytest.raises(GateError) as error:
        look_up(FIGURES, path)
    assert sentence in str(error.value)


def test_all_that_cannot_be_judged_is_named_though_another_fires():
    gates = [parse_gate(text) for text in ('miou<0.6', 'ece>0.1', 'nothing>1')]
    with pytest.raises(
        GateError, match=r'(?s)never counts as a pass.*ece: is null.*nothing: the JSON has'
    ):
        check(gates, FIGURES)

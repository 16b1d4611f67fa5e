"""The table of faults, its tests and the page agree."""

from __future__ import annotations

from faults import DOCUMENT, FAULTS, HERE, NAMES, document, rows_of_tests


def test_each_row_has_a_test_and_each_test_a_row():
    own = {fault.name for fault in FAULTS if not fault.test}
    assert own <= rows_of_tests() <= NAMES
    assert all((HERE.parent / fault.test).is_file() for fault in FAULTS if fault.test)
    assert len(NAMES) == len(FAULTS) >= 40


def test_the_page_is_printed_from_the_table():
    assert DOCUMENT.read_text() == document(), 'run: python test/faults/faults.py --write'

"""`edgesegnet replay --compare A B`: text, JSON and a page, with gates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edgesegnet_ros.atomic_file import write_text
from edgesegnet_ros.evaluation.replay.compare import compare, figures
from edgesegnet_ros.evaluation.replay.compare_text import as_text
from edgesegnet_ros.evaluation.report.gates import Gate, check

JSON_NAME, PAGE_NAME = 'compare.json', 'compare.html'


def run_compare(
    path_a: Path,
    path_b: Path,
    out: Path,
    json_file: Path | None = None,
    gates: Sequence[Gate] = (),
) -> int:
    """Print the comparison, write compare.json and compare.html, and evaluate the gates.

    Args:
        path_a: Folder or replay.json of the one before.
        path_b: The same of the one after.
        out: Takes both files.
        json_file: Takes the JSON, too.
        gates: On the JSON, such as `pixels_changed>0.01` or `classes.car.iou.change<-0.02`.

    Returns:
        1 where a gate fired, else 0.

    Raises:
        ReplayError: They cannot be compared.
        GateError: A gate has no figure to judge.
    """
    from edgesegnet_ros.extras import need

    need('report', ('jinja2', 'matplotlib'), 'the page of a comparison')
    from edgesegnet_ros.evaluation.replay.compare_page import write_compare_report

    found = compare(path_a.expanduser(), path_b.expanduser())
    changes = figures(found)
    page = write_compare_report(found, changes, out / PAGE_NAME)
    text = json.dumps({**changes, 'report': str(page)}, indent=1, allow_nan=False) + '\n'
    for target in (out / JSON_NAME, json_file):
        if target:
            write_text(target, text)
    print(as_text(changes))
    print(f'figures: {out / JSON_NAME}   page: {page}')
    fired = check(gates, changes)
    for gate in fired:
        print(gate)
    return 1 if fired else 0

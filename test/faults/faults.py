"""The table of faults: what goes wrong, what the node then does, and what it says.

docs/faults.md is printed from it (`python test/faults/faults.py --write`). Each row has a test in
this folder, or names the file that has it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / 'docs/faults.md'


class Fault(NamedTuple):
    """One row.

    Attributes:
        name: Short, unique.
        fault: What goes wrong.
        happens: What the node does.
        said: The counter, diagnostics or log that names it.
        test: File below test/ whose test brings it about; '' for one in this folder.
    """

    name: str
    fault: str
    happens: str
    said: str
    test: str = ''


NEXT = 'The image is dropped; the next good one is segmented.'
WARNED = 'a warning with the reason, once per 10 s and kind'
FAULTS = (
    Fault('zero-width', 'An image of width 0', NEXT, f'`frames_bad_empty`; {WARNED}'),
    Fault('zero-height', 'An image of height 0', NEXT, f'`frames_bad_empty`; {WARNED}'),
    Fault(
        'compressed-on-raw',
        'A message without any content',
        NEXT,
        f'`frames_bad_empty`; {WARNED}',
    ),
    Fault(
        'unknown-encoding',
        'An encoding that the node does not know',
        NEXT,
        f'`frames_bad_encoding`; {WARNED}',
    ),
    Fault(
        'huge-encoding-name',
        'An encoding name of 5 MB',
        NEXT,
        'the same, cut to 300 characters',
    ),
    Fault('short-step', 'A step smaller than a row', NEXT, f'`frames_bad_step`; {WARNED}'),
    Fault(
        'short-data',
        'Fewer bytes than height times step',
        NEXT,
        f'`frames_bad_short_data`; {WARNED}',
    ),
    Fault('no-data', 'A size, but no bytes', NEXT, f'`frames_bad_short_data`; {WARNED}'),
    Fault(
        'absurd-size',
        'A header that claims 2³¹ x 2³¹ pixels',
        'The image is dropped before any memory is allocated.',
        f'`frames_bad_too_large`; {WARNED}',
    ),
    Fault('negative-stamp', 'A stamp below zero', NEXT, f'`frames_bad_stamp`; {WARNED}'),
    Fault(
        'png-bomb',
        'A PNG of a few kB that claims 32000 x 32000 pixels',
        'The image is dropped by its header, before it is decoded.',
        f'`frames_bad_too_large`; {WARNED}',
    ),
    Fault(
        'jpeg-bomb',
        'A JPEG that claims 60000 x 60000 pixels',
        'The image is dropped by its header, before it is decoded.',
        f'`frames_bad_too_large`; {WARNED}',
    ),
    Fault(
        'other-format-bomb',
        'The same as a BMP, TIFF, WebP or other format',
        'OpenCV refuses it above 2²⁷ pixels, before it is decoded.',
        '`frames_bad_undecodable`',
    ),
    Fault('truncated-jpeg', 'A JPEG that ends early', NEXT, '`frames_bad_corrupt`'),
    Fault(
        'damaged-jpeg',
        'A JPEG with a zeroed third or flipped bits',
        f'{NEXT} This requires simplejpeg, and data that libjpeg warns of: some flipped bits '
        'give another valid image, which is segmented.',
        f'`frames_bad_corrupt`; {WARNED}; where simplejpeg is missing, a warning at activate '
        'and in `edgesegnet doctor`',
    ),
    Fault('no-image', 'Bytes that are not an image', NEXT, '`frames_bad_undecodable`'),
    Fault('empty-compressed', 'A compressed image of 0 bytes', NEXT, '`frames_bad_empty`'),
    Fault(
        'any-image',
        'Any header, size, step, encoding, stamp and data (property-based)',
        'Each image is either published or counted as dropped.',
        'one counter per image',
    ),
    Fault(
        'any-compressed',
        'Any bytes as a compressed image, JPEG and PNG with changed bytes among them '
        '(property-based)',
        'Each image is either published or counted as dropped.',
        'one counter per image',
    ),
    Fault(
        'out-of-memory',
        'Memory that runs out while an image is converted',
        NEXT + ' The engine is not blamed.',
        '`frames_bad_memory`',
    ),
    Fault(
        'converter-bug',
        'A library that raises an unexpected exception on an image',
        NEXT,
        '`frames_bad_undecodable`, with the exception',
    ),
    Fault(
        'two-sizes',
        'Two cameras of different sizes on one topic',
        'Both are segmented, each at its own size.',
        'WARN with the number of changes and of publishers; one line in the log per 10 s',
    ),
    Fault(
        'overload',
        'Images that come faster than they are segmented',
        'The newest waits, older ones are dropped; received = published + each drop.',
        '`frames_replaced`',
    ),
    Fault(
        'no-stamp',
        'Images without a stamp, with max_age_ms set',
        'They are dropped, since their age is unknown.',
        '`frames_too_old`; ERROR with the reason while nothing is published',
    ),
    Fault(
        'old-images',
        'A camera whose clock is behind by more than max_age_ms',
        'All images are dropped.',
        '`frames_too_old`; ERROR: nothing published, with the reason',
    ),
    Fault(
        'old-while-waiting',
        'An image that becomes too old while it waits for the engine',
        'It is dropped before inference.',
        '`frames_too_old_waiting`',
    ),
    Fault(
        'old-when-ready',
        'An image that becomes too old during inference',
        'Its result is not published.',
        '`frames_too_old_result`',
    ),
    Fault(
        'future-stamps',
        "A camera whose clock is ahead of the node's",
        'Images are segmented.',
        'WARN with the difference and the remedy',
    ),
    Fault(
        'no-clock',
        'use_sim_time without anybody on /clock',
        'Images are segmented; with max_age_ms set they are dropped.',
        'WARN or ERROR that names /clock',
    ),
    Fault(
        'clock-back',
        'A simulated clock that jumps back',
        'The image that waits and the one in the engine are dropped; later ones are segmented.',
        '`frames_discarded`; one warning',
    ),
    Fault(
        'negative-clock',
        'A /clock below zero',
        'It is ignored; rclpy raises, and the node continues.',
        '`callback_errors`, and the log names the topic',
    ),
    Fault(
        'unknown-parameter-type',
        'set_parameters with a type that does not exist',
        'It is refused; the other parameters of the request are set.',
        'the reason in the answer; `callback_errors`',
    ),
    Fault(
        'unknown-type-atomically',
        'set_parameters_atomically with a type that does not exist',
        'All are refused.',
        'the reason in the answer; `callback_errors`',
    ),
    Fault(
        'wrong-types',
        'Every parameter with a value of every wrong type',
        'It is refused and the value stays.',
        'the reason in the answer',
    ),
    Fault(
        'long-values',
        'A parameter value of 400 kB',
        'It is refused.',
        'the reason in the answer, with the value cut short',
    ),
    Fault(
        'callback-bug',
        'An exception in any callback',
        'The callback ends; everything else continues.',
        '`callback_errors`, and the log names callback and exception',
    ),
    Fault(
        'ros-arguments',
        'ROS arguments that are unknown or malformed',
        'The node ends with status 2.',
        'one sentence with the argument',
    ),
    Fault(
        'invalid-transition',
        'A transition that is not possible, or does not exist',
        'It is refused and the state stays.',
        'an error in the log',
    ),
    Fault(
        'slow-configure',
        'An engine that takes minutes to be built, or waits for a lock',
        'configure answers when it is done; other services are answered meanwhile; a signal ends '
        'the node at once.',
        'OK: opening the engine, for N s',
    ),
    Fault(
        'blocked-configure',
        'A file that cannot be read to its end, such as a pipe or one on a lost network disk',
        'configure does not answer; all other services do, and a signal ends the node with status '
        '0.',
        'OK: opening the engine, for N s',
    ),
    Fault(
        'configure-twice',
        'A second transition while one is running',
        'It is refused; the first one continues.',
        'an error in the log',
    ),
    Fault(
        'groups-race',
        'Groups that change while frames are published',
        'Each frame has the groups from before or from after.',
        '',
    ),
    Fault(
        'engine-error',
        'An engine that fails on a frame',
        'The node deactivates and cleans up; configure brings it back.',
        'ERROR with the reason until the next configure',
        'node/test_bad_input.py',
    ),
    Fault(
        'engine-gives-way',
        'The same with on_engine_failure: torch',
        'The engine is closed, torch takes its place, the frame is dropped.',
        'a WARN that stays, with the reason',
    ),
    Fault(
        'fallback-fails',
        'The same, and torch raises any exception as well',
        'The node deactivates and cleans up.',
        'ERROR with both reasons',
    ),
    Fault(
        'engine-hangs',
        'An engine that does not return from a frame',
        'After inference_timeout_s the node deactivates and cleans up; the result of the frame '
        'is ignored, and its engine is closed when it returns.',
        'ERROR after 2 s, and the reason after the timeout',
    ),
    Fault(
        'engine-hangs-with-torch',
        'The same with on_engine_failure: torch',
        'torch takes its place; the engine that hangs is left alone.',
        'a WARN that stays, with the reason',
    ),
    Fault(
        'cleanup-while-torch-loads',
        'A deactivate and a cleanup while torch is loaded in the place of an engine that failed',
        'The node is unconfigured, and torch is closed as soon as it is loaded.',
        '',
    ),
    Fault(
        'worker-dies',
        'The thread that segments ends with an unexpected exception',
        'The node deactivates and cleans up.',
        'ERROR with the exception',
    ),
    Fault(
        'publishing-fails',
        'An output that raises when a frame is published',
        'The frame is dropped; the engine is not blamed.',
        '`frames_discarded` and `callback_errors`',
    ),
    Fault(
        'deactivate-with-waiting-frame',
        'A deactivate while a frame waits and one is computed',
        'Neither is published.',
        '`frames_discarded` counts both',
    ),
    Fault(
        'missing-weights',
        'A weights file that is not there',
        'configure fails; it works once the file is repaired.',
        'ERROR with the path until the next configure',
        'node/test_lifecycle.py',
    ),
    Fault(
        'truncated-weights',
        'A weights file that ends early',
        'configure fails; it works once the file is repaired.',
        'ERROR with the path',
        'node/test_lifecycle.py',
    ),
    Fault(
        'bad-class-file',
        'A class file with an unhashable key, endless nesting, or no YAML at all',
        'configure fails.',
        'ERROR with path and line',
    ),
    Fault(
        'full-disk',
        'A disk that is full when an engine is written',
        'configure fails, or torch takes its place.',
        'ERROR with the path',
    ),
    Fault(
        'refused-engine',
        'An engine whose labels differ from those of the fp32 network',
        'configure fails, or torch takes its place.',
        'ERROR with the share of equal labels',
        'node/test_engine_choice.py',
    ),
    Fault(
        'no-camera',
        'A camera that stops, or was never there',
        'The node waits; it continues when images arrive again.',
        'STALE with the topic, the time and the number of publishers',
        'node/test_bad_input.py',
    ),
    Fault(
        'incompatible-qos',
        'A publisher or subscriber whose QoS does not fit',
        'The others are served.',
        'one warning with the parameter to change',
    ),
    Fault(
        'sigterm-under-load',
        'SIGTERM or SIGINT while images arrive at 400 Hz',
        'The node ends with status 0.',
        '',
    ),
    Fault(
        'many-signals',
        'More signals during the shutdown',
        'They are ignored; the node ends with status 0.',
        '',
        'node/test_ending.py',
    ),
    Fault(
        'kill-node',
        'kill -9 of the node while it builds an engine, and a restart',
        'The new node configures, with the same engine cache.',
        '',
    ),
    Fault(
        'kill-writer',
        'kill -9 of a process that writes a bag over another one',
        'The bag that was there or the whole new one is left; the next writer of this bag removes '
        'what had been begun.',
        '',
    ),
    Fault(
        'kill-pipeline',
        'kill -9 of the node that segments, of the player and of the collector, and a restart',
        'No report and no recording is left behind half written; the new ones work.',
        '',
    ),
    Fault(
        'stalled-subscriber',
        'A reliable subscriber that is stopped, or killed',
        'The others receive frames; a publication takes less than 1 ms longer, and no memory is '
        'kept.',
        '',
    ),
    Fault(
        'same-name',
        'Two nodes of one name',
        'Both segment.',
        'their own logs',
    ),
)
NAMES = {fault.name for fault in FAULTS}


def covers(name: str) -> None:
    """Say in a test which row it brings about."""
    assert name in NAMES, f'{name} is no row of the table'


def rows_of_tests() -> set[str]:
    """Rows that a test of this folder names."""
    found: set[str] = set()
    for file in HERE.glob('test_*.py'):
        text = file.read_text()
        found |= set(re.findall(r"covers\('([\w-]+)'\)", text))
        found |= {name for name in re.findall(r"^    '([\w-]+)': \(", text, re.M)}
    return found


def document() -> str:
    """docs/faults.md."""
    rows = [
        '| fault | what goes wrong | what happens | what is reported | test |',
        '|---|---|---|---|---|',
    ]
    for one in FAULTS:
        test = one.test or 'faults'
        rows.append(
            f'| {one.name} | {one.fault} | {one.happens} | {one.said} | [{test}](../test/{test}) |'
        )
    return (
        '# Faults\n\n'
        f'What the node does in {len(FAULTS)} situations that it must survive, each brought about '
        'by a test of `make test`.\nKeys such as `frames_bad` are those of '
        '[diagnostics.md](diagnostics.md). Printed by\n`python test/faults/faults.py --write`.\n'
        '[testing-with-ros.md](testing-with-ros.md#endurance) has what `make soak` found in an '
        'hour.\n\n' + '\n'.join(rows) + '\n'
    )


if __name__ == '__main__':
    if '--write' in sys.argv:
        DOCUMENT.write_text(document())
    else:
        print(document(), end='')

"""The node, with a line of JSON for each image that it takes in and each frame that it publishes.

    python traced_node.py FILE --ros-args …

Each line has `event`, `at_ns` (time.time_ns) and `stamp_ns` of the image:

- `offered`: the image waits for the worker; written under the lock of the slot that it waits in.
- `taken`: the worker has it; written under the same lock, so that the order of both is exact.
- `published`: its frame is out; with `age_ms` by then, `work_ms` from the moment when the worker
  took it, and `starved_ms`: how long threads of the node that were ready to run have waited for a
  core since the frame before, all of them together.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from edgesegnet_ros.node import frame_statistics, newest
from edgesegnet_ros.node.threads import wait_passively


def starved_ms() -> float:
    """How long threads of this process have waited for a core, all of them together."""
    waited = 0
    for task in Path('/proc/self/task').iterdir():
        try:
            waited += int((task / 'schedstat').read_text().split()[1])
        except OSError:  # the thread has ended, or the system does not tell
            pass
    return waited / 1e6


def trace(path: Path) -> None:
    """Write the lines from now on; each frame that is published writes those before it."""
    from edgesegnet_ros.node.stamps import stamp_ns

    file = path.open('w')
    lines: list[dict] = []  # no file is written under the lock: that would let other threads run
    starved = [starved_ms()]

    def note(event: str, **values: object) -> None:
        lines.append({'event': event, 'at_ns': time.time_ns(), **values})

    class TracedSlot(newest.NewestSlot):
        # The thread that holds the condition's lock may take it again.
        def put(self, item):  # noqa: ANN001, ANN202
            with self._changed:
                note('offered', stamp_ns=stamp_ns(item.message))
                return super().put(item)

        def take(self):  # noqa: ANN202
            with self._changed:
                item = super().take()
                if item is not None:
                    note('taken', stamp_ns=stamp_ns(item.message))
                return item

    class TracedStatistics(frame_statistics.FrameStatistics):
        def published(self, times_ms, age_ms=None):  # noqa: ANN001, ANN202
            now = starved_ms()
            before, starved[0] = starved[0], now
            work_ms = times_ms['latency'] - times_ms['wait']
            note('published', age_ms=age_ms, work_ms=work_ms, starved_ms=now - before)
            super().published(times_ms, age_ms)
            count = len(lines)
            file.writelines(json.dumps(line) + '\n' for line in lines[:count])
            file.flush()
            del lines[:count]

    newest.NewestSlot = TracedSlot
    frame_statistics.FrameStatistics = TracedStatistics


if __name__ == '__main__':
    wait_passively()
    trace(Path(sys.argv.pop(1)))
    from edgesegnet_ros.node.segmentation_node import main

    sys.exit(main())

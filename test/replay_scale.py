"""Does a frame cost the same in a thousand bags as in fifty?

Run it by hand: `.venv/bin/python test/replay_scale.py --bags 50 100 200`. It writes so many bags
of three 64x64 frames, replays each set with one command, checks every count and that the sets'
common bags have equal label maps, and prints the time a frame.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from replay_bags import QUICK, frames, replay, write

FRAMES = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--bags', type=int, nargs='+', default=[50, 100, 200])
    parser.add_argument('--jobs', type=int, default=0)
    args = parser.parse_args()
    rows, known = [], {}
    with tempfile.TemporaryDirectory() as name:
        for bags in args.bags:
            folder = Path(name, f'bags{bags}')
            for n in range(bags):
                write(folder / f'{n:05d}', frames(FRAMES, FRAMES * n, size=(64, 64)))
            began = time.perf_counter()
            result = replay(folder, '--jobs', args.jobs, out=Path(name, f'out{bags}'),
                            quick=(*QUICK, '--no-label-maps'))
            wall_s = time.perf_counter() - began
            assert result['frames_in'] == result['frames_out'] == FRAMES * bags
            assert len(result['parts']) == bags and not result['problems']
            for part in result['parts']:
                key = Path(part['bag']).name
                assert known.setdefault(key, part['labels_sha256']) == part['labels_sha256']
            rows.append((bags, wall_s, wall_s / (FRAMES * bags) * 1e3))
    print(f'{"bags":>6}{"frames":>8}{"seconds":>10}{"ms a frame":>12}')
    for bags, wall_s, per_frame in rows:
        print(f'{bags:>6}{FRAMES * bags:>8}{wall_s:>10.1f}{per_frame:>12.1f}')


if __name__ == '__main__':
    main()

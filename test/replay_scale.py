"""Does a frame cost the same in a thousand bags as in fifty, and a long bag the same memory?

Run it by hand: `.venv/bin/python test/replay_scale.py --bags 50 200 400 800` writes so many bags
of three 64x64 frames, replays each set with one command, checks every count and that the sets'
common bags have equal label maps, and prints the time a frame. `--frames 1000 4000 16000` writes
one bag of so many 128x96 frames each, and prints the peak memory of the process that replays it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from replay_bags import IMAGE, QUICK, frames, message, picture, replay, truth, write

FRAMES = 3


def times(counts: list[int], jobs: int, scratch: Path) -> None:
    """Print the time a frame for so many bags."""
    known: dict[str, str] = {}
    rows = []
    for bags in counts:
        folder = scratch / f'bags{bags}'
        for n in range(bags):
            write(folder / f'{n:05d}', frames(FRAMES, FRAMES * n, size=(64, 64)))
        began = time.perf_counter()
        result = replay(
            folder, '--jobs', jobs, out=scratch / f'out{bags}', quick=(*QUICK, '--no-label-maps')
        )
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


def memory(counts: list[int], scratch: Path) -> None:
    """Print the peak memory over bags of so many frames, all of sixteen pictures."""
    size = (96, 128)
    shown = [(picture(n, size), truth(n, size)) for n in range(16)]
    print(f'{"frames":>8}{"bag in MiB":>12}{"peak in MiB":>13}')
    for count in counts:
        bag = write(
            scratch / f'long{count}',
            (
                (topic, IMAGE, stamp, message(stamp, pixels, encoding))
                for n in range(count)
                for stamp in [10**9 + n * 10**8]
                for topic, pixels, encoding in (
                    ('/camera/image', shown[n % 16][0], 'rgb8'),
                    ('/camera/labels', shown[n % 16][1], 'mono8'),
                )
            ),
        )
        child = subprocess.Popen(
            [
                sys.executable,
                '-m',
                'edgesegnet_ros.cli',
                'replay',
                str(bag),
                *QUICK,
                '--out',
                str(scratch / 'out'),
            ],
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(child.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        held = sum(file.stat().st_size for file in bag.iterdir())
        print(f'{count:>8}{held / 2**20:>12.0f}{usage.ru_maxrss / 2**10:>13.0f}', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--bags', type=int, nargs='+', default=[])
    parser.add_argument('--frames', type=int, nargs='+', default=[])
    parser.add_argument('--jobs', type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if args.bags:
            times(args.bags, args.jobs, Path(name))
        if args.frames:
            memory(args.frames, Path(name))


if __name__ == '__main__':
    main()

"""Replay over many bags: shared cores, resumption, deaths, Ray; bounded memory; full disks."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rosbags')

from replay_bags import QUICK, frames, kinds, replay, write

from edgesegnet_ros.data.bag import Camera
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.evaluation.replay import one_bag
from edgesegnet_ros.evaluation.replay.camera_replay import CameraReplay
from edgesegnet_ros.evaluation.replay.command_options import parse_options
from edgesegnet_ros.evaluation.replay.frames import ReplayFrame
from edgesegnet_ros.evaluation.replay.local_pool import LocalPool
from edgesegnet_ros.evaluation.replay.options import ReplayOptions
from edgesegnet_ros.evaluation.replay.result import ReplayError, ReplayResult
from edgesegnet_ros.evaluation.replay.scoring import Labelled
from edgesegnet_ros.evaluation.replay.worker_pool import BagWorker, Job, schedule, shares

SUMS = (
    'frames_in',
    'frames_out',
    'frames_scored',
    'pixel_accuracy',
    'miou',
    'confusion',
    'labels_sha256',
    'temporal_consistency',
    'fractions',
    'confidence_histogram',
)


@pytest.fixture(scope='module')
def drives(tmp_path_factory) -> Path:
    """Four small bags, and one that is none."""
    folder = tmp_path_factory.mktemp('drives')
    for n in range(4):
        write(folder / 'day' / f'drive{n}', frames(2 + n, 7 * n))
    (folder / 'broken.mcap').write_bytes(b'\x89MCAP0\r\nnothing')
    return folder


@pytest.fixture(scope='module')
def merged(drives, tmp_path_factory) -> dict:
    """What all of them give by processes."""
    return replay(drives, '--jobs', 2, out=tmp_path_factory.mktemp('merged'), status=1)


def test_the_sum_of_all_is_that_of_each(drives, merged, tmp_path):
    assert merged['frames_in'] == merged['frames_out'] == 2 + 3 + 4 + 5
    assert [Path(part['bag']).name for part in merged['parts']] == [
        'drive0',
        'drive1',
        'drive2',
        'drive3',
    ]
    assert kinds(merged) == ['unreadable'] and 'broken.mcap' in merged['problems'][0]['where']
    one = replay(drives / 'day' / 'drive2', out=tmp_path)
    part = merged['parts'][2]
    assert one['labels_sha256'] == part['labels_sha256']
    assert one['pixel_accuracy'] == part['pixel_accuracy']
    parts = [ReplayResult.read(Path(merged['folder'], p['result'])) for p in merged['parts']]
    confusion = sum(np.array(part.accuracy.confusion) for part in parts)
    np.testing.assert_array_equal(merged['confusion'], confusion)
    assert merged['pixel_accuracy'] == pytest.approx(np.trace(confusion) / confusion.sum())


def test_finished_bags_are_not_done_again(drives, merged, tmp_path, capsys):
    out = Path(merged['folder'])
    stamps = {file: file.stat().st_mtime_ns for file in out.glob('bags/*/*/replay.json')}
    assert len(stamps) == 4
    listing = tmp_path / 'list.txt'
    listing.write_text(f'# the drives\n{drives}/day\n')
    again = replay(f'@{listing}', out=out)
    assert 'skipping 4 of 4 bags, which are finished' in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in stamps} == stamps
    for name in SUMS:
        assert again[name] == merged[name], name
    # Another option is another result.
    replay(drives / 'day' / 'drive0', '--resize-mode', 'letterbox', out=out)
    assert len(list(out.glob('bags/drive0-*'))) == 2


def quick_options(**more) -> ReplayOptions:
    request = EngineRequest(engine='torch', precision='fp32', num_threads=1, input_size=(32, 32))
    return ReplayOptions(request, pictures=False, video=False, **more)


def test_a_worker_that_dies_costs_a_retry_of_its_bag(drives, merged, tmp_path):
    jobs = [Job(str(drives / 'day' / f'drive{n}'), f'key{n}') for n in range(4)]
    killed = []

    def kill_once(pid: int, job: Job) -> None:
        if job.key == 'key1' and not killed:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    pool = LocalPool(quick_options(), str(tmp_path), kill_once)
    outcomes = {o.bag: o for o in schedule(jobs, pool, 2)}
    assert len(killed) == 1 and sorted(outcomes) == sorted(job.bag for job in jobs)
    notes = [note for outcome in outcomes.values() for note in outcome.notes]
    assert len(notes) == 1 and 'drive1: its worker died 1 times' in notes[0]
    for part in merged['parts']:
        assert outcomes[part['bag']].results[0].masks.labels_sha256 == part['labels_sha256']
    assert not list(tmp_path.glob('bags/.*'))


def test_a_bag_that_kills_every_worker_is_given_up(drives, tmp_path):
    jobs = [Job(str(drives / 'day' / f'drive{n}'), f'key{n}') for n in range(2)]
    pool = LocalPool(
        quick_options(),
        str(tmp_path),
        lambda pid, job: os.kill(pid, signal.SIGKILL) if job.key == 'key0' else None,
    )
    outcomes = {o.bag: o for o in schedule(jobs, pool, 1)}
    [problem] = outcomes[jobs[0].bag].problems
    assert problem.kind == 'worker_died' and 'killed by SIGKILL' in problem.what
    assert outcomes[jobs[1].bag].results[0].frames.frames_out == 3


def test_an_exception_in_a_worker_is_reported_and_affects_one_bag(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError('a bug')

    monkeypatch.setattr(one_bag, 'replay_bag', fail)
    worker = BagWorker(quick_options(), str(tmp_path))
    [problem] = worker.replay(Job('drive', 'key')).problems
    assert problem.kind == 'worker_died' and problem.what.endswith('RuntimeError: a bug')


def test_an_engine_that_cannot_be_had_ends_it(drives, tmp_path, capsys):
    words = ('--model', str(tmp_path / 'none.safetensors'))
    replay_status = subprocess.run(
        [
            sys.executable,
            '-m',
            'edgesegnet_ros.cli',
            'replay',
            str(drives / 'day'),
            *words,
            '--out',
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert replay_status.returncode == 2 and 'none.safetensors' in replay_status.stderr
    assert 'Traceback' not in replay_status.stderr
    pool = LocalPool(quick_options(flow=False), str(tmp_path))
    pool._options = pool._options.__class__(EngineRequest(input_size=(33, 33)))
    with pytest.raises(ReplayError, match='multiples of 16'):
        list(schedule([Job(str(drives / 'day' / 'drive0'), 'k')], pool, 1))


@pytest.mark.parametrize(
    'threads,bags,jobs,cores,expected',
    [
        (0, 100, 0, 8, (8, 1)),
        (2, 100, 0, 8, (4, 2)),
        (0, 3, 0, 8, (3, 2)),
        (0, 100, 2, 8, (2, 4)),
        (16, 100, 0, 8, (1, 16)),
        (0, 1, 0, 8, (1, 8)),
    ],
)
def test_processes_share_the_cores(threads, bags, jobs, cores, expected):
    options = ReplayOptions(EngineRequest(num_threads=threads))
    assert shares(options, bags, jobs, cores) == expected


def test_ray_gives_the_same_result(drives, merged, tmp_path):
    pytest.importorskip('ray')
    result = replay(drives / 'day', '--ray', 'local', '--jobs', 2, out=tmp_path)
    for name in SUMS:
        assert result[name] == merged[name], name


class Pictures:
    """Counts frames; what is traced is what the replay itself holds."""

    name = 'pictures'

    def __init__(self) -> None:
        self.frames, self.peaks = 0, []

    def on_frame(self, frame: ReplayFrame) -> None:
        self.frames += 1
        if self.frames % 50 == 0:
            self.peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()

    def close(self, complete: bool) -> None:
        assert complete


def test_memory_does_not_grow_with_the_bag(tmp_path):
    bag = write(tmp_path / 'bag', frames(400, size=(96, 128)))
    replay = CameraReplay(
        bag,
        Camera('/camera/image', '/camera/labels'),
        quick_options(flow=False),
        load_classes('camvid11'),
        tmp_path,
        'key',
    )
    watcher = Pictures()
    replay.scoring._sinks.append(watcher)

    def label(decoded):
        image = decoded.frame.image
        frame = ReplayFrame(
            decoded.frame.number, decoded.frame.stamp_ns, image, image[..., 0] % 11, decoded.truth
        )
        return Labelled(frame, True, 1.0)

    tracemalloc.start()
    try:
        replay.run(label, lambda: None)
    finally:
        tracemalloc.stop()
    assert watcher.frames == 400
    # A held frame would add 37 KB for each of the 300 frames between the two.
    assert watcher.peaks[-1] < watcher.peaks[1] + 2_000_000, watcher.peaks
    assert replay.result(_engine()).frames.frames_out == 400


def _engine():
    from edgesegnet_ros.engines.base import EngineDescription

    return EngineDescription('none', 'fp32', 'cpu', '0', 1)


def test_a_disk_that_fills_costs_the_output_alone(tmp_path):
    bag = write(tmp_path / 'bag', frames(30, size=(96, 128)))
    out = tmp_path / 'out'
    limit = 700_000  # bytes of one file: the result's JSON fits, the bag of results does not
    script = (
        'import resource, sys; from edgesegnet_ros import cli; '
        f'resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); '
        'sys.exit(cli.main(sys.argv[1:]))'
    )
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            script,
            'replay',
            str(bag),
            *QUICK,
            '--no-flow',
            '--write-bag',
            str(tmp_path / 'results'),
            '--out',
            str(out),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    result = json.loads((out / 'replay.json').read_text())
    assert result['frames_out'] == result['frames_scored'] == 30
    assert kinds(result) == ['not_written'] and 'File too large' in done.stderr
    assert str(tmp_path / 'results') in result['problems'][0]['what']
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bag', 'out']
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != limit


def test_results_that_cannot_be_written_are_printed(tmp_path, capsys):
    bag = write(tmp_path / 'bag', frames(2))
    full = Path('/dev/full')
    if not full.exists():
        pytest.skip('no /dev/full here')
    from edgesegnet_ros import cli

    # Space that runs out later is seen when the figures are written, and they are printed.
    out = ['--out', str(tmp_path / 'out')]
    status = cli.main(['replay', str(bag), *QUICK, *out, '--json', str(full)])
    said = capsys.readouterr()
    assert status == 1 and '2 frames in, 2 out' in said.out
    assert f'{full}: cannot be written' in said.err
    # What can be seen at once is refused before any work.
    blocked = tmp_path / 'file'
    blocked.write_text('in the way')
    with pytest.raises(SystemExit) as ended:
        cli.main(['replay', str(bag), *QUICK, *out, '--json', str(blocked / 'x.json')])
    said = capsys.readouterr()
    assert ended.value.code == 2 and 'x.json: cannot be written' in said.err and not said.out
    try:
        status = cli.main(['replay', str(bag), *QUICK, '--out', str(blocked)])
    except SystemExit as ended:
        status = ended.code
    assert status == 2 and 'cannot be written' in capsys.readouterr().err
    assert blocked.read_text() == 'in the way'


def test_an_interrupted_replay_leaves_nothing_half_done(tmp_path, monkeypatch):
    from edgesegnet_ros.engines.segmenter import Segmenter

    segment, count = Segmenter.segment, []

    def interrupted(self, *words):
        count.append(1)
        if len(count) == 5:
            raise KeyboardInterrupt
        return segment(self, *words)

    monkeypatch.setattr(Segmenter, 'segment', interrupted)
    from edgesegnet_ros import cli

    bag = write(tmp_path / 'bag', frames(9))
    out = tmp_path / 'out'
    assert cli.main(['replay', str(bag), *QUICK, '--out', str(out)]) == 130
    assert not [file for file in out.rglob('*') if file.is_file()]


@pytest.mark.parametrize(
    'words,said',
    [
        (['--rate', '0'], '--rate 0'),
        (['--unlabeled-below', '2'], '--unlabeled-below 2'),
        (['--labels', 'nowhere'], 'neither a folder nor a topic'),
        (['--jobs', '-1'], '--jobs -1'),
        (['--live', '--ray', 'local'], '--live cannot be combined with --ray'),
        (['--against', 'a,b'], '--against a,b'),
    ],
)
def test_wrong_use(words, said):
    import argparse

    from edgesegnet_ros.evaluation.replay import command

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(ReplayError, match=said):
        parse_options(parser.parse_args(['bag', *words]), 1)


def test_leftovers_of_a_killed_process_are_removed(drives, tmp_path):
    result = replay(drives / 'day' / 'drive0', out=tmp_path)
    (finished,) = tmp_path.glob('bags/drive0-*')
    begun = finished.with_name(f'.{finished.name}.abcd_123')
    (begun / finished.name).mkdir(parents=True)
    again = replay(drives / 'day' / 'drive0', '--force', out=tmp_path)
    assert again['labels_sha256'] == result['labels_sha256']
    assert [path.name for path in (tmp_path / 'bags').iterdir()] == [finished.name]

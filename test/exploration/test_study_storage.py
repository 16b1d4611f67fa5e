"""Storage of a study: the pool, resuming, full disks, killed workers, PostgreSQL."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import torch

optuna = pytest.importorskip('optuna')

from small_study import SIZE, TINY, explorer_of  # noqa: E402

from edgesegnet_ros.exploration import history, worker  # noqa: E402
from edgesegnet_ros.exploration.pool import make_pool  # noqa: E402
from edgesegnet_ros.exploration.results import figures_of  # noqa: E402
from edgesegnet_ros.exploration.settings import ExplorationError, Settings  # noqa: E402
from edgesegnet_ros.exploration.storage import (  # noqa: E402
    STORAGE_ERRORS,
    fail_dead_trials,
    open_study,
    storage_error,
)
from edgesegnet_ros.network.registry import build_network  # noqa: E402
from edgesegnet_ros.network.weights import WeightsInfo, save_weights  # noqa: E402


def test_an_interrupted_pool_is_resumed(tmp_path):
    made = []

    def view(number):
        made.append(number)
        if len(made) == 9:
            raise KeyboardInterrupt
        return torch.full((3, 8, 8), number, dtype=torch.uint8), torch.full((8, 8), number % 3)

    def answer(images):
        return images[:, :2, ::4, ::4].float()

    given = (tmp_path / 'pool', 12, (8, 8), view, answer, 2)
    with pytest.raises(KeyboardInterrupt):
        make_pool(*given, {'seed': 1})
    pool = make_pool(*given, {'seed': 1})
    assert [int(image.max()) for image in pool.images] == list(range(12))
    assert pool.logits is not None and float(pool.logits[11].max()) == 11.0
    before = len(made)
    make_pool(*given, {'seed': 1})
    assert len(made) == before
    with pytest.raises(ExplorationError, match='holds views that were made with other settings'):
        make_pool(*given, {'seed': 2})


@contextlib.contextmanager
def files_of_at_most(size):
    """Make the system refuse larger files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_finished_trials(tmp_path, shared, quick, decreed, monkeypatch):
    explorer, study = explorer_of(tmp_path, shared)
    explorer.run(1)
    # The weights do not fit on the disk; the figures of the network are kept all the same.
    phi, info = build_network('phi', 11), WeightsInfo('camvid11', 11, SIZE)
    monkeypatch.setattr(worker, 'save_weights', lambda path, *_: save_weights(path, phi, info))
    with files_of_at_most(1 << 20), pytest.raises(ExplorationError, match='kept: free some space'):
        explorer.run(3)
    trials = study.get_trials()
    assert [trial.state.name for trial in trials] == ['COMPLETE', 'COMPLETE']
    assert history.PERFORMANCE in trials[1].user_attrs
    # The storage itself is full.
    monkeypatch.setattr(worker, 'save_weights', lambda *_: None)
    with files_of_at_most(4096), pytest.raises(STORAGE_ERRORS) as refused:
        explorer.run(1)
    said = str(storage_error(f'sqlite:///{tmp_path / "s.db"}', refused.value))
    assert 'finished trials are kept: free some space' in said and 'typically happens' not in said
    explorer.run(1)
    assert [trial.state.name for trial in study.get_trials()[:2]] == ['COMPLETE', 'COMPLETE']
    # The pool is refused as a whole before a view is made.
    made = (tmp_path / 'pool', 400, (32, 32), lambda number: pytest.fail('made'), None, 2, {})
    with files_of_at_most(1 << 16), pytest.raises(ExplorationError, match='cannot be written'):
        make_pool(*made)


def test_other_settings_are_refused(tmp_path, shared):
    url = f'sqlite:///{tmp_path / "s.db"}'
    open_study(url, 'study', TINY)
    with pytest.raises(ExplorationError, match='settings: steps 12, not 9'):
        open_study(url, 'study', Settings(**{**vars(TINY), 'steps': 9}))
    study = optuna.load_study(study_name='study', storage=url)
    study.set_user_attr('format', 2)
    with pytest.raises(ExplorationError, match='of format 2, and this release reads 1'):
        open_study(url, 'study', TINY)


@pytest.mark.parametrize(
    'url, message',
    [
        ('sqlite:////proc/none/s.db', 'cannot be reached'),
        ('nonsense', 'not a URL of a database'),
        ('postgresql+psycopg://user:secret@127.0.0.1:1/none', 'user@127.*cannot be reached'),
    ],
)
def test_storage_that_cannot_be_reached(url, message):
    with pytest.raises(ExplorationError, match=message) as refused:
        open_study(url, 'study', TINY)
    assert 'secret' not in str(refused.value)


HANGING = """
import sys, time
from pathlib import Path
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.exploration import worker
from edgesegnet_ros.exploration.data import SharedData
from edgesegnet_ros.exploration.storage import join_study

class Watch:
    def __init__(self, *_): pass
    def reference_ms(self): return 10.0
    def share(self, design):
        print('works', flush=True)
        time.sleep(600)

worker.RelativeLatency = Watch
study, settings = join_study(sys.argv[1], 'study')
shared = SharedData(load_classes('camvid11'), None, [])
worker.Explorer(study, settings, shared, Path('none')).run(1)
"""


def kill_one_of_two_workers(url, tmp_path, shared):
    """Kill one of two workers; the trials of the other are kept, and the study is resumed."""
    study = open_study(url, 'study', TINY)
    hanging = subprocess.Popen(
        [sys.executable, '-c', HANGING, url], stdout=subprocess.PIPE, text=True
    )
    try:
        assert hanging.stdout.readline() == 'works\n'
        other = worker.Explorer(open_study(url, 'study', TINY), TINY, shared, tmp_path)
        other.run(2)
        assert [trial.state.name for trial in study.get_trials()][0] == 'RUNNING'
    finally:
        hanging.send_signal(signal.SIGKILL)
        hanging.wait()
    assert fail_dead_trials(study) == [0]
    states = [trial.state.name for trial in study.get_trials()]
    assert states[0] == 'FAIL' and set(states[1:]) <= {'COMPLETE', 'PRUNED'} and len(states) == 3
    assert study.get_trials()[0].user_attrs[history.REASON] == 'killed: its process ended'
    # A worker killed between its last figure and its end loses nothing.
    late = study.ask()
    late.set_user_attr('worker', f'{socket.gethostname()}:{hanging.pid}')
    late.set_user_attr(history.RUNGS, [[TINY.steps, 0.5, 60.0]])
    late.set_user_attr(history.PERFORMANCE, 60.0)
    assert not fail_dead_trials(study)
    assert study.get_trials()[3].value == 60.0
    states.append('COMPLETE')
    again = open_study(url, 'study', TINY)
    assert [trial.state.name for trial in again.get_trials()] == states
    assert figures_of(again, TINY, 1.0)['infeasible'] == {'killed': 1}


PARENT = """
import subprocess, sys
code = (
    'import time; from edgesegnet_ros.child_process import end_with_parent; end_with_parent(); '
    'print(1, flush=True); time.sleep(600)'
)
child = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='needs Linux')
def test_workers_end_with_a_command_that_is_killed():
    parent = subprocess.Popen([sys.executable, '-c', PARENT], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    with contextlib.suppress(psutil.NoSuchProcess):
        while child.status() != psutil.STATUS_ZOMBIE:  # its new parent may not take it at once
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_finished_trials_survive_a_killed_worker(tmp_path, shared, quick, decreed):
    kill_one_of_two_workers(f'sqlite:///{tmp_path / "s.db"}', tmp_path, shared)


def _postgres():
    """The folder of PostgreSQL's programs, or None."""
    for folder in sorted(Path('/usr/lib/postgresql').glob('*/bin'), reverse=True):
        if (folder / 'initdb').exists():
            return folder
    found = shutil.which('initdb')
    return Path(found).parent if found else None


@pytest.fixture
def postgresql():
    """URL of a database on a server of the test's own, run without privileges."""
    programs = _postgres()
    if programs is None:
        pytest.skip('PostgreSQL IS NOT INSTALLED (apt-get install postgresql): not tested with it')
    pytest.importorskip('psycopg')
    folder = Path(tempfile.mkdtemp(prefix='postgres-'))
    account = {}
    if os.geteuid() == 0:
        # The server refuses to run as root.
        account = {'user': 'nobody', 'group': 'nogroup', 'extra_groups': []}
        shutil.chown(folder, 'nobody')
    data = folder / 'data'
    options = {'check': True, 'cwd': folder, 'stdout': subprocess.DEVNULL, **account}
    subprocess.run([programs / 'initdb', '-A', 'trust', '-U', 'own', '-N', data], **options)
    flags = f'-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off'
    control = [programs / 'pg_ctl', '-w', '-D', data, '-l', folder / 'log']
    subprocess.run([*control, '-o', flags, 'start'], **options)
    try:
        yield f'postgresql+psycopg://own@/postgres?host={folder}'
    finally:
        subprocess.run([*control, '-m', 'immediate', 'stop'], **options)
        shutil.rmtree(folder)


def test_two_workers_on_postgresql_one_of_which_is_killed(
    postgresql, tmp_path, shared, quick, decreed
):
    kill_one_of_two_workers(postgresql, tmp_path, shared)

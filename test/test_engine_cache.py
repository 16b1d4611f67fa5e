"""The cache rebuilds what it cannot trust, says why, and holds against kills and rivals."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from edgesegnet_ros.engines import cache, image_sets, open_engine, parity, proving
from edgesegnet_ros.engines.base import Engine
from edgesegnet_ros.engines.image_sets import ImageSet, calibration_set, parity_set
from edgesegnet_ros.engines.parity import EngineRefused
from edgesegnet_ros.engines.proving import is_proved, proved_engine
from edgesegnet_ros.engines.pytorch import TorchBackEnd
from edgesegnet_ros.engines.recipe import recipe_for
from edgesegnet_ros.engines.request import EngineError, EngineRequest

SIZE = (32, 48)
ONE_STREET = ImageSet('one street', (), 5, 1)


class FilesOfTorch(TorchBackEnd):
    """A back end with an engine file, whose engine is torch's: what is under test is around it."""

    name = 'openvino'
    suffix = '.engine'

    def __init__(self, change=lambda engine: None) -> None:
        self.built = 0
        self.change = change

    def build(self, recipe, path: Path) -> None:
        self.built += 1
        path.write_bytes(b'an engine file' * 100)

    def load(self, recipe, path: Path) -> Engine:
        if path.read_bytes() != b'an engine file' * 100:
            raise EngineError(f'{path}: foreign')
        engine = super().load(recipe._replace(precision='fp32'), path)
        self.change(engine)
        return engine


@pytest.fixture(scope='module')
def recipe():
    return recipe_for(EngineRequest(precision='fp32', input_size=SIZE, num_threads=1))


@pytest.fixture
def entry(tmp_path, recipe):
    """A cache with one engine in it."""
    proved_engine(FilesOfTorch(), recipe, tmp_path, ONE_STREET)
    return cache.Entry(tmp_path, FilesOfTorch(), recipe)


def test_a_warm_start_builds_and_proves_nothing(tmp_path, recipe, entry, monkeypatch):
    monkeypatch.setattr(proving, 'judge', lambda *_: pytest.fail('the verdict is kept'))
    back_end = FilesOfTorch()
    proved = proved_engine(back_end, recipe, tmp_path, ONE_STREET)
    assert back_end.built == 0 and proved.verdict.agreement >= 0.9999
    assert '% of the labels equal those of fp32' in proved.engine.describe().reason
    record = json.loads(entry.record_file.read_text())
    assert record['fingerprint'] == {
        'format': cache.FORMAT,
        'weights_sha256': recipe.weights_sha256,
        'ignored_classes': [],
        'input_size': list(SIZE),
        'precision': 'fp32',
        'engine': 'openvino',
        'version': torch.__version__,
        'device': back_end.target('cpu'),
    }


def edit_record(entry, **changes):
    record = json.loads(entry.record_file.read_text())
    record['fingerprint'].update(changes)
    entry.record_file.write_text(json.dumps(record))


def replace_in_record(entry, **changes):
    record = json.loads(entry.record_file.read_text())
    entry.record_file.write_text(json.dumps({**record, **changes}))


def verdict(**changes):
    return {**parity.Verdict('one street', 1, 1.0, 0.0, True, '')._asdict(), **changes}


def replace_by_link(file):
    other = file.with_name('planted')
    file.rename(other)
    file.symlink_to(other)


@pytest.mark.parametrize(
    ('spoil', 'why'),
    [
        (lambda e: e.file.write_bytes(e.file.read_bytes()[:700]), 'truncated, or not the one'),
        (lambda e: e.file.write_bytes(b'PK foreign'), 'truncated, or not the one'),
        (lambda e: e.file.unlink(), 'its file cannot be read'),
        (lambda e: e.record_file.unlink(), 'the build was interrupted'),
        (lambda e: e.record_file.write_text('{"finger'), 'its record is corrupt'),
        (lambda e: e.record_file.write_text('{"other": 1}'), 'its record is corrupt'),
        (lambda e: e.record_file.write_text('[' * 100_000), 'its record is corrupt'),
        (lambda e: replace_in_record(e, fingerprint=[]), 'its record is corrupt'),
        (lambda e: replace_in_record(e, verdicts={'streets-5-1': 7}), 'its verdict is corrupt'),
        (
            lambda e: replace_in_record(e, verdicts={'streets-5-1': verdict(agreement='all')}),
            'its verdict is corrupt',
        ),
        (lambda e: e.file.chmod(0o666), 'its file is not used: its mode 666 lets other users'),
        (lambda e: replace_by_link(e.record_file), 'its record is not used: it is a symbolic'),
        (
            lambda e: edit_record(e, device='Xavier (compute capability 7.2)'),
            "its device was 'Xavier (compute capability 7.2)' and is",
        ),
        (lambda e: edit_record(e, version='8.5'), "its version was '8.5' and is"),
        (lambda e: edit_record(e, weights_sha256='0'), "its weights_sha256 was '0'"),
        (lambda e: edit_record(e, input_size=[64, 64]), 'its input_size was [64, 64]'),
    ],
)
def test_an_engine_that_cannot_be_trusted_is_rebuilt_with_one_log_line(
    tmp_path, recipe, entry, caplog, spoil, why
):
    spoil(entry)
    back_end = FilesOfTorch()
    assert not is_proved(back_end, recipe, tmp_path, ONE_STREET)
    with caplog.at_level(logging.WARNING, 'edgesegnet_ros'):
        proved = proved_engine(back_end, recipe, tmp_path, ONE_STREET)
    assert back_end.built == 1 and proved.verdict.objection == ''
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1 and why in lines[0] and entry.name in lines[0]
    assert is_proved(back_end, recipe, tmp_path, ONE_STREET)


def test_an_engine_that_the_library_will_not_load_is_built_again(tmp_path, recipe, entry, caplog):
    entry.file.write_bytes(b'foreign')
    record = json.loads(entry.record_file.read_text())
    record['file_sha256'] = cache.file_sha256(entry.file)
    entry.record_file.write_text(json.dumps(record))
    back_end = FilesOfTorch()
    proved_engine(back_end, recipe, tmp_path, ONE_STREET)
    assert back_end.built == 1 and 'foreign' in caplog.text


def mostly_sky(engine):
    infer = engine.infer

    def broken(image, labels, confidence=None):
        infer(image, labels, confidence)
        labels[: len(labels) // 2] = 0

    engine.infer = broken


def test_a_broken_engine_is_refused_by_name_and_figures_and_stays_so(
    tmp_path, recipe, monkeypatch
):
    back_end = FilesOfTorch(mostly_sky)
    with pytest.raises(EngineRefused) as refused:
        proved_engine(back_end, recipe, tmp_path, ONE_STREET)
    sentence = str(refused.value)
    assert sentence.startswith('the engine openvino fp32 is refused: ')
    assert re.search(
        r', accuracy -\d+\.\d\d points on one street; at least 99\.99 % of the', sentence
    )
    monkeypatch.setattr(proving, 'judge', lambda *_: pytest.fail('the verdict is kept'))
    with pytest.raises(EngineRefused, match='is refused'):
        proved_engine(back_end, recipe, tmp_path, ONE_STREET)
    assert back_end.built == 1 and not is_proved(back_end, recipe, tmp_path, ONE_STREET)


def test_nan_is_refused(tmp_path, recipe):
    def not_a_number(engine):
        engine.last_logits = lambda: np.array([1.0, np.nan], np.float32)

    with pytest.raises(EngineRefused, match='NaN or infinite logits'):
        proved_engine(FilesOfTorch(not_a_number), recipe, tmp_path, ONE_STREET)


@pytest.mark.parametrize(
    ('precision', 'agreement', 'points', 'passes'),
    [
        ('fp32', 0.9999, None, True),
        ('fp32', 0.99989, None, False),
        ('fp16', 0.99, 0.2, True),
        ('fp16', 0.989, 0.0, False),
        ('bf16', 0.995, 0.21, False),
        ('int8', 0.98, 0.3, True),
        ('int8', 0.979, 0.0, False),
        ('int8', 0.99, 0.31, False),
    ],
)
def test_thresholds(precision, agreement, points, passes):
    verdict = parity.Verdict('', 1, agreement, points, True, '')
    assert (parity._objection(verdict, precision) == '') is passes


BUILDER = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_engine_cache import *
class Slow(FilesOfTorch):
    def build(self, recipe, path):
        path.write_bytes(b'half an eng')
        print('building', flush=True)
        if sys.argv[2] == 'hang':
            time.sleep(600)
        time.sleep(0.5)
        super().build(recipe, path)
back_end = Slow()
recipe = recipe_for(EngineRequest(precision='fp32', input_size=SIZE, num_threads=1))
proved_engine(back_end, recipe, Path(sys.argv[1]), ONE_STREET)
print('built', back_end.built, flush=True)
"""


def builder(folder: Path, how: str) -> subprocess.Popen:
    code = BUILDER.format(tests=str(Path(__file__).parent))
    return subprocess.Popen(
        [sys.executable, '-c', code, str(folder), how], stdout=subprocess.PIPE, text=True
    )


def test_a_kill_in_the_middle_of_a_build_leaves_nothing_half(tmp_path, recipe):
    victim = builder(tmp_path, 'hang')
    assert victim.stdout.readline() == 'building\n'
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    back_end = FilesOfTorch()
    entry = cache.Entry(tmp_path, back_end, recipe)
    assert not entry.file.exists() and not entry.record_file.exists()
    proved_engine(back_end, recipe, tmp_path, ONE_STREET)
    assert back_end.built == 1 and not list(tmp_path.glob('*.partial*'))


def test_two_processes_that_want_the_same_engine_build_it_once(tmp_path):
    both = [builder(tmp_path, 'go'), builder(tmp_path, 'go')]
    told = [process.communicate(timeout=240)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(text.split()[-1] for text in told) == ['0', '1'], told


@pytest.fixture
def read_only(monkeypatch):
    """The operating system's refusals; as root, modes alone would refuse nothing."""
    import errno
    import os

    opened = os.open

    def refuse(path, flags, *mode, **where):
        if flags & (os.O_CREAT | os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EROFS, 'Read-only file system', str(path))
        return opened(path, flags, *mode, **where)

    monkeypatch.setattr(os, 'open', refuse)


def test_a_read_only_cache_that_holds_the_engine_is_used(tmp_path, recipe, entry, read_only):
    back_end = FilesOfTorch()
    proved = proved_engine(back_end, recipe, tmp_path, ONE_STREET)
    assert back_end.built == 0 and proved.file == entry.file
    before = entry.record_file.read_text()
    proved_engine(back_end, recipe, tmp_path, ONE_STREET._replace(seed=9))
    assert entry.record_file.read_text() == before


def test_a_read_only_cache_without_the_engine(tmp_path, recipe, entry, read_only):
    entry.file.unlink()
    with pytest.raises(EngineError, match='cannot be stored there .Read-only file system.; set'):
        proved_engine(FilesOfTorch(), recipe, tmp_path, ONE_STREET)


def test_a_cache_that_others_can_write_is_not_used(tmp_path, recipe, entry):
    outside = tmp_path / 'outside'
    outside.write_text('precious')
    shared = tmp_path / 'shared'
    shared.mkdir()
    shared.chmod(0o777)
    for suffix in ('.lock', '.json', '.engine'):
        (shared / (entry.name + suffix)).symlink_to(outside)
    with pytest.raises(EngineError, match='because its mode 777 lets other users write it'):
        proved_engine(FilesOfTorch(), recipe, shared, ONE_STREET)
    assert not is_proved(FilesOfTorch(), recipe, shared, ONE_STREET)
    assert outside.read_text() == 'precious'


def test_a_cache_of_another_user(tmp_path, recipe, entry, monkeypatch):
    monkeypatch.setattr('os.geteuid', lambda: 4242)
    found = entry.file.stat().st_uid
    if found == 0:
        assert cache.why_not_trusted(entry.file) is None  # root could do anything anyway
        import os

        os.chown(str(tmp_path), 1234, 1234)
        found = 1234
    with pytest.raises(EngineError, match=f'it belongs to the user with the id {found}'):
        proved_engine(FilesOfTorch(), recipe, tmp_path, ONE_STREET)


def test_a_new_cache_is_private(tmp_path, recipe):
    proved_engine(FilesOfTorch(), recipe, tmp_path / 'a/b', ONE_STREET)
    assert (tmp_path / 'a/b').stat().st_mode & 0o777 == 0o700


def test_a_lock_is_not_waited_for_without_a_limit(tmp_path, recipe, entry):
    with entry.locked():
        started = time.monotonic()
        with pytest.raises(EngineError, match='another process has been building the engine'):
            with cache.Entry(tmp_path, FilesOfTorch(), recipe).locked(limit_s=0.05):
                pass
        assert time.monotonic() - started < 30
    with cache.Entry(tmp_path, FilesOfTorch(), recipe).locked(limit_s=0.0):
        pass


def test_a_user_without_a_home(monkeypatch, recipe):
    """A uid without an entry in passwd, and no HOME, as containers have."""
    import pwd

    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, 'getpwuid', nobody)
    for name in ('HOME', 'XDG_CACHE_HOME', cache.ENVIRONMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    request = EngineRequest(engine='torch', precision='fp32', input_size=SIZE, num_threads=1)
    assert open_engine(request).engine.describe().engine == 'torch'
    with pytest.raises(EngineError, match='no home folder to store engines in: set engine_cache'):
        proved_engine(FilesOfTorch(), recipe, None, ONE_STREET)


def test_a_cache_that_cannot_be_written_is_reported(tmp_path, recipe):
    (tmp_path / 'file').write_text('')
    with pytest.raises(EngineError, match='set engine_cache or EDGESEGNET_ENGINE_CACHE'):
        proved_engine(FilesOfTorch(), recipe, tmp_path / 'file', ONE_STREET)


def test_where_engines_are_kept(monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, '/a')
    assert cache.cache_folder('/b') == Path('/b') and cache.cache_folder() == Path('/a')
    monkeypatch.delenv(cache.ENVIRONMENT_VARIABLE)
    monkeypatch.setenv('XDG_CACHE_HOME', '/c')
    assert cache.cache_folder() == Path('/c/edgesegnet_ros')
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert cache.cache_folder() == Path.home() / '.cache/edgesegnet_ros'


def test_folders_of_pictures(tmp_path):
    with pytest.raises(EngineError, match='no such folder of parity_frames'):
        parity_set(str(tmp_path / 'none'))
    with pytest.raises(EngineError, match='holds no image to use as calibration images'):
        calibration_set(str(tmp_path))
    (tmp_path / 'a.png').write_bytes(b'no picture')
    broken = calibration_set(str(tmp_path))
    with pytest.raises(EngineError, match='a.png'):
        recipe_for(EngineRequest(input_size=SIZE))._replace(calibrated_on=broken).calibration()
    before = broken.identity
    (tmp_path / 'a.png').write_bytes(b'another one')
    assert calibration_set(str(tmp_path)).identity != before


def test_the_users_frames_and_labels_are_what_counts(tmp_path, recipe):
    import cv2

    images, labels = tmp_path / 'drive', tmp_path / 'driveannot'
    images.mkdir(), labels.mkdir()
    frame = next(image_sets.ImageSet('', (), 5, 1).read(recipe.classes))
    cv2.imwrite(str(images / '1.png'), frame[0][..., ::-1])
    cv2.imwrite(str(images / '2.png'), frame[0][..., ::-1])
    cv2.imwrite(str(labels / '1.png'), frame[1])
    cv2.imwrite(str(labels / '2.png'), np.full((3, 3), 200, np.uint8))
    read = list(parity_set(str(images)).read(recipe.classes))
    assert np.array_equal(read[0][0], frame[0]) and np.array_equal(read[0][1], frame[1])
    assert read[1][1] is None
    proved = proved_engine(FilesOfTorch(), recipe, tmp_path / 'cache', parity_set(str(images)))
    assert proved.verdict.pictures == 2 and proved.verdict.points_lost == 0.0
    assert proved.verdict.frames == f'2 of 2 images of {images}'

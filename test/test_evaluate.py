"""`edgesegnet evaluate` on rendered streets: 11 classes, 32 colours, figures, page, gates."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest

from edgesegnet_ros import cli, shipped
from edgesegnet_ros.data import camvid_colors
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.datasets import open_dataset
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.evaluation import measure
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo, load_weights, save_weights

IMAGES = 6
RUN = [
    'evaluate',
    '--engine',
    'torch',
    '--precision',
    'fp32',
    '--input-size',
    '64x64',
    '--num-threads',
    '1',
]


def as_32(labels: np.ndarray) -> np.ndarray:
    """Ids of the 32, one that folds to each of the 11; void where there is none."""
    back = np.full(256, camvid_colors.void(), np.uint8)
    folded = camvid_colors.fold(np.arange(camvid_colors.CLASSES, dtype=np.uint8)[None])[0]
    for index in range(11):
        back[index] = np.flatnonzero(folded == index)[0]
    return back[labels]


@pytest.fixture(scope='module')
def streets(tmp_path_factory):
    """Two CamVid folders of the same streets: class ids of the 11, and CamVid's own colours."""
    folders = [tmp_path_factory.mktemp(name) for name in ('ids', 'colors')]
    for folder in folders:
        for split in ('val', 'test'):
            (folder / split).mkdir()
            (folder / f'{split}annot').mkdir()
    ids, colors = folders
    for number in range(IMAGES):
        frame = Street(number, (64, 96)).frame(0)
        split = 'val' if number else 'test'
        bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
        for folder in folders:
            cv2.imwrite(str(folder / split / f'{number:02}.png'), bgr)
        cv2.imwrite(str(ids / f'{split}annot/{number:02}.png'), frame.labels)
        painted = camvid_colors.palette()[as_32(frame.labels)]
        cv2.imwrite(
            str(colors / f'{split}annot/{number:02}_L.png'),
            cv2.cvtColor(painted, cv2.COLOR_RGB2BGR),
        )
    return ids, colors


def evaluated(*words) -> dict:
    """The JSON of one run that must end well."""
    out = words[words.index('--json') + 1]
    assert cli.main([*RUN, *map(str, words)]) == 0
    return json.loads(out.read_text())


def test_figures_and_page(streets, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(measure, 'WORST', 3)
    figures = evaluated(
        '--data', streets[0], '--out', tmp_path / 'out', '--json', tmp_path / 'e.json'
    )
    assert {
        'model',
        'split',
        'classes',
        'images',
        'input_size',
        'pixel_accuracy',
        'miou',
        'iou',
        'ece',
    } <= set(figures)
    assert figures['images'] == IMAGES - 1 and figures['input_size'] == [64, 64]
    confusion = np.array(figures['confusion'])
    assert figures['pixel_accuracy'] == pytest.approx(np.trace(confusion) / confusion.sum())
    assert sum(figures['pixels'].values()) == confusion.sum()
    logits = figures['calibration']['logits']
    # The same pixels through the same arithmetic: the engine's confidence is the reference's.
    assert figures['ece'] == pytest.approx(logits['ece_after'], abs=2e-3)
    worst = [each['pixel_accuracy'] for each in figures['worst']]
    assert len(worst) == 3 and worst == sorted(worst)
    assert worst[0] <= figures['pixel_accuracy']
    assert (tmp_path / 'out/evaluate.json').read_text() == (tmp_path / 'e.json').read_text()
    page = (tmp_path / 'out/report.html').read_text()
    assert str(tmp_path / 'out/report.html') in capsys.readouterr().out
    assert len(re.findall('<img src="data:', page)) == 4 * 3
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert f'{100 * figures["miou"]:.1f}' in page and len(page) < 4_000_000


def test_camvids_colours_fold_to_the_models_11(streets, tmp_path):
    plain = evaluated('--data', streets[0], '--json', tmp_path / 'a.json', '--no-calibration')
    folded = evaluated(
        '--data',
        streets[1],
        '--classes',
        'camvid32',
        '--json',
        tmp_path / 'b.json',
        '--no-calibration',
    )
    assert folded['classes'] == 'camvid11' and folded['labels'] == 'camvid32'
    assert folded['confusion'] == plain['confusion'] and folded['ece'] == plain['ece']


@pytest.fixture(scope='module')
def model_of_32(tmp_path_factory):
    path = tmp_path_factory.mktemp('m') / 'm32.safetensors'
    save_weights(
        path, build_network('edgesegnet', 32).eval(), WeightsInfo('camvid32', 32, (64, 64))
    )
    return path


def test_32_classes_are_scored_without_void(streets, model_of_32, tmp_path):
    figures = evaluated(
        '--data',
        streets[1],
        '--classes',
        'camvid32',
        '--model',
        model_of_32,
        '--html',
        tmp_path / 'p.html',
        '--json',
        tmp_path / 'a.json',
    )
    assert figures['classes'] == 'camvid32' and len(figures['iou']) == 31
    assert 'void' not in figures['iou'] and 'void' not in figures['pixels']
    assert np.shape(figures['confusion']) == (31, 31)
    folded = evaluated('--data', streets[0], '--model', model_of_32, '--json', tmp_path / 'b.json')
    # Folding can only mend: what is right among the 32 is right among the 11.
    assert folded['classes'] == 'camvid11' and len(folded['iou']) == 11
    assert folded['pixel_accuracy'] >= figures['pixel_accuracy']


def test_ids_of_the_11_are_not_taken_for_the_32(streets, model_of_32, capsys):
    words = ['--data', str(streets[0]), '--classes', 'camvid32', '--model', str(model_of_32)]
    assert cli.main([*RUN, *words]) == 2
    assert "seem to be ids of CamVid's 11 classes" in capsys.readouterr().err


def test_a_dataset_that_states_its_values_is_followed(streets, model_of_32, tmp_path):
    """A part of a street can lack everything above the eleventh of the 32."""
    names = load_classes('camvid11').names
    values = {number: 'fence' if name == 'fence' else 'car' for number, name in enumerate(names)}
    lines = ['layout: camvid', f'root: {streets[0]}', 'values:']
    lines += [f'  {number}: {name}' for number, name in values.items()]
    file = tmp_path / 'dataset.yaml'
    file.write_text('\n'.join(lines))
    words = ('--classes', 'camvid32', '--model', model_of_32, '--no-calibration')
    figures = evaluated('--data', file, *words, '--json', tmp_path / 'a.json')
    assert {name for name, count in figures['pixels'].items() if count} <= {'car', 'fence'}


def test_32_classes_of_another_set_are_not_camvids(streets, tmp_path, capsys):
    """Neither folded nor taken for CamVid's: their number alone says nothing."""
    classes = tmp_path / 'mine.yaml'
    lines = [f'  - {{id: {i}, name: c{i}, color: [{i}, 0, 9]}}' for i in range(32)]
    classes.write_text('\n'.join(['name: mine', 'classes:', *lines]))
    assert cli.main([*RUN, '--data', str(streets[0]), '--classes', str(classes)]) == 2
    assert 'has 32 classes, but the model gives 11' in capsys.readouterr().err
    labels = np.uint8([[30, 32, 255, 31]])
    for folder, image in (('val', np.zeros((1, 4, 3), np.uint8)), ('valannot', labels)):
        (tmp_path / 'data' / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / 'data' / folder / 'a.png'), image)
    dataset = open_dataset(tmp_path / 'data', load_classes(str(classes)))
    assert dataset.read(dataset.samples('val')[0])[1].tolist() == [[30, 255, 255, 31]]


def test_the_temperature_is_fitted_on_val_and_kept(streets, tmp_path, capsys):
    model = tmp_path / 'm.safetensors'
    model.write_bytes(shipped.find('models', 'edgesegnet-camvid11').read_bytes())
    figures = evaluated(
        '--data', streets[0], '--model', model, '--fit-temperature', '--json', tmp_path / 'a.json'
    )
    temperature = figures['calibration']['temperature']
    assert load_weights(model)[1].temperature == temperature != 1.0
    fit = figures['calibration']['fit']
    assert fit['nll_after'] < fit['nll_before']
    again = evaluated('--data', streets[0], '--model', model, '--json', tmp_path / 'b.json')
    assert again['ece'] == figures['ece'] and again['calibration']['fit'] is None
    # No label moved.
    assert again['confusion'] == figures['confusion']
    before = model.read_bytes()
    for split in ('test', 'train'):
        capsys.readouterr()
        assert cli.main([*RUN, '--model', str(model), '--fit-temperature', '--split', split]) == 2
        assert 'fitted on val only' in capsys.readouterr().err
    assert model.read_bytes() == before


def test_gates(streets, tmp_path, capsys):
    words = [*RUN, '--data', str(streets[0]), '--split', 'test', '--no-calibration']
    assert cli.main([*words, '--fail-if', 'miou>2', '--fail-if', 'images!=1']) == 0
    assert cli.main([*words, '--fail-if', 'miou<=1', '--fail-if', 'images>1']) == 1
    assert 'miou<=1 fired: miou is 0.' in capsys.readouterr().out
    assert cli.main([*words, '--fail-if', 'calibration.logits.ece_after>1']) == 2
    assert 'never counts as a pass' in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, '--data', '/nowhere', '--fail-if', 'miou'])
    assert ended.value.code == 2 and 'not a condition' in capsys.readouterr().err


def test_every_wrong_file_is_named_before_work_starts(streets, tmp_path, capsys):
    for part in ('val', 'valannot'):
        (tmp_path / part).mkdir()
        for file in (streets[0] / part).iterdir():
            (tmp_path / part / file.name).write_bytes(file.read_bytes())
    (tmp_path / 'valannot/03.png').unlink()
    (tmp_path / 'val/05.png').write_bytes(b'none')
    assert cli.main([*RUN, '--data', str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert '03.png: missing' in error and '05.png: not an image' in error

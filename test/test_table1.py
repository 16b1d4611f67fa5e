"""Table 1 and Figure 2: ours beside the paper's, and never the paper's for ours."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from drawn_dataset import CLASS_FILE

from edgesegnet_ros import cli, shipped
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.overlay import legend
from edgesegnet_ros.evaluation import figure2, table1
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo, save_weights

SPEEDS = {
    'refinenet101': {
        'fps': 0.52,
        'engine': 'torch eager',
        'precision': 'fp32',
        'params': 118_029_387,
        'gmac': 65.6,
    },
    'edgesegnet': {
        'fps': 21.04,
        'engine': 'torch',
        'precision': 'fp32',
        'params': 4_323_342,
        'gmac': 9.8,
    },
}
FIGURES = {'pixel_accuracy': 0.8123, 'miou': 0.42, 'split': 'test', 'input_size': [256, 256]}


@pytest.fixture
def measured(monkeypatch):
    """What takes long is given."""
    monkeypatch.setattr(table1, 'speeds', lambda args: SPEEDS)
    monkeypatch.setattr(table1, 'peak_memory', lambda name, size, classes: 100.4)


def write_figures(folder, **changed):
    path = folder / 'mine.json'
    path.write_text(json.dumps({**FIGURES, **changed}))
    weights = path.with_suffix('.safetensors')
    weights.symlink_to(shipped.find('models', shipped.DEFAULT_MODEL))
    return str(weights)


def test_ours_and_in_brackets_the_papers(measured, tmp_path, capsys):
    model = write_figures(tmp_path, training='trained for 3 epochs')
    out = tmp_path / 'table.json'
    words = ['table1', '--model', model, '--refinenet', str(tmp_path / 'none.safetensors')]
    assert cli.main([*words, '--json', str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    [refinenet] = [line for line in lines if line.startswith('RefineNet-101  ')]
    [own] = [line for line in lines if line.startswith('EdgeSegNet  ')]
    assert refinenet.split() == [
        'RefineNet-101',
        'not',
        'measured',
        '[90.3]',
        '0.5',
        '[-]',
        '472.1',
        '[343]',
        '65.6',
        '100',
    ]
    assert own.split() == [
        'EdgeSegNet',
        '81.2',
        '[89.7]',
        '21.0',
        '[38.5]',
        '17.3',
        '[16.7]',
        '9.8',
        '100',
    ]
    text = '\n'.join(lines)
    assert 'EdgeSegNet: accuracy mine.json, trained for 3 epochs; speed with torch fp32' in text
    assert 'this machine' in text and 'Jetson AGX Xavier' in text
    table = json.loads(out.read_text())
    assert table['rows'][0]['pixel_accuracy'] is None
    assert table['rows'][0]['paper']['pixel_accuracy'] == pytest.approx(0.903)
    assert table['machine']['cpu'] and table['command'][0] == 'edgesegnet'


@pytest.mark.parametrize(
    ('changed', 'sentence'),
    [
        ({'split': 'val'}, 'figures of val at 256x256, but Table 1 is of test'),
        ({'input_size': [368, 480]}, 'figures of test at 368x480'),
        ({'input_size': 3}, 'not what `edgesegnet evaluate --json` writes'),
    ],
)
def test_other_figures_are_refused(measured, tmp_path, capsys, changed, sentence):
    assert cli.main(['table1', '--model', write_figures(tmp_path, **changed)]) == 2
    assert sentence in capsys.readouterr().err


def test_shipped_figures_of_another_size_leave_the_other_row(measured, tmp_path, capsys):
    model = write_figures(tmp_path, input_size=[368, 480])
    assert cli.main(['table1', '--model', model, '--input-size', '368x480']) == 0
    text = capsys.readouterr().out
    assert 'RefineNet-101: accuracy not measured (' in text
    assert 'refinenet101-camvid11.json: figures of test at 256x256' in text
    assert '81.2 [89.7]' in text


def test_the_fastest_row_counts_and_int8_does_not(monkeypatch):
    from edgesegnet_ros.evaluation.bench import command

    def row(network, engine, precision, fps):
        return {'network': network, 'engine': engine, 'precision': precision, 'fps': fps}

    rows = [
        row('EdgeSegNet', 'torch eager', 'fp32', 9.0),
        row('EdgeSegNet', 'torch', 'fp32', 20.0),
        row('EdgeSegNet', 'openvino', 'int8', 90.0),
        row('RefineNet-101', 'torch eager', 'fp32', 0.5),
    ]
    monkeypatch.setattr(command, 'measure', lambda *arguments: {'rows': rows})
    args = cli.build_parser('table1').parse_args(['table1'])
    fastest = table1.speeds(args)
    assert fastest['edgesegnet'] == rows[1] and fastest['refinenet101'] == rows[3]


def use_memory(kept_mib: int, freed_mib: int) -> float:
    before = table1._resident_peak_mib()
    freed = np.ones(freed_mib << 20, np.uint8)
    del freed
    np.ones(kept_mib << 20, np.uint8)
    return before


def test_peak_memory_is_the_most_at_any_time_and_not_a_sum():
    assert 295 < table1.added_peak_mib(use_memory, 100, 300) < 340


def test_peak_memory_holds_the_parameters_and_two_sets_of_features():
    # 217 features at a quarter of 512x512 are made from as many: 13.6 MiB each in fp32. The 4.3
    # million parameters are 16.5 MiB.
    least = 16.5 + 2 * 217 * 128 * 128 * 4 / 2**20
    assert least < table1.peak_memory('edgesegnet', (512, 512), 11) < 10 * least


def test_figure_2_shows_picture_labels_and_prediction():
    classes = load_classes('camvid11')
    labels = np.zeros((40, 60), np.uint8)
    labels[20:] = 3
    labels[:, 50:] = 255
    image = np.full((40, 60, 3), 9, np.uint8)
    row = figure2.row_of(figure2.Example(image, labels), np.full_like(labels, 8), classes.palette)
    sky, road, car = (classes.classes[number].color for number in (0, 3, 8))
    assert row.shape == (40, 3 * 60 + 2 * 6, 3)
    assert row[5, 5].tolist() == [9, 9, 9]
    assert tuple(row[5, 66 + 5]) == sky and tuple(row[30, 66 + 5]) == road
    assert tuple(row[5, 66 + 55]) == (0, 0, 0)
    assert tuple(row[30, 132 + 5]) == car
    strip = legend(classes, row.shape[1])
    sheet = figure2.sheet([row, row], 60, strip, 'x')
    assert sheet.shape == (26 + 2 * (40 + 6) + len(strip), row.shape[1], 3)
    with pytest.raises(figure2.Figure2Error, match='several widths'):
        figure2.sheet([row, row[:, :-1]], 60, strip, 'x')


def test_figure_2_of_a_folder(tmp_path, monkeypatch, capsys):
    for part in ('test', 'testannot'):
        (tmp_path / part).mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'test/{number}.png'), np.zeros((32, 32, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f'testannot/{number}.png'), np.zeros((32, 32), np.uint8))
    words = [
        'figure2',
        '--data',
        str(tmp_path),
        '--input-size',
        '64x64',
        '--out',
        str(tmp_path / 'new/f.png'),
        '--json',
        str(tmp_path / 'f.json'),
    ]
    assert cli.main([*words, '--rows', '2']) == 0
    assert 'only if their licence lets you' in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / 'new/f.png')).shape[1] == 3 * 32 + 12
    figures = json.loads((tmp_path / 'f.json').read_text())
    assert len(figures['pixel_accuracy']) == 2 and figures['shown'] == 'test'
    assert cli.main([*words, '--rows', '4']) == 2
    assert '--rows 4: must be from 1 to 3' in capsys.readouterr().err


def test_data_that_is_not_there_is_refused_before_anything_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(table1, 'speeds', None)
    assert cli.main(['table1', '--data', 'nowhere']) == 2
    assert 'nowhere: no such folder or file' in capsys.readouterr().err


def test_figure_2_shows_no_street_whose_classes_the_network_does_not_have(tmp_path, capsys):
    assert cli.main(['figure2', '--classes', 'camvid32']) == 2
    assert 'class file camvid32 has 32 classes, but' in capsys.readouterr().err
    (tmp_path / 'field3.yaml').write_text(CLASS_FILE)
    classes = load_classes(str(tmp_path / 'field3.yaml'))
    path = tmp_path / 'field.safetensors'
    info = WeightsInfo('field3', 3, (32, 32), class_set=classes.as_document())
    save_weights(path, build_network('enet', 3), info)
    assert cli.main(['figure2', '--model', str(path)]) == 2
    error = capsys.readouterr().err
    assert 'have the classes of camvid11, not those of field3: give --data' in error

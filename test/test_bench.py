"""`edgesegnet bench`: rows by value, turns, and what cannot be measured."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from edgesegnet_ros import cli
from edgesegnet_ros.engines.base import EngineDescription
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.evaluation.bench import cases, peak, rows, timing
from edgesegnet_ros.evaluation.bench.command import chosen_networks, enter
from edgesegnet_ros.evaluation.bench.work import Work, work
from edgesegnet_ros.network.design import DesignError

KEYS = {
    'network',
    'engine',
    'precision',
    'input_size',
    'params',
    'gmac',
    'latency_ms',
    'fps',
    'relative',
    'peak_share',
}


@pytest.fixture(scope='module')
def measured(tmp_path_factory):
    """One small run: EdgeSegNet in PyTorch, and a peer; its rows in fp32, which every CPU has."""
    folder = tmp_path_factory.mktemp('bench')
    words = [
        'bench',
        '--input-size',
        '64x64',
        '--input-size',
        '64x96',
        '--frames',
        '3',
        '--networks',
        'enet,edgesegnet',
        '--engines',
        'eager,torch',
        '--num-threads',
        '1',
        '--out',
        str(folder),
        '--json',
        str(folder / 'bench.json'),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(peak._SIDE, 'cpu', 128)
        assert cli.main(words) == 0
    figures = json.loads((folder / 'bench.json').read_text())
    figures['rows'] = [row for row in figures['rows'] if row['precision'] == 'fp32']
    figures['peaks'] = [one for one in figures['peaks'] if one['precision'] == 'fp32']
    return folder, figures


def test_rows_are_those_of_the_contract(measured):
    found = measured[1]['rows']
    for row in found:
        assert set(row) >= KEYS and set(row['latency_ms']) == {'p50', 'p95'}
        assert row['fps'] == pytest.approx(1e3 / row['latency_ms']['p50'], rel=0.01)
    assert [row['input_size'] for row in found] == [[64, 64]] * 3 + [[64, 96]] * 3


def test_relative_is_to_eager_of_the_same_network(measured):
    eager, torch_row, enet = measured[1]['rows'][:3]
    assert (eager['network'], eager['engine'], eager['relative']) == (
        'EdgeSegNet',
        'torch eager',
        1.0,
    )
    assert torch_row['engine'] == 'torch'
    assert torch_row['relative'] == pytest.approx(
        eager['latency_ms']['p50'] / torch_row['latency_ms']['p50'], rel=0.01
    )
    assert (enet['network'], enet['relative']) == ('ENet', 1.0)


def test_costs_are_the_networks_own(measured):
    eager, torch_row, enet = measured[1]['rows'][:3]
    assert eager['params'] == torch_row['params'] == 4_323_342  # 32 classes: 4,327,920
    # 10.26 at 256x256, of which 21 of 32 classes are 21 * 217 * 256 * 256.
    assert eager['gmac'] == pytest.approx((10.26 - 0.2986) / 16, rel=0.003)
    assert torch_row['gmac'] < 0.8 * eager['gmac']
    assert enet['params'] < 0.37e6
    wide = measured[1]['rows'][3]
    assert wide['gmac'] == pytest.approx(1.5 * eager['gmac'], rel=0.01)


def test_peak_share_is_of_the_best_multiplication_of_the_run(measured):
    figures = measured[1]
    assert [one['input_size'] for one in figures['peaks']] == [[64, 64], [64, 96]]
    best = max(one['gmac_per_s'] for one in figures['peaks'])
    for row in figures['rows']:
        assert row['peak_gmac_per_s'] == best
        assert row['peak_share'] == pytest.approx(row['gmac_per_s'] / best, abs=1e-3)
    row = figures['rows'][0]
    rate = row['gmac'] / row['latency_ms']['p50'] * 1e3
    assert 0.8 * rate < row['gmac_per_s'] < rate  # maps of 4x4 have much padding


def test_rows_are_compared_with_the_highest_peak_of_their_device_and_precision():
    def row(device_type, precision, rate):
        return {'device_type': device_type, 'precision': precision, 'gmac_per_s': rate}

    def peak_at(height, *of):
        return row(*of) | {'by': f'beside {height}', 'input_size': [height, 64]}

    peaks = [
        peak_at(32, 'cpu', 'int8', 100.0),
        peak_at(32, 'cpu', 'fp32', 90.0),
        peak_at(32, 'cuda', 'int8', 900.0),
        peak_at(64, 'cpu', 'int8', 160.0),
        peak_at(64, 'cpu', 'fp32', 80.0),
        peak_at(96, 'cpu', 'int8', 120.0),
    ]
    found = [
        row('cpu', 'int8', 120.0),  # above the peak beside one size, not above that of the run
        row('cpu', 'int8', 168.0),  # above all of them
        row('cpu', 'fp32', 45.0),
        row('cuda', 'int8', 450.0),
        row('cuda', 'fp16', 450.0),
    ]
    rows.compare(found, peaks)
    assert [one['peak_gmac_per_s'] for one in found] == [160.0, 160.0, 90.0, 900.0, None]
    assert [one['peak_share'] for one in found] == [0.75, 1.05, 0.5, 0.5, None]
    assert [rows.peak_share(one) for one in found[:2]] == ['75%', '105%!']
    told = rows.peak_lines(peaks).splitlines()
    assert len(told) == 3
    assert told[0].endswith(
        'int8 on the cpu: 160.0 GMAC/s (beside 64, in turns with the rows of 64x64)'
    )


def test_the_picture_is_drawn(measured):
    import cv2

    picture = cv2.imread(str(measured[0] / 'bench.png'))
    assert picture.shape[1] > 1000 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_cases_take_turns():
    order = []
    runs = [lambda image, labels, name=name: order.append(name) for name in 'abc']
    times, failed = timing.time_frames(runs, (16, 16), frames=2, warm_up=1)
    # One frame to settle and one that is timed, each turn.
    assert ''.join(order) == 'aabbcc' * 3
    assert times.shape == (3, 2) and (times >= 0).all() and not failed


def test_times_are_milliseconds_of_each_case():
    runs = [lambda image, labels: time.sleep(0.02), lambda image, labels: None]
    times, _ = timing.time_frames(runs, (16, 16), frames=3, warm_up=0)
    assert times[0].min() >= 20.0 > np.median(times[1])


def test_rows_without_a_reference_say_null():
    description = EngineDescription('openvino', 'int8', 'a CPU', '1', 2)
    work = Work(2.5, 2.0)
    case = cases.BenchCase('EdgeSegNet', description, 100, work, lambda i, o: None)
    probe = peak.Probe('cpu', 'int8', 'slow', 1.0, lambda: None)
    faster = probe._replace(by='fast')
    # The peak is what was reached once: here in the last turn of the last probe.
    times = np.array([[10.0, 10.0, 40.0], [20.0] * 3, [8.0, 8.0, 4.0]])
    (row,), (best,) = rows.make_rows([case], [probe, faster], times, (64, 64))
    assert row['relative'] is None and row['latency_ms'] == {'p50': 10.0, 'p95': 37.0}
    assert best['by'] == 'fast' and best['gmac_per_s'] == 250.0
    assert best['input_size'] == [64, 64]
    rows.compare([row], [best])
    assert row['peak_share'] == 0.8 and row['gmac_per_s'] == 200.0
    (row,), none = rows.make_rows([case], [], times[:1], (64, 64))
    rows.compare([row], none)
    assert row['peak_share'] is None and 'above 100 %' not in rows.table([row])
    slow = np.array([[10.0] * 3, [20.0] * 3])
    (row,), peaks = rows.make_rows([case], [probe], slow, (64, 64))
    rows.compare([row], peaks)
    assert row['peak_share'] == 4.0
    assert '400%!' in rows.table([row]) and 'the peak was measured too low' in rows.table([row])
    assert 'EdgeSegNet' in rows.table([row])


@pytest.mark.parametrize('precision', ['fp32', 'int8'])
def test_probes_multiply(precision, monkeypatch):
    pytest.importorskip('openvino', reason='SKIPPED FOR WANT OF openvino')
    monkeypatch.setitem(peak._SIDE, 'cpu', 64)
    monkeypatch.setattr(peak.os, 'sched_getaffinity', lambda process: {0})
    found = peak.probes('cpu', precision, 1)
    products = ('torch mm', 'numpy matmul', 'openvino matmul')
    present = {f'{name} {side}' for name in products for side in (64, 32)}
    if precision == 'int8':
        # The integers of torch count only on CPUs that have a library for them.
        present = {name for name in present if name.startswith('openvino')}
    for kernel, channels, maps in peak._CONVOLUTIONS:
        width, edge = max(8, 64 // channels), max(8, 64 // maps)
        present.add(f'openvino {kernel}x{kernel} convolution of {width} channels at {edge}x{edge}')
    assert {probe.by for probe in found if 'int_mm' not in probe.by} == present
    gmac = {probe.by: probe.gmac for probe in found}
    assert gmac['openvino matmul 32'] == pytest.approx(32**3 / 1e9)
    # 3 · 8 - 2 taps along 8 pixels.
    three = 'openvino 3x3 convolution of 16 channels at 8x8'
    assert gmac[three] == pytest.approx(16 * 16 * 22 * 22 / 1e9)
    for probe in found:
        probe.multiply()
    assert len(peak.fastest(found)) == 3


def test_the_peak_is_the_best_of_several_shapes():
    now = [0.0]

    def takes(seconds):
        spent = iter(seconds)

        def multiply():
            now[0] += next(spent)

        return multiply

    def probe(by, gmac, *seconds):
        return peak.Probe('cpu', 'fp32', by, gmac, takes(seconds))

    found = [
        probe('slow', 8.0, 9.0, 8.0, 8.0, 8.0),
        probe('small and fast', 1.0, 9.0, 0.6, 0.5, 0.7),
        probe('disturbed twice', 8.0, 1.0, 9.0, 2.0, 9.0),  # its first call does not count
        probe('middling', 8.0, 9.0, 5.0, 5.0, 5.0),
    ]
    kept = peak.fastest(found, lambda: now[0])
    assert [one.by for one in kept] == ['disturbed twice', 'small and fast', 'middling']


def test_products_with_padding_are_not_counted():
    import torch
    from torch import nn

    layers = [
        nn.Conv2d(3, 6, (3, 1), padding=(4, 0), dilation=(4, 1)),
        nn.Conv2d(6, 4, 3, stride=2, padding=1, groups=2),
        nn.ConvTranspose2d(4, 5, 3, stride=2, padding=1, output_padding=1),
    ]
    expected, shape = 0, (1, 3, 9, 12)
    for layer in layers:
        # Ones times ones, added up: each factor that is a pixel counts one.
        for name, value in layer.named_parameters():
            nn.init.constant_(value, 1.0 if name == 'weight' else 0.0)
        with torch.no_grad():
            counted = layer(torch.ones(shape))
        expected, shape = expected + int(counted.sum()), counted.shape
    found = work(nn.Sequential(*layers), (9, 12))
    assert found.inside * 1e9 == pytest.approx(expected)
    assert found.inside < found.gmac


@pytest.mark.parametrize(('name', 'precision'), [('enet', 'fp32'), ('fast-scnn', 'int8')])
def test_peers_run_through_openvino(name, precision, monkeypatch):
    pytest.importorskip('openvino', reason='SKIPPED FOR WANT OF openvino')
    monkeypatch.setattr(cases, '_openvino_precisions', lambda device: (precision,))
    request = EngineRequest(input_size=(64, 96), num_threads=1, device='cpu')
    peer, eager = cases.other_cases(name, request, ['openvino', 'eager'], 11)
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    expected, labels = np.empty((64, 96), np.uint8), np.empty((64, 96), np.uint8)
    eager.infer(image, expected)
    peer.infer(image, labels)
    assert (peer.described.engine, peer.described.precision) == ('openvino', precision)
    assert peer.work.gmac <= eager.work.gmac and peer.params == eager.params
    assert (labels == expected).mean() > (0.999 if precision == 'fp32' else 0.5)


def test_designs_and_weights_take_part(tmp_path):
    assert chosen_networks('unet-slim,edgesegnet-camvid11,ENet') == [
        'enet',
        'unet-slim',
        'edgesegnet-camvid11',
    ]
    request = EngineRequest(input_size=(32, 32), num_threads=1)
    (found,) = cases.other_cases('unet-slim', request, ['eager'], 11)
    assert found.network == 'slim U-Net' and found.params == 2_079_043
    (found,) = enter(request, ['edgesegnet-camvid11'], ['eager'], 11)
    assert found.network == 'EdgeSegNet'
    (tmp_path / 'wrong.yaml').write_text('format: 1\nname: x\nlayers: 3\n')
    with pytest.raises(DesignError, match='wrong.yaml:3'):
        chosen_networks(str(tmp_path / 'wrong.yaml'))


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['--networks', 'net'], "--networks 'net': there are edgesegnet, refinenet101, enet"),
        (['--engines', 'torch,tvm'], "--engines 'tvm': there are eager, tensorrt, "),
        (['--networks', ','], "--networks ',': there are"),
        (['--frames', '0'], '--frames 0: at least 1'),
        (['--num-threads', '-1'], '--num-threads -1: 0 or more'),
    ],
)
def test_a_usage_error_is_a_sentence_and_status_2(words, sentence, capsys):
    assert cli.main(['bench', *words]) == 2
    assert sentence in capsys.readouterr().err


def test_a_failure_is_reported_and_the_others_continue(tmp_path, monkeypatch, capsys):
    from edgesegnet_ros.network.peers import erfnet, fast_scnn

    def broken(self, image):
        raise ZeroDivisionError('by nobody foreseen')

    def unbuilt(self, num_classes):
        raise TypeError('not built')

    monkeypatch.setattr(erfnet.ERFNet, 'coarse_logits', broken)
    monkeypatch.setattr(fast_scnn.FastSCNN, '__init__', unbuilt)
    # ERFNet's cost is counted by a forward, which is not what is to fail here.
    monkeypatch.setattr(cases, 'work', lambda network, size: Work(1.0, 1.0))
    monkeypatch.setitem(peak._SIDE, 'cpu', 64)
    told = tmp_path / 'bench.json'
    assert (
        cli.main(
            [
                'bench',
                '--networks',
                'erfnet,fast-scnn,enet',
                '--engines',
                'eager',
                '--input-size',
                '32x32',
                '--frames',
                '2',
                '--out',
                str(tmp_path),
                '--json',
                str(told),
            ]
        )
        == 1
    )
    figures = json.loads(told.read_text())
    assert [row['network'] for row in figures['rows']] == ['ENet']
    assert figures['rows'][0]['relative'] == 1.0 and figures['rows'][0]['peak_share'] > 0
    out = capsys.readouterr().out
    assert 'FAILED: ERFNet torch eager fp32: ZeroDivisionError: by nobody foreseen' in out
    assert 'FAILED: Fast-SCNN eager fp32: TypeError: not built' in out
    assert [item['failed'] for item in figures['skipped']] == [True, True]


def test_nothing_left_to_measure(monkeypatch, capsys):
    from edgesegnet_ros.engines import tensorrt

    monkeypatch.setattr(tensorrt.BACK_END, 'why_not', lambda device: 'TensorRT is not here')
    words = ['bench', '--networks', 'edgesegnet', '--engines', 'tensorrt', '--input-size', '64x64']
    assert cli.main(words) == 2
    assert 'nothing can be measured here\nnot measured: EdgeSegNet tensorrt: TensorRT is not' in (
        capsys.readouterr().err
    )

"""The prediction for the Xavier follows from counts and published peaks, and says what it is."""

from __future__ import annotations

import json

import pytest

from edgesegnet_ros import cli
from edgesegnet_ros.evaluation.bench import roofline
from edgesegnet_ros.evaluation.bench.layers import Layer, layers_of
from edgesegnet_ros.network.cost import gmac
from edgesegnet_ros.network.registry import build_network, inference_form


@pytest.fixture(scope='module')
def layers():
    return layers_of(inference_form(build_network('edgesegnet', 11)), (256, 256))


def test_layers_are_the_whole_network(layers):
    network = inference_form(build_network('edgesegnet', 11)).to('meta')
    assert sum(layer.mac for layer in layers) / 1e9 == pytest.approx(gmac(network, (256, 256)))
    parameters = sum(value.numel() for value in network.parameters())
    assert sum(layer.weights for layer in layers) == parameters
    kinds = [layer.name.split()[0] for layer in layers]
    assert kinds.count('max-pool') == 1 and kinds.count('bilinear') == 2


def test_stem_by_hand(layers):
    stem = layers[0]
    assert stem.name == 'conv 7×7 /2 3→13 at 128×128'
    assert stem.mac == 7 * 7 * 3 * 13 * 128 * 128
    assert stem.read == 3 * 256 * 256 and stem.written == 13 * 128 * 128
    assert stem.weights == 7 * 7 * 3 * 13 + 13
    assert stem.moved(2) == 2 * (stem.read + stem.weights + stem.written)


def test_the_longer_of_computing_and_moving_counts():
    computing = Layer('', 700_000_000, 10, 10, 10)
    moving = Layer('', 1, 137_000_000 // 4, 0, 0)
    fp32 = roofline.PEAKS[0]
    assert roofline.predicted_ms([computing], fp32) == pytest.approx(1.0)
    assert roofline.predicted_ms([moving], fp32) == pytest.approx(1.0)
    assert roofline.predicted_ms([computing, moving], fp32, 0.5) == pytest.approx(4.0)


def test_the_papers_figure_is_56_percent_of_the_fp32_peak():
    assert roofline.paper_share() == pytest.approx(38.5 * 10.26e9 * 2 / 1.4e12)
    assert 0.55 < roofline.paper_share() < 0.57


def test_the_page_states_that_it_is_a_prediction(tmp_path, capsys):
    words = [
        'bench',
        '--roofline',
        '--input-size',
        '64x64',
        '--out',
        str(tmp_path),
        '--json',
        str(tmp_path / 'roofline.json'),
    ]
    assert cli.main(words) == 0
    text = (tmp_path / 'roofline.md').read_text()
    assert 'a prediction' in text.splitlines()[0] and 'Nothing on this page was measured' in text
    assert '**38.5 FPS**' in text and 'Nothing on this page' in capsys.readouterr().out
    assert (tmp_path / 'roofline.png').stat().st_size > 10_000
    figures = json.loads((tmp_path / 'roofline.json').read_text())
    assert figures['measured'] is False and figures['paper']['fps'] == 38.5
    assert [row['peak'] for row in figures['rows']] == [peak.name for peak in roofline.PEAKS]
    assert all(row['prediction'] and row['fps'] > 0 for row in figures['rows'])

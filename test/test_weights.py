"""Weights files keep what they were given, and foreign ones are refused."""

import pytest
import torch
from safetensors.torch import save_file

from edgesegnet_ros.network.edgesegnet import EdgeSegNet
from edgesegnet_ros.network.weights import WeightsError, WeightsInfo, load_weights, save_weights

INFO = WeightsInfo('camvid11', 11, (256, 256), temperature=1.5)


def test_half_precision_round_trip(tmp_path):
    torch.manual_seed(0)
    model = EdgeSegNet(11).eval()
    path = tmp_path / 'm.safetensors'
    save_weights(path, model, INFO)
    assert path.stat().st_size < 9_000_000
    again, info = load_weights(path)
    assert info == INFO
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(again(image), model(image), atol=1e-3, rtol=1e-2)


def test_training_norms_do_not_reach_the_file(tmp_path):
    save_weights(tmp_path / 'm.safetensors', EdgeSegNet(11, training_norms=True), INFO)
    model, _ = load_weights(tmp_path / 'm.safetensors')
    assert not model.training_norms


def test_missing(tmp_path):
    with pytest.raises(WeightsError, match='no such weights file.*edgesegnet train'):
        load_weights(tmp_path / 'none.safetensors')


def test_truncated(tmp_path):
    path = tmp_path / 'm.safetensors'
    save_weights(path, EdgeSegNet(11), INFO)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match='not a whole safetensors file'):
        load_weights(path)


def test_foreign_formats(tmp_path):
    path = tmp_path / 'm.safetensors'
    save_file({'x': torch.zeros(3)}, str(path))
    with pytest.raises(WeightsError, match='not one of edgesegnet_ros/1'):
        load_weights(path)
    path.write_bytes(b'PK\x03\x04 a pickle in a zip, as torch.save writes')
    with pytest.raises(WeightsError, match='not a whole safetensors file'):
        load_weights(path)


def test_another_number_of_classes_than_it_says(tmp_path):
    path = tmp_path / 'm.safetensors'
    save_weights(path, EdgeSegNet(11), INFO._replace(num_classes=12))
    with pytest.raises(WeightsError, match='does not fit EdgeSegNet'):
        load_weights(path)

"""Weights files keep what they were given, and foreign ones are refused."""

import json
import os
import resource

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from edgesegnet_ros.network import weights
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsError, WeightsInfo, load_weights, save_weights

INFO = WeightsInfo('camvid11', 11, (256, 256), temperature=1.5)


def test_half_precision_round_trip(tmp_path):
    torch.manual_seed(0)
    model = build_network('edgesegnet', 11).eval()
    path = tmp_path / 'm.safetensors'
    save_weights(path, model, INFO)
    assert path.stat().st_size < 9_000_000
    again, info = load_weights(path)
    assert info == INFO
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(again(image), model(image), atol=1e-3, rtol=1e-2)


def test_file_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        save_weights(tmp_path / 'w.safetensors', build_network('edgesegnet', 11), INFO)
    finally:
        os.umask(before)
    assert (tmp_path / 'w.safetensors').stat().st_mode & 0o777 == 0o640


def test_training_norms_do_not_reach_the_file(tmp_path):
    save_weights(
        tmp_path / 'm.safetensors', build_network('edgesegnet', 11, training_norms=True), INFO
    )
    model, _ = load_weights(tmp_path / 'm.safetensors')
    assert not model.training_norms


def test_missing(tmp_path):
    with pytest.raises(WeightsError, match='no such weights file.*edgesegnet train'):
        load_weights(tmp_path / 'none.safetensors')


def test_truncated(tmp_path):
    path = tmp_path / 'm.safetensors'
    save_weights(path, build_network('edgesegnet', 11), INFO)
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


def test_weights_with_another_number_of_classes_than_their_header(tmp_path):
    path = tmp_path / 'm.safetensors'
    save_weights(path, build_network('edgesegnet', 11), INFO._replace(num_classes=12))
    with pytest.raises(WeightsError, match='does not fit the network edgesegnet'):
        load_weights(path)


def test_shipped_files_without_a_name_are_edgesegnets(tmp_path):
    path = tmp_path / 'm.safetensors'
    save_weights(path, build_network('edgesegnet', 11), INFO)
    with safe_open(str(path), 'pt') as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    fields = json.loads(metadata['info'])
    assert fields.pop('network') == 'edgesegnet'
    save_file(tensors, str(path), {**metadata, 'info': json.dumps(fields)})
    model, info = load_weights(path)
    assert model.design.name == info.network == 'edgesegnet'


def test_an_unknown_network_is_refused(tmp_path, monkeypatch):
    path = tmp_path / 'm.safetensors'
    with monkeypatch.context() as patched:
        patched.setattr(weights, 'name_of', lambda model: 'other')
        save_weights(path, build_network('unet', 11), INFO)
    with pytest.raises(WeightsError, match="'other' is unknown: there are .*edgesegnet, "):
        load_weights(path)


def test_a_full_disk_keeps_the_old_file(tmp_path):
    path = tmp_path / 'm.safetensors'
    save_weights(path, build_network('edgesegnet', 11), INFO)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(WeightsError, match='cannot be written.*File too large'):
            save_weights(path, build_network('edgesegnet', 11), INFO)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]

"""Settings, schedule, loss, views, given weights, and several processes: each by value."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_training import CONFIG, one_thread, run, small_camvid  # noqa: F401 - fixtures
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros import cli, shipped
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.network import HEAD_STRIDE
from edgesegnet_ros.network.registry import build_network, identity
from edgesegnet_ros.network.upsampling import upsample
from edgesegnet_ros.network.weights import WeightsInfo, save_weights
from edgesegnet_ros.training import mixed_precision
from edgesegnet_ros.training import train as training
from edgesegnet_ros.training.checkpoint import changed_settings
from edgesegnet_ros.training.command import config_of
from edgesegnet_ros.training.config import ConfigError, TrainConfig, read_settings
from edgesegnet_ros.training.initial import (
    InitialWeightsError,
    read_initial,
    read_network,
    start_from,
)
from edgesegnet_ros.training.loss import class_table, class_weights, cross_entropy
from edgesegnet_ros.training.muon import orthogonalised
from edgesegnet_ros.training.schedule import build_optimizer, learning_rate

INFO = WeightsInfo('camvid11', 11, (64, 64))
CLASSES = load_classes('camvid11')


# Settings.


def test_differences_of_a_resumed_run_are_named():
    before = json.loads(json.dumps(asdict(TrainConfig(epochs=3))))
    del before['drive_balance']  # of a version that had none
    now = TrainConfig(epochs=4, crop=(64, 96), drive_balance=0.5)
    assert changed_settings(before, now) == [
        'epochs 4 (was 3)',
        'crop [64, 96] (was [192, 192])',
        'drive_balance 0.5 (was 0.0)',
    ]
    assert changed_settings({**before, 'gone': 1}, TrainConfig(epochs=3)) == []


@pytest.mark.parametrize('name', shipped.names('training'))
def test_shipped_settings_are_taken(name):
    config = TrainConfig(**read_settings(name))
    identity(config.network)  # raises where nothing is known by that name
    assert config.input_size in ((256, 256), (368, 480))


def test_options_go_over_the_file_and_the_file_over_the_defaults(tmp_path):
    file = tmp_path / 'mine.yaml'
    file.write_text('epochs: 7\nlearning_rate: 1e-4\ncrop: [64, 96]\n')
    parser = cli.build_parser('train')
    args = parser.parse_args(['train', '--config', str(file), '--epochs', '9', '--no-flip'])
    config = config_of(args)
    assert (config.epochs, config.learning_rate, config.crop) == (9, 1e-4, (64, 96))
    assert not config.flip and config.batch == TrainConfig().batch


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('epochs: 3\nlearn_rate: 1.0\n', ":2: no setting is named 'learn_rate'; there are net"),
        ('epochs: many\n', ":1: epochs 'many': it must be a whole number, such as 24"),
        ('\n\nscale_min: -1\n', ':3: scale_min -1.0: 0.1 or more'),
        ('flip: 1\n', ':1: flip 1: it must be true or false'),
        ('crop: [100, 96]\n', r':1: crop \[100, 96\]: height and width, multiples of 16'),
        ('optimizer: lion\n', ":1: optimizer 'lion': one of adamw, sgd, muon"),
        ('epochs: [1\n', ':2: not YAML'),
        ('- 1\n', ':1: a training configuration maps settings to values'),
    ],
)
def test_bad_settings_are_refused_with_their_line(tmp_path, text, sentence):
    file = tmp_path / 'bad.yaml'
    file.write_text(text)
    with pytest.raises(ConfigError, match='bad.yaml' + sentence):
        read_settings(str(file))


def test_settings_that_contradict_each_other():
    with pytest.raises(ConfigError, match='scale_min 2.0 is above scale_max 1.0'):
        TrainConfig(scale_min=2.0, scale_max=1.0)


# Schedule.


def rates(**settings):
    config = TrainConfig(epochs=10, learning_rate=1.0, warmup_epochs=1.0, **settings)
    return [learning_rate(config, progress / 100) for progress in range(100)]


def test_the_rate_rises_and_falls():
    cosine = rates(schedule='cosine')
    assert cosine.index(max(cosine)) == 10
    assert cosine[:10] == sorted(cosine[:10]) and cosine[10:] == sorted(cosine[10:], reverse=True)
    assert cosine[55] == pytest.approx(0.505) and cosine[-1] == pytest.approx(0.01, abs=1e-3)


def test_warm_up_stable_decay():
    stable = rates(schedule='wsd', decay_epochs=2.0)
    assert stable[:10] == sorted(stable[:10])
    assert set(stable[10:81]) == {1.0} and stable[90] == pytest.approx(0.505)
    assert set(rates(schedule='constant')[10:]) == {1.0}


# Muon.


@pytest.mark.parametrize('shape', [(6, 40), (40, 6), (12, 12)])
def test_orthogonalised_keeps_directions_and_evens_out_their_lengths(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    matrix[0] *= 20.0
    even = orthogonalised(matrix)
    lengths = torch.linalg.svdvals(even)
    assert 0.65 < lengths.min() and lengths.max() < 1.25
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    # In the matrix's own singular directions nothing stands beside the diagonal.
    turned = left.T @ even @ right.T
    torch.testing.assert_close(turned, turned.diagonal().diag(), atol=2e-3, rtol=0.0)
    assert not orthogonalised(torch.zeros(shape)).any()


def test_muon_moves_filters_evenly_and_the_rest_as_adamw():
    torch.manual_seed(0)
    config = TrainConfig(optimizer='muon', learning_rate=0.1, weight_decay=0.5)
    model = build_network('edgesegnet', 3, training_norms=True).to(
        memory_format=torch.channels_last
    )
    twin = copy.deepcopy(model)
    ours, adamw = build_optimizer(config, model), torch.optim.AdamW(twin.parameters(), lr=0.1)
    for group in ours.param_groups[1:]:
        group['weight_decay'] = 0.0
    for group in adamw.param_groups:
        group['weight_decay'] = 0.0
    before = model.refine4.conv1.weight.detach().clone()
    for value, other in zip(model.parameters(), twin.parameters(), strict=True):
        value.grad = torch.randn_like(value)
        other.grad = value.grad.clone()
    gradient = model.refine4.conv1.weight.grad.clone()
    ours.step()
    adamw.step()
    for name in ('head.weight', 'head.bias', 'stem.norm.weight', 'refine4.conv1.bias'):
        torch.testing.assert_close(model.get_parameter(name), twin.get_parameter(name))
    moved = (before * (1.0 - 0.1 * 0.5) - model.refine4.conv1.weight).flatten(1)
    wanted = orthogonalised(gradient.flatten(1)) * 0.1 * 0.2 * (217 * 9) ** 0.5
    torch.testing.assert_close(moved, wanted, atol=2e-4, rtol=2e-2)


# Loss.


def test_cross_entropy_is_torchs_mean_and_void_does_not_count():
    torch.manual_seed(0)
    coarse, weights = torch.randn(2, 3, 4, 4), torch.tensor([1.0, 2.0, 0.5])
    labels = torch.randint(0, 3, (2, 16, 16))
    labels[0, :8] = 255
    total, weight = cross_entropy(coarse, labels.byte(), class_table(weights), 0.1)
    expected = F.cross_entropy(
        upsample(coarse, HEAD_STRIDE), labels, weights, ignore_index=255, label_smoothing=0.1
    )
    torch.testing.assert_close(total / weight, expected)


def test_class_weights_by_hand():
    labels = np.array([[0, 0, 0, 1, 255]], np.uint8)
    weights = class_weights([(None, labels)], 3, 1.0)
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 2.0, 1.0]))
    assert class_weights([(None, labels)], 3, 0.0).tolist() == [1.0, 1.0, 1.0]


# Given weights.


def test_given_weights_get_norms_that_change_nothing():
    torch.manual_seed(0)
    plain = build_network('edgesegnet', 11).eval()
    model = build_network('edgesegnet', 11, training_norms=True)
    views = torch.randn(4, 3, 64, 64)
    start_from(model, plain, [views[:2], views[2:]])
    with torch.inference_mode():
        expected = plain.coarse_logits(views)
        scale = expected.abs().max()
        assert (model.eval().coarse_logits(views) - expected).abs().max() < 1e-4 * scale
        # In training the batch's own statistics are those that were measured on it.
        learning = model.train().coarse_logits(views)
        assert (learning - expected).abs().max() < 0.5 * scale


def test_weights_of_something_else_are_refused(tmp_path):
    path = str(tmp_path / 'w.safetensors')
    save_weights(path, build_network('edgesegnet', 11), INFO)
    with pytest.raises(InitialWeightsError, match='weights of edgesegnet, but refinenet101 is'):
        read_initial(path, 'refinenet101', CLASSES)
    with pytest.raises(InitialWeightsError, match='11 outputs for the classes camvid11, but 32'):
        read_network(path, load_classes('camvid32'))


def test_training_continues_from_given_weights_and_learns_from_a_teacher(
    small_camvid,  # noqa: F811
    tmp_path,
):
    torch.manual_seed(3)
    given = build_network('edgesegnet', 11).eval()
    path = tmp_path / 'given.safetensors'
    save_weights(path, given, INFO)
    still = replace(CONFIG, epochs=1, learning_rate=0.0, freeze_norms=True)
    run(small_camvid, tmp_path / 'still', still, init=str(path))
    after = read_network(str(tmp_path / 'still' / training.WEIGHTS), CLASSES)[0]
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = given.coarse_logits(image)
        close = (after.coarse_logits(image) - expected).abs().max() / expected.abs().max()
    assert close < 0.02  # half precision on the way
    taught = replace(still, distillation=0.5)
    teachers = (str(path), str(path))
    outcome = run(small_camvid, tmp_path / 'taught', taught, init=str(path), teachers=teachers)
    alone = run(small_camvid, tmp_path / 'alone', still, init=str(path))
    # A student that is its teacher already has half the loss left.
    losses = [one.progress.history[0]['loss'] for one in (outcome, alone)]
    assert losses[0] == pytest.approx(losses[1] / 2, rel=0.05)


# Precision and processes.


def test_precisions_that_are_only_emulated_are_refused(monkeypatch):
    device = torch.device('cpu')
    monkeypatch.setattr(mixed_precision.cpu, 'has_bf16', lambda: False)
    assert mixed_precision.training_precision('auto', device) == 'fp32'
    with pytest.raises(mixed_precision.PrecisionError, match=r"'bf16' is not native.*\(fp32 here"):
        mixed_precision.training_precision('bf16', device)
    monkeypatch.setattr(mixed_precision.cpu, 'has_bf16', lambda: True)
    assert mixed_precision.training_precision('auto', device) == 'bf16'
    with mixed_precision.Autocast('auto', device)():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.bfloat16


def test_two_processes_train_as_one(small_camvid, tmp_path):  # noqa: F811
    # Views smaller than the crop: their void differs, and with it the pixels of each process.
    config = replace(
        CONFIG,
        epochs=1,
        batch=4,
        camvid_views=8,
        scale_min=0.5,
        optimizer='sgd',
        learning_rate=0.1,
        freeze_norms=True,
        class_balance=0.4,
    )
    run(small_camvid, tmp_path / 'one', config)
    words = [
        '--data',
        str(small_camvid),
        '--out',
        str(tmp_path / 'two'),
        '--device',
        'cpu',
        '--no-tensorboard',
        '--epochs',
        '1',
        '--batch',
        '4',
        '--camvid-views',
        '8',
        '--input-size',
        '64x64',
        '--crop',
        '64x64',
        '--rendered',
        '0',
        '--scale-min',
        '0.5',
        '--optimizer',
        'sgd',
        '--learning-rate',
        '0.1',
        '--freeze-norms',
        '--validate-every',
        '1',
        '--precision',
        'fp32',
        '--paste',
        '0.5',
        '--mix',
        '0.5',
        '--tone',
        '0.5',
        '--light',
        '0.5',
    ]
    torchrun = [
        sys.executable,
        '-m',
        'torch.distributed.run',
        '--standalone',
        '--nproc-per-node',
        '2',
        '-m',
        'edgesegnet_ros.cli',
        'train',
        *words,
    ]
    ended = subprocess.run(torchrun, capture_output=True, text=True, timeout=250)
    assert ended.returncode == 0, ended.stderr[-3000:]
    one, two = (load_file(tmp_path / name / training.CHECKPOINT) for name in ('one', 'two'))
    assert one.keys() == two.keys()
    torch.manual_seed(config.seed)
    start = build_network('edgesegnet', 11, training_norms=True).state_dict()
    moved = 0.0
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-5, rtol=0, msg=name)
        if name.startswith('model/') and value.is_floating_point():
            moved = max(moved, float((value - start[name[len('model/') :]]).abs().max()))
    assert moved > 1e-3
    logs = [(tmp_path / name / 'log.csv').read_text().splitlines() for name in ('one', 'two')]
    losses = [float(log[1].split(',')[1]) for log in logs]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)

"""One training step by value: padding, averages, Muon, what waits for a device, what it costs."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from test_training import CONFIG, one_thread  # noqa: F401 - a fixture
from torch.utils._python_dispatch import TorchDispatchMode

from edgesegnet_ros.data.augment import relight
from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo, save_weights
from edgesegnet_ros.training import learner as learning
from edgesegnet_ros.training.average import WeightAverage
from edgesegnet_ros.training.config import ConfigError, TrainConfig
from edgesegnet_ros.training.dataset import Views
from edgesegnet_ros.training.distillation import open_teacher
from edgesegnet_ros.training.learner import Learner
from edgesegnet_ros.training.muon import Muon
from edgesegnet_ros.training.processes import ProcessGroup
from edgesegnet_ros.training.schedule import learning_rate
from edgesegnet_ros.training.throughput import Throughput

CPU = torch.device('cpu')
INFO = WeightsInfo('camvid11', 11, (64, 64))
CLASSES = load_classes('camvid11')
RATE = 3e-3


def make(config, teacher=None, device=CPU):
    torch.manual_seed(config.seed)
    network = build_network(config.network, 11, config.training_norms)
    weights = torch.linspace(0.5, 1.5, 11)
    made = Learner(config, network, INFO, weights, teacher, ProcessGroup(0, 1, device))
    made.begin_epoch(0)
    return made


def batches(count, batch=2, size=64):
    random = torch.Generator().manual_seed(1)
    for _ in range(count):
        images = torch.randint(0, 256, (batch, 3, size, size), generator=random)
        labels = torch.randint(0, 11, (batch, size // 8, size // 8), generator=random)
        labels = labels.repeat_interleave(8, 1).repeat_interleave(8, 2)
        labels[:, :4] = 255
        yield images.to(torch.uint8), labels.to(torch.uint8)


def test_padded_and_plain_training_give_the_same_weights():
    # SGD, since AdamW makes steps of full length of the rounding errors that are the gradients of
    # biases in front of a batch norm.
    config = replace(CONFIG, optimizer='sgd', learning_rate=RATE, momentum=0.0, ema_decay=0.9)
    plain, padded = make(config), make(replace(config, filter_multiple=8))
    assert max(value.shape[0] for value in padded.network.parameters()) > 217
    start = plain.network.refine4.conv1.weight.detach().clone()
    for step, batch in enumerate(batches(20, size=32)):
        for one in (plain, padded):
            one.step(*batch, (0, step), RATE)
    one, two = plain.state(), padded.state()
    assert one.keys() == two.keys()
    assert (one['model/refine4.conv1.weight'] - start).abs().max() > 1e-4
    for name, value in one.items():
        assert value.shape == two[name].shape, name
        if name.startswith(('model/', 'average/')):
            torch.testing.assert_close(two[name], value, atol=1e-5, rtol=1e-5, msg=name)
    # A run that was padded is resumed by one that is not, and the other way round.
    resumed = make(config)
    resumed.load_state(two, 20)
    again = make(replace(config, filter_multiple=8))
    again.load_state(resumed.state(), 20)
    for name, value in again.state().items():
        assert torch.equal(value, two[name]), name


def test_muon_moves_padded_filters_as_far():
    config = replace(CONFIG, learning_rate=0.01)
    plain, padded = make(config), make(replace(config, filter_multiple=8))
    (batch,) = batches(1, size=32)
    start = plain.network.state_dict()['refine4.conv1.weight'].clone()
    for one in (plain, padded):
        one.step(*batch, (0, 0), 0.01)
    one, two = plain.state(), padded.state()
    assert (one['model/refine4.conv1.weight'] - start).abs().max() > 1e-3
    for name, value in plain.network.named_parameters():
        if value.ndim > 1:
            torch.testing.assert_close(
                two[f'model/{name}'], one[f'model/{name}'], atol=1e-5, rtol=0, msg=name
            )


class NoWaiting(TorchDispatchMode):
    """Refuses operations whose result the host has to know: on a GPU it would wait for them."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        assert name not in ('_local_scalar_dense', 'nonzero', 'masked_select', 'is_nonzero'), name
        if name in ('index', 'index_put_'):
            dtypes = [one.dtype for one in args[1] if isinstance(one, torch.Tensor)]
            assert torch.bool not in dtypes, name
        return function(*args, **(kwargs or {}))


def test_no_operation_of_a_step_waits_for_its_result(tmp_path):
    path = str(tmp_path / 'w.safetensors')
    save_weights(path, build_network('edgesegnet', 11), INFO)
    config = replace(CONFIG, distillation=0.5)
    made = make(config, open_teacher(config, (path,), CLASSES, CPU))
    images, labels = next(batches(1))
    with NoWaiting():
        made.objective(images, labels).backward()
    with pytest.raises(AssertionError), NoWaiting():
        labels[labels != 255]


def test_the_average_is_exponential_and_young_at_first():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.BatchNorm2d(1))
    average = WeightAverage(model, 0.6)
    expected, mean = None, None
    for step in range(12):
        with torch.no_grad():
            model[0].weight.fill_(step)
            model[1].running_mean.fill_(2.0 * step)
            model[1].num_batches_tracked.fill_(step)
        average.update_parameters(model)
        decay = min(0.6, (2 + step) / (11 + step))
        expected = step if expected is None else expected * decay + step * (1 - decay)
        mean = 2.0 * step if mean is None else mean * decay + 2.0 * step * (1 - decay)
    assert float(average.module[0].weight) == pytest.approx(expected)
    assert float(average.module[1].running_mean) == pytest.approx(mean)
    assert int(average.module[1].num_batches_tracked) == 11 and not average.training


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=str)
def test_muon_equals_torchs_on_the_same_gradients(dtype, monkeypatch):
    """torch.optim.Muon takes matrices only, and computes directions in bf16 only.

    docs/testing-with-ros.md says why the reference is not timm's, which is the same step.
    """
    reference = getattr(torch.optim, 'Muon', None)
    if reference is None:
        pytest.skip(f'SKIPPED FOR WANT OF torch.optim.Muon: torch {torch.__version__} has none')
    if dtype is torch.float32:
        # torch up to 2.14 calls the method, and 2.15 converts to the dtype.
        monkeypatch.setattr(torch.Tensor, 'bfloat16', torch.Tensor.clone)
        monkeypatch.setattr(torch, 'bfloat16', torch.float32)
    torch.manual_seed(0)
    shapes = ((24, 12, 3, 3), (12, 40, 3, 3), (16, 16, 1, 1), (300, 8, 1, 1))
    filters = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    ours = Muon(filters, [], 1e-2, 0.1, dtype)
    flat = [torch.nn.Parameter(weight.detach().flatten(1).clone()) for weight in filters]
    theirs = reference(
        flat, lr=1e-2, weight_decay=0.1, momentum=0.95, adjust_lr_fn='match_rms_adamw'
    )
    start = [weight.detach().clone() for weight in flat]
    for _ in range(3):
        for weight, twin in zip(filters, flat, strict=True):
            weight.grad = torch.randn_like(weight)
            twin.grad = weight.grad.flatten(1).clone()
        ours.step()
        theirs.step()
    # Equal to the bit where both multiply by the same kernels; else to a rounding of the format.
    tolerance = 1e-5 if dtype is torch.float32 else torch.finfo(dtype).eps
    for weight, twin, before in zip(filters, flat, start, strict=True):
        moved = (twin - before).norm()
        assert (weight.detach().flatten(1) - twin).norm() < tolerance * moved


def test_only_the_head_learns_while_the_body_is_frozen():
    made = make(replace(CONFIG, freeze_body_epochs=1, optimizer='adamw'))
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    made.step(*next(batches(1)), (0, 0), 1e-3)
    changed = {
        name
        for name, value in made.network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {'head.weight', 'head.bias'}
    made.begin_epoch(1)
    made.step(*next(batches(1)), (1, 0), 1e-3)
    assert not torch.equal(made.network.stem.weight, before['stem.weight'])


def test_a_batch_that_does_not_fit_is_refused_in_a_sentence(monkeypatch):
    made = make(CONFIG)

    def full(*_):
        raise torch.cuda.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr(made, 'objective', full)
    monkeypatch.setattr(
        torch.cuda,
        'get_device_properties',
        lambda _: type('Properties', (), {'total_memory': 8 * 2**30}),
    )
    with pytest.raises(learning.OutOfMemory, match='the 8 GiB of cpu do not hold.*--batch 1 or'):
        made.step(*next(batches(1)), (0, 0), 1e-3)


def test_the_schedule_of_a_run_in_shares():
    config = TrainConfig(
        schedule='wsd', warmup_share=0.02, decay_share=0.6, learning_rate=1.0, minutes=5.0
    )
    assert learning_rate(config, 0.01) == pytest.approx(0.5)
    assert learning_rate(config, 0.02) == learning_rate(config, 0.4) == 1.0
    assert learning_rate(config, 0.7) == pytest.approx(0.01 + 0.99 * 0.5)
    assert learning_rate(config, 1.0) == pytest.approx(0.01)
    with pytest.raises(ConfigError, match='minutes needs a schedule in shares'):
        TrainConfig(minutes=5.0)


def test_the_throughput_shows_what_a_run_waits_for(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    throughput = Throughput()

    def loader():
        while True:
            now[0] += 3.0
            yield None

    views = loader()
    for _ in range(4):
        throughput.next(views, 8)
        now[0] += 1.0
    assert throughput.views_per_second == 2.0 and throughput.data_share == 0.75
    assert (
        throughput.sentence(0)
        == '2.0 views/s, 75% of the time waiting for data: give --workers if cores are idle'
    )
    assert 'raise --workers (6)' in throughput.sentence(6)
    now[0] += 100.0
    assert throughput.sentence(6).endswith('for data: the device is the limit')


def test_relight_keeps_its_distribution():
    """That of the float64 arithmetic that it replaces, by its moments over many views."""
    grey = np.full((64, 64, 3), 120, np.uint8)
    lit = [relight(grey, np.random.default_rng(seed), 0.8) for seed in range(300)]
    means = np.log2(np.array([view.mean() for view in lit]) / 120.0)
    assert abs(np.median(means)) < 0.04 and 0.08 < means.std() < 0.3
    fine = [view.astype(float) - cv2.blur(view, (3, 3)).astype(float) for view in lit]
    noise = np.array([one.std() for one in fine])
    assert 0.5 < np.median(noise) < 2.0 and noise.max() < 6.5
    first = relight(grey, np.random.default_rng(7), 0.8)
    np.testing.assert_array_equal(first, relight(grey, np.random.default_rng(7), 0.8))


def test_a_view_with_everything_is_cheap():
    """At most 3 ms of an idle core; the bound here is loose, since the machine may be busy."""
    random = np.random.default_rng(0)
    small = random.integers(0, 255, (30, 40, 3), dtype=np.uint8)
    image = cv2.resize(small, (480, 360), interpolation=cv2.INTER_CUBIC)
    ids = cv2.resize(small[..., 0] % 11, (480, 360), interpolation=cv2.INTER_NEAREST)
    config = TrainConfig(
        crop=(256, 256), scale_min=0.5, scale_max=2.0, aspect=0.15, color=1.5, tone=1.0,
        light=0.8, paste=1.0, mix=1.0, rendered=0, camvid_views=400,
    )  # fmt: skip
    views = Views([(image, ids)] * 4, [], config)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        costs = []
        for first in range(0, 100, 10):
            began = time.process_time()
            for position in range(first, first + 10):
                views[0, position]
            costs.append((time.process_time() - began) / 10 * 1e3)
    finally:
        cv2.setNumThreads(threads)
    assert min(costs) < 9.0, costs  # each of these is made of three views


@pytest.mark.gpu
def test_a_step_on_cuda_waits_for_nothing_and_learns_what_the_cpu_does():
    if not torch.cuda.is_available():
        pytest.skip('SKIPPED FOR WANT OF A GPU')
    config = replace(CONFIG, optimizer='adamw', learning_rate=1e-3)
    device = torch.device('cuda')
    made, twin = make(config, device=device), make(config)
    warm, *rest = batches(6)
    made.step(*warm, (0, 0), 1e-3)
    twin.step(*warm, (0, 0), 1e-3)
    torch.cuda.set_sync_debug_mode('error')
    try:
        pinned = [[part.pin_memory() for part in batch] for batch in rest]
        losses = [made.step(*batch, (0, n + 1), 1e-3) for n, batch in enumerate(pinned)]
    finally:
        torch.cuda.set_sync_debug_mode('default')
    for n, (batch, loss) in enumerate(zip(rest, losses, strict=True)):
        assert twin.step(*batch, (0, n + 1), 1e-3).item() == pytest.approx(loss.item(), rel=0.02)
    assert math.isfinite(losses[-1].item())


@pytest.mark.gpu
def test_a_run_on_cuda_is_resumed(tmp_path):
    if not torch.cuda.is_available():
        pytest.skip('SKIPPED FOR WANT OF A GPU')
    config = replace(CONFIG, optimizer='adamw')
    device = torch.device('cuda')
    made = make(config, device=device)
    first, second = batches(2)
    made.step(*first, (0, 0), 1e-3)
    state = {name: value.cpu().clone() for name, value in made.state().items()}
    resumed = make(config, device=device)
    resumed.load_state(state, 1)
    losses = [one.step(*second, (0, 1), 1e-3).item() for one in (made, resumed)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)

"""TensorRT through torch2trt: converted rightly, or refused by name."""

from __future__ import annotations

import ctypes
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines import open_engine, tensorrt_conversion
from edgesegnet_ros.engines.eager import EagerReference
from edgesegnet_ros.engines.recipe import Recipe
from edgesegnet_ros.engines.request import EngineError, EngineRequest
from edgesegnet_ros.engines.tensorrt import (
    BACK_END,
    BoundModule,
    NormalisedImages,
    dla_core_of,
    emulated,
)
from edgesegnet_ros.engines.tensorrt_conversion import Conversion, convert
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo

SIZE = (64, 96)
SHAPE = (1, 3) + SIZE
CPU = torch.device('cpu')


def recipe_of(precision: str, **changed) -> Recipe:
    torch.manual_seed(0)
    classes = load_classes('camvid11')
    recipe = Recipe(
        build_network('edgesegnet', 11).eval(),
        WeightsInfo('camvid11', 11, SIZE),
        classes,
        '0' * 64,
        precision,
        SIZE,
        'auto',
        2,
    )
    return recipe._replace(**changed)


@pytest.fixture(scope='module')
def device(torch2trt):
    return CPU if emulated() else torch.device('cuda:0')


@pytest.fixture(scope='module')
def file(torch2trt, tmp_path_factory) -> Path:
    """An fp16 engine."""
    path = tmp_path_factory.mktemp('engine') / 'engine.pth'
    BACK_END.build(recipe_of('fp16'), path)
    return path


@pytest.fixture(scope='module')
def picture():
    return Street(7, SIZE).frame(3).image


class Ending(nn.Module):
    """A convolution and one operator behind it."""

    def __init__(self, operator) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.register_buffer('shift', torch.randn(1, 4, 1, 1))
        self.operator = operator

    def forward(self, x):
        return self.operator(self.conv(x) + self.shift)


def resize(**options):
    return lambda x: F.interpolate(x, mode='bilinear', align_corners=False, **options)


# What torch2trt converts.


@pytest.mark.torch2trt
def test_engine_gives_the_networks_labels(file, picture):
    recipe = recipe_of('fp16')
    engine = BACK_END.load(recipe, file)
    expected, labels = np.empty(SIZE, np.uint8), np.empty(SIZE, np.uint8)
    confidence = np.zeros(SIZE, np.uint8)
    EagerReference(recipe.model, recipe.info, SIZE).infer(picture, expected)
    engine.infer(picture, labels, confidence)
    assert (labels == expected).mean() > 0.99 and len(np.unique(labels)) > 1
    assert confidence.min() > 0
    mirrored = picture[:, ::-1].copy()
    engine.infer(mirrored, labels)
    EagerReference(recipe.model, recipe.info, SIZE).infer(mirrored, expected)
    assert (labels == expected).mean() > 0.99
    described = engine.describe()
    assert (described.engine, described.precision) == ('tensorrt', 'fp16')
    assert 'torch2trt' in described.version


@pytest.mark.torch2trt
@pytest.mark.parametrize(
    ('operator', 'sentence'),
    [
        (lambda x: x.add(x), r'cannot convert torch\.Tensor\.add:'),
        (lambda x: x.mul(x), r'cannot convert torch\.Tensor\.mul:'),
        (lambda x: x.add_(x.relu()), r'cannot convert torch\.Tensor\.add_:'),
        (lambda x: torch.erf(x), r'cannot convert torch\.erf:'),
        (lambda x: x.argmax(1), r'cannot convert torch\.Tensor\.argmax'),
        (lambda x: F.hardswish(x), r'cannot convert torch\.nn\.functional\.hardswish:'),
        (resize(scale_factor=0.5, antialias=True), 'computes something else'),
        (resize(scale_factor=1.3), 'computes something else'),
        (lambda x: F.pad(x, (1, 1, 1, 1), mode='reflect'), 'computes something else'),
    ],
)
def test_a_guess_of_torch2trt_is_an_error(device, operator, sentence):
    torch.manual_seed(0)
    with pytest.raises(EngineError, match=sentence):
        convert(Ending(operator).eval(), (1, 3, 32, 32), device, Conversion('fp32'))


@pytest.mark.torch2trt
@pytest.mark.parametrize(
    'operator', [lambda x: torch.relu(x), resize(scale_factor=2), lambda x: x + x.relu()]
)
def test_operations_that_torch2trt_knows_pass(device, operator):
    torch.manual_seed(0)
    module = Ending(operator)  # in training mode, and left in it
    converted = convert(module, (1, 3, 32, 32), device, Conversion('fp32'))
    other = torch.rand(1, 3, 32, 32, device=device)
    with torch.no_grad():
        assert torch.allclose(converted(other), module.to(device)(other), atol=1e-4)
    assert module.training and not hasattr(module.conv.weight, '_trt')


@pytest.mark.torch2trt
def test_an_operator_that_is_not_seen(device):
    # Taken from the module before torch2trt could put its own in place.
    with pytest.raises(EngineError, match='an operator that it does not see'):
        convert(Ending(torch.relu).eval(), (1, 3, 32, 32), device, Conversion('fp32'))


@pytest.mark.torch2trt
def test_constants_that_are_no_parameter_are_found(torch2trt, device):
    baked = torch.randn(1, 4, 32, 32, device=device)
    module = Ending(lambda x: x + baked).eval().to(device)
    with pytest.raises(EngineError, match=r'baked the constant .* of shape \(4, 32, 32\)'):
        convert(module, (1, 3, 32, 32), device, Conversion('fp32'))


@pytest.mark.torch2trt
def test_uint8_input_is_not_baked_in(device):
    class Bytes(nn.Module):
        def forward(self, x):
            return x.to(torch.uint8).float() * 2.0

    with pytest.raises(EngineError, match=r'cannot convert torch\.Tensor\.to'):
        convert(Bytes(), (1, 3, 32, 32), device, Conversion('fp32'))


@pytest.mark.torch2trt
def test_misspelt_arguments_are_refused(torch2trt):
    with pytest.raises(EngineError, match='no argument fp16_mod'):
        tensorrt_conversion._refuse_unknown({'fp16_mod': True}, torch2trt.torch2trt)
    given = tensorrt_conversion._arguments(Conversion('int8', 64, 1, [torch.zeros(SHAPE)]))
    tensorrt_conversion._refuse_unknown(given, torch2trt.torch2trt)
    assert given['max_workspace_size'] == 64 << 20 and given['dla_core'] == 1
    import tensorrt as trt

    assert given['int8_calib_algorithm'] == trt.CalibrationAlgoType.ENTROPY_CALIBRATION_2
    assert given['default_device_type'] == trt.DeviceType.DLA


@pytest.mark.torch2trt
def test_an_engine_that_comes_back_empty(torch2trt, device):
    if not emulated():
        pytest.skip('a real TensorRT builds INT8')
    conversion = Conversion('int8', calibration=[torch.rand(SHAPE), torch.rand(SHAPE)])
    with pytest.raises(EngineError, match='TensorRT built no int8 engine'):
        convert(Ending(resize(scale_factor=2)), SHAPE, device, conversion)


@pytest.mark.torch2trt
def test_int8_and_dla_reach_tensorrt_and_it_reads_the_pictures(torch2trt, picture, monkeypatch):
    if not emulated():
        pytest.skip('a real TensorRT does not show what it was given')
    import tensorrt as trt

    configs, build = [], trt.Builder.build_engine
    monkeypatch.setattr(
        trt.Builder,
        'build_engine',
        lambda self, network, config: configs.append(config) or build(self, network, config),
    )
    recipe = recipe_of('int8')
    pictures = NormalisedImages([picture, picture[::-1].copy()], recipe, CPU)
    with pytest.raises(EngineError, match='TensorRT built no int8 engine'):
        convert(recipe.network(), SHAPE, CPU, Conversion('int8', 64, 1, pictures))
    (config,) = configs
    flags = trt.BuilderFlag
    assert all(map(config.get_flag, (flags.INT8, flags.FP16, flags.GPU_FALLBACK)))
    assert (config.default_device_type, config.DLA_core) == (trt.DeviceType.DLA, 1)
    assert config.max_workspace_size == 64 << 20
    # torch2trt's own calibrator, called as TensorRT calls it: addresses, until there are no more.
    calibrator = config.int8_calibrator
    assert calibrator.get_algorithm() == trt.CalibrationAlgoType.ENTROPY_CALIBRATION_2
    for expected in pictures:
        (address,) = calibrator.get_batch(['input_0'])
        values = (ctypes.c_float * expected.numel()).from_address(address)
        assert np.array_equal(np.array(values).reshape(SHAPE), expected.numpy())
    assert calibrator.get_batch(['input_0']) == []
    on_dla = convert(recipe.network(), SHAPE, CPU, Conversion('fp16', 64, 0))
    assert on_dla.engine is not None and configs[1].DLA_core == 0


@pytest.mark.torch2trt
def test_input_is_checked_before_each_forward(file, device):
    network = BACK_END.load(recipe_of('fp16'), file)._path._network
    pixels = torch.rand((1,) + SIZE + (3,), device=device).permute(0, 3, 1, 2)
    assert not pixels.is_contiguous() and torch.isfinite(network(pixels)).all()
    for wrong in (pixels[..., :32], pixels.half(), pixels.expand(2, -1, -1, -1)):
        with pytest.raises(EngineError, match=r'takes \(1, 3, 64, 96\) torch.float32, not'):
            network(wrong)


@pytest.mark.torch2trt
def test_an_engine_of_another_size_is_refused(file):
    with pytest.raises(EngineError, match=r'takes an input of \(1, 3, 64, 96\)'):
        BACK_END.load(recipe_of('fp16', input_size=(64, 64)), file)


@pytest.mark.torch2trt
@pytest.mark.parametrize('kind', ['truncated', 'text', 'other', 'plan', 'missing'])
def test_files_that_are_no_engine_are_refused(torch2trt, file, tmp_path, kind):
    path = tmp_path / 'engine.pth'
    if kind == 'truncated':
        path.write_bytes(file.read_bytes()[:5000])
    elif kind == 'text':
        path.write_text('not an engine')
    elif kind == 'other':
        torch.save({'weights': torch.zeros(3)}, path)
    elif kind == 'plan':
        state = torch.load(file, weights_only=True)
        state['engine'] = bytearray(b'of another version')
        torch.save(state, path)
    with pytest.raises(EngineError, match='not an engine file that TensorRT'):
        BACK_END.load(recipe_of('fp16'), path)


@pytest.mark.torch2trt
@pytest.mark.parametrize(
    ('device', 'sentence'),
    [('dla:x', 'a DLA core is dla:0'), ('dla:9', 'DLA cores'), ('cuda:77', 'is not there')],
)
def test_devices_that_are_not_there(torch2trt, device, sentence):
    assert sentence in BACK_END.why_not(device)
    with pytest.raises(EngineError, match=sentence):
        open_engine(EngineRequest(engine='tensorrt', device=device, precision='fp16'))


@pytest.mark.gpu
@pytest.mark.torch2trt
def test_fp16_is_four_times_eager(torch2trt):
    """The figure that the project promises for a CUDA GPU."""
    if emulated() or not torch.cuda.is_available():
        pytest.skip('SKIPPED FOR WANT OF A GPU: speed is measured on CUDA alone')
    from edgesegnet_ros.evaluation.bench.timing import time_frames

    recipe = recipe_of('fp16', input_size=(256, 256))
    engine = open_engine(EngineRequest(engine='tensorrt', precision='fp16')).engine
    eager = EagerReference(recipe.model, recipe.info, (256, 256), 'cuda')
    times, _ = time_frames([eager.infer, engine.infer], (256, 256), 50)
    eager_ms, tensorrt_ms = np.median(times, axis=1)
    assert eager_ms / tensorrt_ms >= 4.0


# What holds without TensorRT.


@pytest.mark.parametrize('absent', ['tensorrt', 'torch2trt'])
def test_missing_files_are_named(monkeypatch, absent):
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        'find_spec',
        lambda name: None if name == absent else there('json'),
    )
    # The version decides which of the two ways is asked for what it needs.
    monkeypatch.setitem(sys.modules, 'tensorrt', types.SimpleNamespace(__version__='8.5.2'))
    monkeypatch.setitem(sys.modules, absent, None)
    assert BACK_END.why_not('auto').startswith(
        {'tensorrt': 'TensorRT is not', 'torch2trt': 'torch2trt is not'}[absent]
    )
    with pytest.raises(EngineError, match='is not installed: .*docs/jetson.md'):
        open_engine(EngineRequest(engine='tensorrt'))


def test_dla_cores_by_name():
    assert [dla_core_of(name) for name in ('auto', 'cuda:0', 'dla:1')] == [None, None, 1]
    with pytest.raises(EngineError, match="'dla:a' is unknown"):
        dla_core_of('dla:a')


@pytest.fixture
def recording(monkeypatch):
    """Modules that build nothing and remember how they were asked."""
    calls = []

    def torch2trt(
        module,
        inputs,
        fp16_mode=False,
        int8_mode=False,
        max_workspace_size=0,
        keep_network=True,
        int8_calib_dataset=None,
        int8_calib_algorithm=None,
        default_device_type=None,
        dla_core=0,
        gpu_fallback=True,
        **kwargs,
    ):
        assert not kwargs
        calls.append(
            dict(
                locals(),
                batches=[int8_calib_dataset[i] for i in range(len(int8_calib_dataset or ()))],
            )
        )
        return types.SimpleNamespace(engine=None, network=types.SimpleNamespace(num_layers=0))

    trt = types.ModuleType('tensorrt')
    trt.CalibrationAlgoType = types.SimpleNamespace(ENTROPY_CALIBRATION_2='entropy')
    trt.DeviceType = types.SimpleNamespace(DLA='dla')
    trt.LayerType = types.SimpleNamespace(CONSTANT='constant')
    converter = types.ModuleType('torch2trt')
    converter.torch2trt = torch2trt
    monkeypatch.setitem(sys.modules, 'tensorrt', trt)
    monkeypatch.setitem(sys.modules, 'torch2trt', converter)
    return calls


def test_int8_hands_over_normalised_pictures(recording, picture):
    recipe = recipe_of('int8')
    pictures = NormalisedImages([picture, picture[::-1].copy()], recipe, CPU)
    with pytest.raises(EngineError, match='TensorRT built no int8 engine'):
        convert(nn.Identity(), SHAPE, CPU, Conversion('int8', 32, 0, pictures))
    (call,) = recording
    assert call['int8_mode'] and call['fp16_mode'] and call['max_workspace_size'] == 32 << 20
    assert call['int8_calib_algorithm'] == 'entropy' and call['default_device_type'] == 'dla'
    assert call['dla_core'] == 0 and len(call['batches']) == 2
    mean, std = np.array(recipe.info.mean), np.array(recipe.info.std)
    expected = ((picture / 255.0 - mean) / std).transpose(2, 0, 1)[None]
    found = call['batches'][0][0]
    assert found.dtype == torch.float32 and found.is_contiguous()
    assert np.allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ('conversion', 'sentence'),
    [
        (Conversion('int8'), 'int8 requires images'),
        (Conversion('fp32', dla_core=0), 'a DLA core computes in fp16 or int8'),
        (Conversion('bf16'), "precision 'bf16' is not one of the tensorrt engine"),
    ],
)
def test_conversions_without_sense(recording, conversion, sentence):
    with pytest.raises(EngineError, match=sentence):
        convert(nn.Identity(), SHAPE, CPU, conversion)
    assert not recording


def test_a_wrong_output_is_refused(recording):
    module = types.SimpleNamespace(
        input_names=['input_0'],
        engine=types.SimpleNamespace(get_tensor_shape=lambda name: SHAPE),
    )

    class Wrong(types.SimpleNamespace):
        def __call__(self, pixels):
            return pixels[:, :, ::4]

    bound = BoundModule(Wrong(**vars(module)), SHAPE, (1, 3, 16, 24), CPU)
    with pytest.raises(EngineError, match=r'gave \(1, 3, 16, 96\), not \(1, 3, 16, 24\)'):
        bound(torch.zeros(SHAPE))

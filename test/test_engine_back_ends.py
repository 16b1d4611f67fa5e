"""OpenVINO and ONNX Runtime compute what torch does, and nobody loads them unasked.

The network is another design than EdgeSegNet, which other tests have; engines know designs alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edgesegnet_ros.cli import main
from edgesegnet_ros.data.street import random_scenes
from edgesegnet_ros.engines import cpu, open_engine, openvino, parity
from edgesegnet_ros.engines.recipe import recipe_for
from edgesegnet_ros.engines.request import BACK_ENDS, EngineError, EngineRequest
from edgesegnet_ros.engines.segmenter import Segmenter
from edgesegnet_ros.engines.selection import candidates
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo, save_weights

SIZE = (64, 96)
DESIGN = 'unet-slim'
LIBRARIES = {'openvino': ('openvino',), 'onnxruntime': ('onnxruntime', 'onnx')}


def _spread_logits(model: torch.nn.Module) -> None:
    """Let each class win somewhere: random weights alone leave it all to the biases."""
    pixels = torch.from_numpy(picture(0)).permute(2, 0, 1)[None].float() / 128 - 1
    with torch.no_grad():
        logits = model.eval().coarse_logits(pixels)
        mean, spread = logits.mean((0, 2, 3)), logits.std((0, 2, 3))
        model.head.weight *= (3 / spread)[:, None, None, None]
        model.head.bias.copy_((model.head.bias - mean) * 3 / spread)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Random weights, an ignored class, an image or two."""
    folder = tmp_path_factory.mktemp('random')
    torch.manual_seed(3)
    model = build_network(DESIGN, 11)
    _spread_logits(model)
    info = WeightsInfo('camvid11', 11, SIZE, temperature=1.7)
    save_weights(folder / 'random.safetensors', model, info)
    (folder / 'frames').mkdir()
    for index, frame in enumerate(random_scenes(11, 2, (90, 120))):
        cv2.imwrite(str(folder / f'frames/{index}.png'), frame.image[..., ::-1])
    return folder


@pytest.fixture(scope='module')
def request_(files):
    return EngineRequest(
        str(files / 'random.safetensors'),
        precision='fp32',
        num_threads=2,
        input_size=SIZE,
        parity_frames=str(files / 'frames'),
        engine_cache=str(files / 'cache'),
    )


@pytest.fixture(scope='module')
def torch_engine(request_):
    return open_engine(request_._replace(engine='torch')).engine


@pytest.fixture(scope='module', params=['openvino', 'onnxruntime'])
def engine(request, request_):
    for library in LIBRARIES[request.param]:
        pytest.importorskip(library)
    return open_engine(request_._replace(engine=request.param)).engine


def picture(seed: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 255, (8, 12, 3), np.uint8)
    return cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC)


def test_labels_and_confidence_are_torchs(engine, torch_engine):
    for seed in range(4):
        labels, confidence, expected, sure = np.empty((4, *SIZE), np.uint8)
        engine.infer(picture(seed), labels, confidence)
        torch_engine.infer(picture(seed), expected, sure)
        assert (labels == expected).mean() >= 0.9995
        assert np.abs(confidence.astype(int) - sure).max() <= 1
        assert len(np.unique(expected)) > 2 and np.ptp(sure) > 10
        engine.infer(picture(seed), labels)
        assert (labels == expected).mean() >= 0.9995
        assert np.allclose(engine.last_logits(), torch_engine.last_logits(), atol=1e-2)


def test_it_says_what_runs(engine):
    is_ = engine.describe()
    assert is_.engine in LIBRARIES and is_.precision == 'fp32' and is_.threads == 2
    assert '% of the labels equal those of fp32' in is_.reason and 'of 2 images of' in is_.reason


@pytest.mark.parametrize('name', ['torch', 'openvino', 'onnxruntime'])
@pytest.mark.parametrize('unlabeled_below', [None, 0.0, 0.5])
def test_nothing_of_a_frames_size_is_made_for_a_frame(request_, name, unlabeled_below):
    """None asks for no confidence."""
    for library in LIBRARIES.get(name, ()):
        pytest.importorskip(library)
    segmenter = Segmenter(open_engine(request_._replace(engine=name)).engine)
    frame = cv2.resize(picture(0), (96, 72))
    wanted = (unlabeled_below is not None, unlabeled_below or 0.0)
    for _ in range(3):
        segmenter.segment(frame, *wanted)
    tracemalloc.start()
    try:
        for _ in range(5):
            segmenter.segment(frame, *wanted)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < SIZE[0] * SIZE[1], f'{peak} bytes'


def test_ignored_classes_never_win(files, request_):
    pytest.importorskip('openvino')
    classes = files / 'sparse.yaml'
    names = ', '.join(f'{{id: {i}, name: c{i}, color: [{i}, 0, 0]}}' for i in range(11))
    engine = open_engine(request_._replace(engine='openvino')).engine
    labels = np.empty(SIZE, np.uint8)
    engine.infer(picture(0), labels)
    winner = int(np.bincount(labels.ravel()).argmax())
    classes.write_text(f'name: camvid11\nclasses: [{names}]\nignored: [c{winner}]\n')
    engine = open_engine(request_._replace(engine='openvino', classes=str(classes))).engine
    engine.infer(picture(0), labels)
    assert winner not in labels


def test_a_foreign_blob_is_refused_in_a_sentence(tmp_path, request_):
    pytest.importorskip('openvino')
    file = tmp_path / 'x.blob'
    for content in (b'', b'PK\x03\x04 something else', np.random.default_rng(0).bytes(5000)):
        file.write_bytes(content)
        with pytest.raises(EngineError, match='openvino cannot load it'):
            openvino.BACK_END.load(recipe_for(request_), file)


def test_auto_selects_the_fastest_engine_and_logs_the_skipped_ones(request_, monkeypatch):
    pytest.importorskip('openvino')
    monkeypatch.setattr(cpu, 'has_bf16', lambda: False)
    is_ = open_engine(request_._replace(precision='auto')).engine.describe()
    assert (is_.engine, is_.precision) == ('openvino', 'fp32')
    assert 'the fastest here' in is_.reason and 'edgesegnet export' in is_.reason
    monkeypatch.setattr(openvino.importlib.util, 'find_spec', lambda name: None)
    is_ = open_engine(request_._replace(precision='auto')).engine.describe()
    assert is_.engine == 'torch'
    assert 'pip install openvino' in is_.reason
    with pytest.raises(EngineError, match='pip install openvino'):
        open_engine(request_._replace(engine='openvino'))
    with pytest.raises(EngineError, match='none can|no engine is available'):
        open_engine(request_._replace(engine='auto', precision='int8'))


@pytest.mark.parametrize('bf16', [True, False])
def test_auto_goes_by_precision_and_then_by_back_end(request_, monkeypatch, bf16):
    pytest.importorskip('openvino')
    pytest.importorskip('onnxruntime')
    monkeypatch.setattr(cpu, 'has_bf16', lambda: bf16)
    recipe = recipe_for(request_._replace(precision='auto', device='cpu'))
    expected = [
        ('openvino', 'int8'),
        ('openvino', 'bf16'),
        ('torch', 'bf16'),
        ('openvino', 'fp32'),
        ('torch', 'fp32'),
        ('onnxruntime', 'fp32'),
    ]
    found = [(one.name, precision) for one, precision in candidates('auto', recipe, [])]
    assert found == [pair for pair in expected if bf16 or pair[1] != 'bf16']
    recipe = recipe._replace(precision='fp32')
    found = [one.name for one, _ in candidates('auto', recipe, [])]
    assert found == ['openvino', 'torch', 'onnxruntime']


@pytest.mark.skipif(not cpu.has_bf16(), reason='SKIPPED FOR WANT OF A CPU WITH bf16')
def test_bf16_is_computed_proved_and_taken(request_, torch_engine, monkeypatch):
    pytest.importorskip('openvino')
    # Random weights have no margins that bf16 could keep: refused, and fp32 is taken instead.
    request_ = request_._replace(engine='openvino', precision='auto')
    is_ = open_engine(request_).engine.describe()
    assert is_.precision == 'fp32' and 'the engine openvino bf16 is refused' in is_.reason
    with pytest.raises(EngineError, match='openvino bf16 is refused: '):
        open_engine(request_._replace(precision='bf16'))
    monkeypatch.setitem(parity.THRESHOLDS, 'bf16', parity.Threshold(0.9, 100.0))
    engine = open_engine(request_._replace(engine_cache=request_.engine_cache + '-bf16')).engine
    assert engine.describe().precision == 'bf16'
    labels, sure, expected, expected_sure = np.empty((4, *SIZE), np.uint8)
    engine.infer(picture(0), labels, sure)
    torch_engine.infer(picture(0), expected, expected_sure)
    assert 0.95 < (labels == expected).mean()
    assert np.abs(sure.astype(int) - expected_sure).mean() < 3
    apart = np.abs(engine.last_logits() - torch_engine.last_logits())
    assert 1e-3 < apart.mean() < 0.1  # fp32 differs by less than 1e-4


def test_an_unsupported_precision_of_a_back_end_is_refused(request_):
    pytest.importorskip('openvino')
    with pytest.raises(EngineError, match="'fp16' is not one of the openvino engine"):
        open_engine(request_._replace(engine='openvino', precision='fp16'))
    with pytest.raises(EngineError, match='does not run on cuda: set device to cpu'):
        open_engine(request_._replace(engine='onnxruntime', device='cuda'))


@pytest.mark.timeout(1200)
def test_int8_requires_images_and_auto_uses_it_once_it_is_proved(files, request_, monkeypatch):
    pytest.importorskip('nncf')
    request_ = request_._replace(engine_cache=str(files / 'int8-cache'))
    empty = files / 'empty'
    empty.mkdir(exist_ok=True)
    common = [
        '--model',
        request_.model,
        '--input-size',
        '64x96',
        '--precision',
        'int8',
        '--engine-cache',
        request_.engine_cache,
        '--parity-frames',
        request_.parity_frames,
    ]
    assert main(['export', '--engine', 'openvino', *common, '--calibration', str(empty)]) == 2
    # Random weights have no margins that int8 could keep.
    monkeypatch.setitem(parity.THRESHOLDS, 'int8', parity.Threshold(0.5, 100.0))
    told, out = files / 'told.json', files / 'copy/int8.blob'
    assert (
        main(
            [
                'export',
                '--engine',
                'openvino',
                *common,
                '--calibration',
                str(files / 'frames'),
                '--json',
                str(told),
                '--out',
                str(out),
            ]
        )
        == 0
    )
    figures = json.loads(told.read_text())
    assert figures['verdict']['agreement'] >= 0.5
    assert figures['calibrated_on'] == f'2 of 2 images of {files / "frames"}'
    record = json.loads(out.with_suffix('.json').read_text())
    assert record['fingerprint']['precision'] == 'int8' and out.stat().st_size > 1e6
    is_ = open_engine(request_._replace(precision='auto')).engine.describe()
    assert (is_.engine, is_.precision) == ('openvino', 'int8')


def test_an_engine_that_is_refused_ends_export_with_1(request_, monkeypatch, capsys):
    pytest.importorskip('openvino')
    monkeypatch.setitem(parity.THRESHOLDS, 'fp32', parity.Threshold(1.1, 0.0))
    cache = request_.engine_cache + '-other'
    assert (
        main(
            [
                'export',
                '--engine',
                'openvino',
                '--precision',
                'fp32',
                '--model',
                request_.model,
                '--input-size',
                '64x96',
                '--engine-cache',
                cache,
                '--parity-frames',
                request_.parity_frames,
            ]
        )
        == 1
    )
    assert 'the engine openvino fp32 is refused: ' in capsys.readouterr().err
    # Auto goes on to what passes.
    is_ = open_engine(
        request_._replace(engine='auto', engine_cache=cache, num_threads=1)
    ).engine.describe()
    assert is_.engine == 'torch' and 'openvino fp32 is refused' in is_.reason


def test_the_onnx_file_has_metadata(request_, files):
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    open_engine(request_._replace(engine='onnxruntime'))
    (file,) = (files / 'cache').glob('onnxruntime-fp32-64x96-*.onnx')
    model = onnx.load(str(file))
    told = {pair.key: pair.value for pair in model.metadata_props}
    assert json.loads(told['classes'])[0] == 'sky' and json.loads(told['mean'])[0] == 0.485
    assert len(told['weights_sha256']) == 64 and float(told['temperature']) == 1.7
    assert model.opset_import[0].version == 17
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {'picture': [1, 64, 96, 3], 'labels': [1, 64, 96], 'logits': [1, 11, 16, 24]}
    core = pytest.importorskip('openvino').Core()
    compiled = core.compile_model(str(file), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    labels = compiled(picture(1)[None])['labels'][0]
    expected = np.empty(SIZE, np.uint8)
    open_engine(request_._replace(engine='torch')).engine.infer(picture(1), expected)
    assert (labels == expected).mean() >= 0.9999


@pytest.mark.timeout(1200)
def test_no_usage_statistics_are_sent(request_, tmp_path):
    """OpenVINO and NNCF report to their makers, where nothing keeps them from it."""
    pytest.importorskip('nncf')
    code = (
        'import sys\n'
        'calls = []\n'
        'watched = ("socket.connect", "socket.getaddrinfo", "os.fork")\n'  # they fork to send
        'sys.addaudithook(lambda name, a: calls.append((name, a)) if name in watched else None)\n'
        'from pathlib import Path\n'
        'from edgesegnet_ros.engines.request import EngineRequest\n'
        'from edgesegnet_ros.engines.openvino import BACK_END\n'
        'from edgesegnet_ros.engines.image_sets import ImageSet\n'
        'from edgesegnet_ros.engines.recipe import recipe_for\n'
        f'request = EngineRequest({request_.model!r}, precision="int8", input_size=(32, 32))\n'
        'recipe = recipe_for(request)._replace(calibrated_on=ImageSet("one", (), 5, 1))\n'
        'BACK_END.build(recipe, Path("engine.blob"))\n'
        'BACK_END.load(recipe, Path("engine.blob"))\n'
        'print(calls, [name for name in ("openvino", "nncf") if name not in sys.modules])\n'
    )
    environment = {**os.environ, 'HOME': str(tmp_path), 'PYTHONPATH': str(Path.cwd())}
    # Their reports stop in CI and under pytest, which users' machines are not.
    for name in ('CI', 'TF_BUILD', 'JENKINS_URL', 'NNCF_CI', 'NNCF_DEV'):
        environment.pop(name, None)
    told = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert told.stdout.strip().splitlines()[-1] == '[] []', told.stdout + told.stderr
    assert not (tmp_path / 'intel').exists()


@pytest.mark.parametrize(
    'design, more, enlarged',
    [
        ('edgesegnet', {'MaxPool', 'Mul'}, 3),
        ('unet-slim', {'AveragePool', 'Concat', 'Identity', 'ReduceMean', 'Shape', 'Slice'}, 4),
        ('fast-scnn-design', {'Concat', 'MatMul', 'Shape', 'Slice'}, 7),
    ],
)
def test_the_onnx_file_is_supported_by_tensorrt_8_5(tmp_path, design, more, enlarged):
    """By its parser's source: bytes only at the ends, cast from and to floats; these operators."""
    pytest.importorskip('onnx')
    from edgesegnet_ros.engines.onnx_graph import onnx_model

    model = build_network(design, 11, training_norms=True)
    save_weights(tmp_path / 'w.safetensors', model, WeightsInfo('camvid11', 11, SIZE))
    request = EngineRequest(str(tmp_path / 'w.safetensors'), precision='fp32', input_size=SIZE)
    graph = onnx_model(recipe_for(request)).graph
    usual = {'Add', 'ArgMax', 'Cast', 'Constant', 'Conv', 'Mul', 'Relu', 'Resize', 'Transpose'}
    assert {node.op_type for node in graph.node} <= usual | more
    first = [node for node in graph.node if 'picture' in node.input]
    (last,) = (node for node in graph.node if 'labels' in node.output)
    (before,) = (node for node in graph.node if last.input[0] in node.output)
    casts = [(node.op_type, node.attribute[0].i) for node in (*first, before, last)]
    floats, bytes_ = 1, 2
    assert casts == [('Cast', floats), ('Cast', floats), ('Cast', bytes_)]
    resizes = [node for node in graph.node if node.op_type == 'Resize']
    assert len(resizes) == enlarged
    for node in resizes:
        options = {one.name: one.s for one in node.attribute}
        assert options['mode'] == b'linear'
        assert options['coordinate_transformation_mode'] == b'half_pixel'


def test_a_torch_engine_loads_no_other_library(request_):
    code = (
        'import sys\n'
        'from edgesegnet_ros.engines import open_engine\n'
        'from edgesegnet_ros.engines.request import EngineRequest\n'
        f'open_engine(EngineRequest({request_.model!r}, engine="torch", input_size=(32, 32)))\n'
        'heavy = {"openvino", "nncf", "onnx", "onnxruntime", "tensorrt", "torch2trt", "rclpy"}\n'
        'print(sorted(heavy & set(sys.modules)))\n'
    )
    told = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert told.stdout.strip() == '[]', told.stdout + told.stderr


def test_a_back_end_can_be_asked_why_it_cannot_run_where_onnx_is_missing():
    # In a process of its own: modules imported once more would stay in this one.
    code = (
        'import importlib, sys\n'
        'sys.modules["onnx"] = None\n'
        'from edgesegnet_ros.engines.selection import BACK_ENDS\n'
        'for name, module in BACK_ENDS.items():\n'
        '    found = importlib.import_module(module).BACK_END\n'
        '    assert isinstance(found.why_not("cpu"), (str, type(None)))\n'
        '    assert found.name == name\n'
        '    print(name)\n'
    )
    told = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert told.stdout.split() == list(BACK_ENDS), told.stderr

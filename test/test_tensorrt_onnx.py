"""TensorRT 10 from an ONNX file: the file's meaning and types, and what TensorRT is asked for.

No machine of the tests has libnvinfer. The module `tensorrt` here has the names that are used, and
runs the file with ONNX Runtime on the addresses that it was given.
"""

from __future__ import annotations

import ctypes
import types

import numpy as np
import pytest
import torch
from small_onnx import CLASSES, MEAN, STD, YAML, Small, expected_of, export
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines import tensorrt as tensorrt_engine
from edgesegnet_ros.engines import tensorrt_onnx
from edgesegnet_ros.engines.eager import EagerReference
from edgesegnet_ros.engines.image_sets import ImageSet
from edgesegnet_ros.engines.recipe import recipe_for
from edgesegnet_ros.engines.request import EngineError, EngineRequest

onnx = pytest.importorskip('onnx', reason='SKIPPED FOR WANT OF onnx')
onnxruntime = pytest.importorskip('onnxruntime', reason='SKIPPED FOR WANT OF onnxruntime')
SIZE = (64, 96)
CPU = torch.device('cpu')


def recipe_of(precision):
    request = EngineRequest(precision=precision, device='cpu', num_threads=1, input_size=SIZE)
    return recipe_for(request)._replace(calibrated_on=ImageSet('streets', (), 6, 4))


@pytest.fixture(scope='module')
def image():
    return Street(7, SIZE).frame(3).image


@pytest.fixture(scope='module')
def expected(image):
    recipe = recipe_of('fp32')
    labels = np.empty(SIZE, np.uint8)
    EagerReference(recipe.model, recipe.info, SIZE).infer(image, labels)
    return labels


class FakeTensorRt(types.ModuleType):
    """What this package uses of TensorRT's binding, and no more."""

    def __init__(self):
        super().__init__('tensorrt')
        self.__version__ = '10.7.0'
        self.float32 = 'float32'
        self.asked = {}
        self.objection = ''
        fake = self

        class Logger:
            ERROR, WARNING = 1, 2

            def __init__(self, severity):
                pass

        class CreateNetwork:
            """The binding is compiled, so its methods are no Python functions."""

            def __call__(self, flags):
                fake.asked['flags'] = flags
                return types.SimpleNamespace(file=None)

        class Builder:
            create_network = CreateNetwork()

            def __init__(self, logger):
                pass

            def create_builder_config(self):
                return types.SimpleNamespace(
                    set_memory_pool_limit=lambda pool, size: fake.asked.update({pool: size})
                )

            def build_serialized_network(self, network, config):
                return None if fake.objection == 'build' else memoryview(network.file)

        class OnnxParser:
            num_errors = 1

            def __init__(self, network, logger):
                self.network = network

            def parse(self, file):
                self.network.file = file
                return fake.objection != 'parse'

            def get_error(self, index):
                return 'In node 3: UNSUPPORTED_NODE'

        class Runtime:
            def __init__(self, logger):
                pass

            def deserialize_cuda_engine(self, plan):
                return None if plan == b'foreign' else Engine(plan)

        class Engine:
            num_io_tensors = 2

            def __init__(self, plan):
                self.session = onnxruntime.InferenceSession(plan)
                self.tensors = {
                    one.name: (mode, one)
                    for mode, ones in (
                        ('in', self.session.get_inputs()),
                        ('out', self.session.get_outputs()),
                    )
                    for one in ones
                }

            def get_tensor_name(self, index):
                return list(self.tensors)[index]

            def get_tensor_mode(self, name):
                return self.tensors[name][0]

            def get_tensor_shape(self, name):
                return self.tensors[name][1].shape

            def get_tensor_dtype(self, name):
                return {'tensor(float)': fake.float32}.get(self.tensors[name][1].type)

            def create_execution_context(self):
                return Context(self)

        class Context:
            def __init__(self, engine):
                self.engine, self.addresses = engine, {}

            def set_tensor_address(self, name, address):
                self.addresses[name] = address
                return True

            def execute_async_v3(self, stream):
                fake.asked['stream'] = stream
                if fake.objection == 'run':
                    return False
                arrays = {name: self.array(name) for name in self.addresses}
                given = {tensorrt_onnx.PIXELS: arrays[tensorrt_onnx.PIXELS]}
                arrays[tensorrt_onnx.LOGITS][:] = self.engine.session.run(None, given)[0]
                return True

            def array(self, name):
                shape = self.engine.get_tensor_shape(name)
                kind = ctypes.c_float * int(np.prod(shape))
                return np.ctypeslib.as_array(kind.from_address(self.addresses[name])).reshape(
                    shape
                )

        self.Logger, self.Builder, self.OnnxParser = Logger, Builder, OnnxParser
        self.Runtime = Runtime
        self.TensorIOMode = types.SimpleNamespace(INPUT='in', OUTPUT='out')
        self.MemoryPoolType = types.SimpleNamespace(WORKSPACE='workspace')
        self.NetworkDefinitionCreationFlag = types.SimpleNamespace(STRONGLY_TYPED=1)


@pytest.fixture
def fake(monkeypatch):
    module = FakeTensorRt()
    monkeypatch.setitem(__import__('sys').modules, 'tensorrt', module)
    stream = types.SimpleNamespace(cuda_stream=4711)
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda device=None: stream)
    return module


def test_fp16_weights_are_in_the_graph_and_floats_around_it(fake, image, expected, tmp_path):
    recipe = recipe_of('fp16')
    path = tmp_path / 'engine.plan'
    tensorrt_engine.BACK_END.build(recipe, path)
    assert fake.asked == {'flags': 2, 'workspace': 1024 << 20}
    proto = onnx.load_from_string(path.read_bytes())
    large = [one for one in proto.graph.initializer if np.prod(one.dims) > 64]
    assert large and {one.data_type for one in large} == {onnx.TensorProto.FLOAT16}
    engine = tensorrt_engine.BACK_END.load(recipe, path)
    labels, confidence = np.empty(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    engine.infer(image, labels, confidence)
    assert (labels == expected).mean() > 0.99 and confidence.min() > 0
    assert fake.asked['stream'] == 4711
    described = engine.describe()
    assert (described.engine, described.precision) == ('tensorrt', 'fp16')
    assert described.version == '10.7.0 (ONNX)'
    fake.objection = 'run'
    with pytest.raises(EngineError, match='could not start the engine'):
        engine.infer(image, labels)


def test_int8_is_in_signed_symmetric_quantisation_nodes(fake, image, expected, tmp_path):
    pytest.importorskip('nncf', reason='SKIPPED FOR WANT OF nncf')
    recipe = recipe_of('int8')
    path = tmp_path / 'engine.plan'
    tensorrt_engine.BACK_END.build(recipe, path)
    graph = onnx.load_from_string(path.read_bytes()).graph
    values = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == 'QuantizeLinear']
    assert len(nodes) > 20
    for node in nodes:
        zero = values[node.input[2]]
        assert zero.dtype == np.int8 and not zero.any()
    engine = tensorrt_engine.BACK_END.load(recipe, path)
    labels = np.empty(SIZE, np.uint8)
    engine.infer(image, labels)
    assert (labels == expected).mean() > 0.95


@pytest.mark.parametrize(
    ('objection', 'sentence'),
    [
        ('parse', 'does not take the ONNX file: In node 3: UNSUPPORTED_NODE'),
        ('build', 'TensorRT built no engine'),
    ],
)
def test_a_refusal_of_tensorrt_is_reported(fake, objection, sentence):
    fake.objection = objection
    with pytest.raises(EngineError, match=sentence):
        tensorrt_onnx.build(b'file', 64)


def test_engines_of_another_machine_or_input(fake, tmp_path):
    recipe = recipe_of('fp32')
    path = tmp_path / 'engine.plan'
    path.write_bytes(b'foreign')
    with pytest.raises(EngineError, match='built by another version of TensorRT or for another'):
        tensorrt_engine.BACK_END.load(recipe, path)
    tensorrt_engine.BACK_END.build(recipe, path)
    with pytest.raises(EngineError, match='the engine has the tensors .*, not '):
        tensorrt_engine.BACK_END.load(recipe._replace(input_size=(64, 64)), path)
    with pytest.raises(EngineError, match="'bf16' is not one of the tensorrt engine"):
        tensorrt_engine.BACK_END.build(recipe_of('bf16'), path)


def test_a_dla_core_needs_an_older_tensorrt(fake, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        'find_spec',
        lambda name: there('json') if name == 'tensorrt' else there(name),
    )
    back_end = tensorrt_engine.BACK_END
    assert 'only torch2trt builds for DLA cores, with TensorRT before 10' in back_end.why_not(
        'dla:0'
    )
    assert back_end.why_not('cuda') is None
    assert back_end.precisions('cuda') == ('int8', 'fp16', 'fp32')


class OfBytes(Small):
    """A network that normalises within the graph."""

    def forward(self, pixels):
        return super().forward(pixels.permute(0, 3, 1, 2).float() / 64 - 2)


@pytest.mark.parametrize('kind', ['floats', 'bgr in fp16', 'bytes', 'class ids'])
def test_a_users_onnx_file_goes_the_same_way(fake, image, tmp_path, kind):
    (tmp_path / 'mine.yaml').write_text(CLASSES)
    (tmp_path / 'net.yaml').write_text(YAML + ('channels: bgr\n' if 'bgr' in kind else ''))
    network, example = Small(), None
    if kind == 'bytes':
        network, example = OfBytes(), torch.zeros(1, *SIZE, 3, dtype=torch.uint8)
        (tmp_path / 'net.yaml').write_text('classes: mine.yaml\n')
    if kind == 'class ids':
        network.change = lambda logits: F.interpolate(logits, SIZE, mode='bilinear').argmax(1)
    path = export(tmp_path / 'net.onnx', network, SIZE, dynamic=False, example=example)
    precision = 'fp16' if 'fp16' in kind else 'fp32'
    request = EngineRequest(str(path), precision=precision, device='cpu', num_threads=1)
    recipe = recipe_for(request)
    back_end, plan = tensorrt_engine.BACK_END, tmp_path / 'engine.plan'
    back_end.build(recipe, plan)
    assert fake.asked['flags'] == 2, 'strongly typed'
    weights = {
        one.data_type
        for one in onnx.load_from_string(plan.read_bytes()).graph.initializer
        if len(one.dims) == 4 and one.dims[0] > 1
    }
    assert weights == {onnx.TensorProto.FLOAT16 if precision == 'fp16' else onnx.TensorProto.FLOAT}
    engine = back_end.load(recipe, plan)
    labels, confidence = np.empty(SIZE, np.uint8), np.empty(SIZE, np.uint8)
    engine.infer(image, labels, confidence)
    seen, mean, std = image, MEAN, STD
    if 'bgr' in kind:
        seen, mean, std = np.ascontiguousarray(image[..., ::-1]), MEAN[::-1], STD[::-1]
    if kind == 'bytes':
        network.__class__, mean, std = Small, [2 * 64 / 255] * 3, [64 / 255] * 3
    network.change = lambda logits: logits
    logits = expected_of(network, seen, mean, std)
    assert (labels == logits.argmax(0).numpy()).mean() > (0.99 if precision == 'fp16' else 0.999)
    assert len(np.unique(labels)) == 3
    if kind == 'class ids':
        assert (confidence == 255).all()
    else:
        sure = torch.softmax(logits, 0).amax(0).numpy() * 255
        assert np.abs(confidence - sure).mean() < 1.0


def test_a_users_onnx_file_that_tensorrt_cannot_take(fake, image, tmp_path, monkeypatch):
    class Doubling(Small):
        def forward(self, pixels):
            return super().forward((pixels + pixels).permute(0, 3, 1, 2).float())

    (tmp_path / 'mine.yaml').write_text(CLASSES)
    (tmp_path / 'net.yaml').write_text('classes: mine.yaml\n')
    example = torch.zeros(1, *SIZE, 3, dtype=torch.uint8)
    path = export(tmp_path / 'net.onnx', Doubling(), SIZE, dynamic=False, example=example)
    recipe = recipe_for(EngineRequest(str(path), precision='fp32', device='cpu', num_threads=1))
    back_end = tensorrt_engine.BACK_END
    with pytest.raises(EngineError, match='net.onnx: it computes with bytes .Add., which'):
        back_end.build(recipe, tmp_path / 'engine.plan')
    monkeypatch.setattr(back_end, 'why_not', lambda device: None)
    assert back_end.refusal(recipe) is None
    fake.__version__ = '8.5.2'
    monkeypatch.setattr(tensorrt_engine, 'version', lambda name: '0.5.0')
    assert 'net.onnx from TensorRT 10 on, not with 8.5.2' in back_end.refusal(recipe)

"""Networks of other origin: an ONNX file as `model`, and what is said of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from replay_bags import IMAGE, message, write
from small_onnx import CLASSES, MEAN, SIZE, STD, YAML, Small, expected_of, export, spread
from test_network import with_lively_norms
from torch import nn
from torch.nn import functional as F  # noqa: N812

from edgesegnet_ros import cli
from edgesegnet_ros.data.geometry import compute_placement, to_network, to_source
from edgesegnet_ros.data.street import Street
from edgesegnet_ros.engines import open_engine
from edgesegnet_ros.engines.image_sets import ImageSet
from edgesegnet_ros.engines.recipe import recipe_for
from edgesegnet_ros.engines.request import EngineError, EngineRequest
from edgesegnet_ros.network.registry import build_network

onnx = pytest.importorskip('onnx', reason='SKIPPED FOR WANT OF onnx')
pytest.importorskip('onnxruntime', reason='SKIPPED FOR WANT OF onnxruntime')


@pytest.fixture(scope='module')
def image():
    return Street(7, SIZE).frame(3).image


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Class file, and frames that an engine is proved on quickly."""
    (tmp_path / 'mine.yaml').write_text(CLASSES)
    streets = ImageSet('one street', (), 5, 1)
    monkeypatch.setattr('edgesegnet_ros.engines.image_sets.parity_set', lambda named='': streets)
    return tmp_path


def request_(path, engine, **more):
    return EngineRequest(
        str(path), engine=engine, precision='fp32', device='cpu', num_threads=1, **more
    )


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
def test_a_network_of_any_origin_at_two_sizes(folder, image, engine):
    if engine == 'openvino':
        pytest.importorskip('openvino', reason='SKIPPED FOR WANT OF openvino')
    network = Small()
    path = export(folder / 'net.onnx', network)
    (folder / 'net.yaml').write_text(YAML)
    for size in (SIZE, (40, 56)):
        loaded = open_engine(request_(path, engine, input_size=size))
        assert loaded.classes.name == 'mine' and loaded.engine.num_classes == 3
        picture = np.ascontiguousarray(image[: size[0], : size[1]])
        labels, confidence = np.empty(size, np.uint8), np.empty(size, np.uint8)
        loaded.engine.infer(picture, labels, confidence)
        logits = expected_of(network, picture)
        assert (labels == logits.argmax(0).numpy()).mean() > 0.999 and len(np.unique(labels)) == 3
        sure = torch.softmax(logits, 0).amax(0).numpy() * 255
        assert np.abs(confidence - sure).max() <= 1.0
        assert loaded.engine.describe().engine == engine
        loaded.engine.close()


def test_bgr_fixed_size_and_the_size_that_the_graph_takes(folder, image):
    network = Small()
    path = export(folder / 'net.onnx', network, dynamic=False)
    (folder / 'net.yaml').write_text(YAML + 'channels: bgr\n')
    loaded = open_engine(request_(path, 'onnxruntime'))
    assert loaded.engine.input_size == SIZE
    labels = np.empty(SIZE, np.uint8)
    loaded.engine.infer(image, labels)
    swapped = np.ascontiguousarray(image[..., ::-1])
    expected = expected_of(network, swapped, MEAN[::-1], STD[::-1]).argmax(0).numpy()
    assert (labels == expected).mean() > 0.999
    with pytest.raises(EngineError, match=r'takes images of 64x96 alone, not of 32x32'):
        open_engine(request_(path, 'onnxruntime', input_size=(32, 32)))


def test_a_graph_whose_output_is_class_ids(folder, image):
    def ids(logits):
        return F.interpolate(logits, SIZE, mode='bilinear').argmax(1)

    network = Small(change=ids)
    path = export(folder / 'net.onnx', network, dynamic=False)
    (folder / 'net.yaml').write_text(YAML)
    loaded = open_engine(request_(path, 'auto'))
    labels, confidence = np.empty(SIZE, np.uint8), np.empty(SIZE, np.uint8)
    loaded.engine.infer(image, labels, confidence)
    network.change = lambda logits: logits
    expected = expected_of(network, image).argmax(0).numpy()
    assert (labels == expected).mean() > 0.999 and (confidence == 255).all()


def test_logits_that_are_not_finite_are_a_failure(folder, image):
    network = Small()
    path = export(folder / 'net.onnx', network)
    proto = onnx.load(str(path))
    bias = next(one for one in proto.graph.initializer if one.name.endswith('second.bias'))
    bias.CopyFrom(onnx.numpy_helper.from_array(np.array([0, np.nan, 0], np.float32), bias.name))
    onnx.save(proto, str(path))
    (folder / 'net.yaml').write_text(YAML)
    with pytest.raises(EngineError, match='NaN or infinite logits'):
        open_engine(request_(path, 'onnxruntime', input_size=SIZE))


def test_an_exported_network_can_be_loaded_again(folder, image, tmp_path):
    from edgesegnet_ros.engines.onnxruntime import model_bytes
    from edgesegnet_ros.engines.recipe import recipe_for

    own = EngineRequest(precision='fp32', device='cpu', num_threads=1, input_size=SIZE)
    path = tmp_path / 'own.onnx'
    path.write_bytes(model_bytes(recipe_for(own)))
    labels, expected = np.empty(SIZE, np.uint8), np.empty(SIZE, np.uint8)
    open_engine(own._replace(engine='torch')).engine.infer(image, expected)
    loaded = open_engine(request_(path, 'onnxruntime'))
    assert loaded.classes.name == 'camvid11'
    loaded.engine.infer(image, labels)
    assert (labels == expected).mean() > 0.999


def test_segformer_built_by_transformers(folder, image):
    transformers = pytest.importorskip('transformers', reason='SKIPPED FOR WANT OF transformers')
    config = transformers.SegformerConfig(num_labels=3)  # B0's sizes

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.network = transformers.SegformerForSemanticSegmentation(config)

        def forward(self, pixels):
            return self.network(pixels).logits

    network = Logits()
    path = export(folder / 'segformer.onnx', network)
    (folder / 'segformer.yaml').write_text(YAML)
    loaded = open_engine(request_(path, 'auto', input_size=SIZE))
    labels = np.empty(SIZE, np.uint8)
    loaded.engine.infer(image, labels)
    assert (labels == expected_of(network, image).argmax(0).numpy()).mean() > 0.99


@pytest.mark.parametrize(
    ('said', 'sentence'),
    [
        (None, r'it is not known how to run it; add to .*net.yaml: mean and std'),
        ('mean: [1, 2]', r'mean \[1, 2\]: three numbers, of red, green and blue'),
        ('mean: [124, 116, 104]\nstd: [1, 1, 1]', r'for values in 0-1; divide by 255'),
        (f'mean: {MEAN}', r'net.yaml gives only one of mean and std'),
        ('colour: rgb', r"net.yaml:1: unknown key 'colour': mean, std, channels"),
        (YAML + 'channels: gbr', r"says channels 'gbr': rgb or bgr"),
        (YAML + 'output: other', r'it has the outputs out: name one with the key output'),
        (YAML + 'input_size: 512', r'input_size 512: height and width'),
        (YAML.replace('mine.yaml', 'camvid11'), r'camvid11 has 11 classes, but .* gives 3'),
        ('- 1', r'net.yaml:1: expected a mapping'),
    ],
)
def test_missing_or_wrong_entries_are_named(folder, said, sentence):
    path = folder / 'net.onnx'
    if not path.exists():
        export(path, Small())
    more = {} if 'classes' in (said or '') else {'classes': str(folder / 'mine.yaml')}
    if said:
        (folder / 'net.yaml').write_text(said)
    with pytest.raises(EngineError, match=sentence):
        open_engine(request_(path, 'onnxruntime', input_size=SIZE, **more))


def test_files_that_are_no_networks(folder):
    path = folder / 'net.onnx'
    with pytest.raises(EngineError, match='no such ONNX file'):
        open_engine(request_(path, 'auto'))
    path.write_bytes(b'no network')
    with pytest.raises(EngineError, match='not a complete ONNX file'):
        open_engine(request_(path, 'auto'))
    export(path, Small(width=1))
    (folder / 'net.yaml').write_text(YAML)
    with pytest.raises(EngineError, match=r'1x1x\?x\?, not .1, classes, height, width.'):
        open_engine(request_(path, 'auto', input_size=SIZE))
    export(path, Small())
    with pytest.raises(EngineError, match='the torch engine does not run ONNX files'):
        open_engine(request_(path, 'torch', input_size=SIZE))


def test_inspect(folder, capsys):
    path = export(folder / 'net.onnx', Small())
    told = folder / 'told.json'
    assert cli.main(['model', 'inspect', str(path)]) == 1
    out = capsys.readouterr().out
    assert 'missing        mean and std' in out and f'add it to {folder / "net.yaml"}' in out
    (folder / 'net.yaml').write_text(YAML)
    assert cli.main(['model', 'inspect', str(path), '--json', str(told)]) == 0
    figures = json.loads(told.read_text())
    assert figures['input'] == 'image: float32 nchw rgb' and figures['output'] == 'out: logits'
    assert figures['num_classes'] == 3 and figures['missing'] == []
    assert cli.main(['model', 'inspect', 'edgesegnet-camvid11']) == 0
    assert 'weights of EdgeSegNet, 4323342 parameters' in capsys.readouterr().out
    assert cli.main(['model', 'inspect', str(folder / 'none.onnx')]) == 2


def test_evaluate_takes_it(folder, image):
    import cv2

    data = folder / 'data'
    for split in ('train', 'val', 'test'):
        (data / split).mkdir(parents=True)
        (data / f'{split}annot').mkdir()
        cv2.imwrite(str(data / split / f'{split}.png'), image[..., ::-1])
        network = Small()
        path = export(folder / 'net.onnx', network)
        labels = expected_of(network, image).argmax(0).numpy().astype(np.uint8)
        cv2.imwrite(str(data / f'{split}annot' / f'{split}.png'), labels)
    (folder / 'net.yaml').write_text(YAML + f'input_size: {list(SIZE)}\n')
    told = folder / 'told.json'
    words = ['evaluate', '--model', str(path), '--data', str(data), '--split', 'val']
    words += ['--engine', 'onnxruntime', '--device', 'cpu', '--json', str(told)]
    assert cli.main(words) == 0
    figures = json.loads(told.read_text())
    assert figures['pixel_accuracy'] > 0.999 and figures['input_size'] == list(SIZE)
    assert figures['classes'] == 'mine'
    assert cli.main([*words, '--fit-temperature']) == 2


def test_bench_counts_and_measures_it(folder, monkeypatch):
    from edgesegnet_ros.evaluation.bench import peak
    from edgesegnet_ros.evaluation.bench.onnx_cost import onnx_cost

    monkeypatch.setitem(peak._SIDE, 'cpu', 64)
    path = export(folder / 'net.onnx', Small(), dynamic=False)
    (folder / 'net.yaml').write_text(YAML)
    told = folder / 'told.json'
    words = ['bench', '--networks', str(path), '--frames', '2']
    words += ['--engines', 'eager,torch,onnxruntime', '--num-threads', '1', '--device', 'cpu']
    words += ['--input-size', '64x96', '--out', str(folder / 'out'), '--json', str(told)]
    assert cli.main(words) == 0
    (row,) = json.loads(told.read_text())['rows']
    assert (row['network'], row['engine']) == ('net.onnx', 'onnxruntime')
    assert row['params'] == 8 * 27 + 8 + 3 * 72 + 3
    macs = 8 * 27 * 32 * 48 + 3 * 72 * 16 * 24
    assert row['gmac'] == pytest.approx(macs / 1e9, abs=6e-4)
    work = onnx_cost(recipe_for(EngineRequest(model=str(path))))[1]
    assert work.gmac * 1e9 == pytest.approx(macs)
    # Of the taps along an axis only the first one of the first position is on padding.
    inside = 8 * 3 * (32 * 3 - 1) * (48 * 3 - 1) + 3 * 8 * (16 * 3 - 1) * (24 * 3 - 1)
    assert work.inside * 1e9 == pytest.approx(inside)


@pytest.fixture
def ready(folder):
    """A network in ONNX with all that is said of it, letterboxed; and what it gives."""
    network = Small()
    path = export(folder / 'net.onnx', network)
    (folder / 'net.yaml').write_text(YAML + f'input_size: {list(SIZE)}\nresize_mode: letterbox\n')

    def expected(image):
        placement = compute_placement(image.shape[:2], SIZE, 'letterbox')
        labels = expected_of(network, to_network(image, placement)).argmax(0).numpy()
        return to_source(labels.astype(np.uint8), placement)

    return path, expected


@pytest.fixture(scope='module')
def tall():
    """Not of the network's aspect."""
    return Street(7, (96, 80)).frame(3).image


ENGINE = ('--engine', 'onnxruntime', '--device', 'cpu', '--num-threads', '1')


def test_predict_takes_it(ready, tall, folder):
    import cv2

    path, expected = ready
    cv2.imwrite(str(folder / 'tall.png'), tall[..., ::-1])
    words = ['predict', str(folder / 'tall.png'), '--model', str(path), '--out', str(folder / 'o')]
    assert cli.main([*words, *ENGINE]) == 0
    labels = cv2.imread(str(folder / 'o/labels/tall.png'), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (96, 80) and (labels == expected(tall)).mean() > 0.999
    assert len(np.unique(labels)) == 3


def test_replay_takes_it(ready, tall, folder):
    from edgesegnet_ros.evaluation.replay.label_maps import LabelMaps

    path, expected = ready
    stamp = 10**9
    bag = write(folder / 'bag', [('/camera/image', IMAGE, stamp, message(stamp, tall))])
    words = ['replay', str(bag), '--model', str(path), '--out', str(folder / 'o'), *ENGINE]
    words += ['--no-video', '--no-page', '--no-pictures', '--json', str(folder / 'told.json')]
    assert cli.main(words) == 0
    told = json.loads((folder / 'told.json').read_text())
    assert told['frames_out'] == 1
    (maps,) = (folder / 'o').rglob('labels.zip')
    labels = LabelMaps(maps)[0].labels
    assert (labels == expected(tall)).mean() > 0.999


def test_export_builds_and_proves_an_engine_of_it(ready, folder, capsys):
    pytest.importorskip('openvino', reason='SKIPPED FOR WANT OF openvino')
    path, _ = ready
    words = ['export', '--model', str(path), '--engine-cache', str(folder / 'cache')]
    told = folder / 'told.json'
    more = ['--engine', 'openvino', '--precision', 'fp32', '--json', str(told)]
    assert cli.main([*words, *more]) == 0
    figures = json.loads(told.read_text())
    assert figures['input_size'] == list(SIZE) and figures['resize_mode'] == 'letterbox'
    assert figures['verdict']['agreement'] > 0.9999
    assert cli.main([*words, '--engine', 'torch']) == 2
    assert 'the torch engine does not run ONNX files' in capsys.readouterr().err


@pytest.mark.parametrize('exporter', ['legacy', 'dynamo'])
def test_networks_exported_by_torch_at_any_size(folder, image, exporter):
    """As a user would: a peer in training form, height and width left open."""
    torch.manual_seed(0)
    path = folder / 'net.onnx'
    names = {'input_names': ['image'], 'output_names': ['out'], 'opset_version': 18}
    if exporter == 'dynamo':
        pytest.importorskip('onnxscript', reason='SKIPPED FOR WANT OF onnxscript')
        network = Small().eval()  # this exporter takes half a minute for a peer
        sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
        open_ = {'dynamo': True, 'dynamic_shapes': {'pixels': sides}, 'verbose': False}
    else:
        network = with_lively_norms(build_network('enet', 3))
        spread(network, torch.from_numpy(image).permute(2, 0, 1)[None].float() / 64 - 2)
        open_ = {'dynamo': False, 'dynamic_axes': {'image': {2: 'height', 3: 'width'}}}
    example = torch.zeros(1, 3, 96, 128)
    torch.onnx.export(network, (example,), str(path), **names, **open_)
    (folder / 'net.yaml').write_text(YAML)
    loaded = open_engine(request_(path, 'onnxruntime', input_size=SIZE))
    labels = np.empty(SIZE, np.uint8)
    loaded.engine.infer(image, labels)
    expected = expected_of(network, image).argmax(0).numpy()
    assert (labels == expected).mean() > 0.998 and len(np.unique(labels)) > 1


PEERS = ('bisenetv2', 'ddrnet-23-slim', 'enet', 'erfnet', 'pidnet-s', 'segformer-b0')
"""Without fast-scnn: torch exports no adaptive pooling to a size that is no divisor."""


@pytest.mark.parametrize('name', PEERS)
def test_each_peer_exported_by_torch_computes_the_same_at_another_size(folder, name):
    onnxruntime = pytest.importorskip('onnxruntime', reason='SKIPPED FOR WANT OF onnxruntime')
    torch.manual_seed(0)
    network = with_lively_norms(build_network(name, 3)).eval()
    path = folder / 'peer.onnx'
    torch.onnx.export(
        network,
        (torch.zeros(1, 3, 64, 96),),
        str(path),
        input_names=['image'],
        opset_version=18,
        dynamo=False,
        dynamic_axes={'image': {2: 'height', 3: 'width'}},
    )
    session = onnxruntime.InferenceSession(str(path))
    image = torch.randn(1, 3, 96, 128)
    with torch.inference_mode():
        expected = network(image).numpy()
    (logits,) = session.run(None, {'image': image.numpy()})
    assert logits.shape == expected.shape == (1, 3, 96, 128)
    assert np.abs(logits - expected).max() < 1e-5 * np.abs(expected).max()

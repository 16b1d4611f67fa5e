"""Models that say how an image is brought to them: the node's masks by value."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from harness import image_message, pixels_of
from sensor_msgs.msg import Image
from small_onnx import CLASSES, YAML, Small, expected_of, export
from test_network import with_lively_norms

from edgesegnet_ros.data.geometry import blank_padding, compute_placement, to_network
from edgesegnet_ros.engines.image_sets import ImageSet
from edgesegnet_ros.network.registry import build_network
from edgesegnet_ros.network.weights import WeightsInfo, save_weights

SIZE = (64, 96)


def weights_of(folder, network):
    path = folder / 'mine.safetensors'
    info = WeightsInfo('camvid11', 11, SIZE, resize_mode='letterbox')
    save_weights(path, network, info, torch.float32)
    return path


def onnx_of(folder, network):
    pytest.importorskip('onnxruntime', reason='SKIPPED FOR WANT OF onnxruntime')
    path = export(folder / 'net.onnx', network, SIZE, dynamic=False)
    (folder / 'mine.yaml').write_text(CLASSES)
    (folder / 'net.yaml').write_text(YAML + 'resize_mode: letterbox\n')
    return path


@pytest.mark.parametrize('kind', ['weights', 'onnx'])
def test_masks_of_a_models_own_size_and_resize_mode(
    kind, in_process, tmp_path, monkeypatch, street_frame
):
    streets = ImageSet('one street', (), 5, 1)
    monkeypatch.setattr('edgesegnet_ros.engines.image_sets.parity_set', lambda named='': streets)
    torch.manual_seed(0)
    if kind == 'weights':
        network = with_lively_norms(build_network('edgesegnet', 11))
        path, engine = weights_of(tmp_path, network), 'torch'
    else:
        network = Small()
        path, engine = onnx_of(tmp_path, network), 'onnxruntime'
    node = in_process(
        model=str(path), engine=engine, input_size='[0, 0]', output_resolution='network'
    ).active()
    received: list = []
    name = f'{node.node.get_namespace()}/segmentation/mask'
    node.do(node.node.create_subscription, Image, name, received.append, 10)
    node.wait(lambda: 'mask' in node.node._outputs.wanted(), 'the subscription')
    # Taller than the network's input, so that columns are padded.
    image = np.ascontiguousarray(street_frame.image[:, :360])
    node.send(image_message(image, stamp=3))
    node.wait(lambda: received, 'a mask')

    placement = compute_placement(image.shape[:2], SIZE, 'letterbox')
    logits = expected_of(network, to_network(image, placement))
    expected = blank_padding(logits.argmax(0).numpy().astype(np.uint8), placement, 255)
    mask = pixels_of(received[0])
    assert mask.shape == SIZE and (mask[:, :16] == 255).all() and (mask[:, -16:] == 255).all()
    assert (mask == expected).mean() > 0.999 and len(np.unique(mask)) > 2
    assert node.report()['engine'] == engine
    assert any('input 64x96 (letterbox)' in said for said in node.said)

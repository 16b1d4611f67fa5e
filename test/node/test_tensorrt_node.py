"""The node on the TensorRT engine, over DDS."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from harness import ACTIVATE, CONFIGURE, image_message, pixels_of
from sensor_msgs.msg import Image

from edgesegnet_ros.engines import open_engine
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.engines.segmenter import Segmenter


@pytest.mark.torch2trt
def test_the_node_segments_with_tensorrt(torch2trt, launch, tmp_path, street_frame):
    picture = cv2.resize(street_frame.image, (128, 64))
    request = EngineRequest(
        engine='tensorrt', precision='fp16', input_size=(64, 64), engine_cache=str(tmp_path)
    )
    # Built and proved here, as `edgesegnet export` does on a vehicle; the node starts warm.
    open_engine(request).engine.close()
    client = launch(
        {
            'engine': 'tensorrt',
            'precision': 'fp16',
            'input_size': '[64, 64]',
            'engine_cache': f"'{tmp_path}'",
        }
    )
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    client.subscribe(Image, 'segmentation/mask')
    camera = client.publisher(Image, 'image')
    message = image_message(picture)
    masks = client.received['segmentation/mask']
    client.repeat(lambda: camera.publish(message), lambda: masks, 'a mask')
    assert 'building the engine' not in client.target.log
    torch_engine = open_engine(request._replace(engine='torch', precision='fp32')).engine
    expected = Segmenter(torch_engine).segment(picture).labels
    assert np.mean(pixels_of(masks[0]) == expected) > 0.99
    values = client.diagnostics(lambda values: True, 'any')
    assert 'tensorrt' in values['engine'] and values['precision'] == 'fp16'

"""The node on an engine from the cache, and when the parity gate refuses it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from harness import ACTIVATE, CONFIGURE, image_message, pixels_of
from sensor_msgs.msg import Image

from edgesegnet_ros.engines import open_engine
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.engines.segmenter import Segmenter

pytest.importorskip('openvino')


@pytest.fixture(scope='module')
def request_(tmp_path_factory, street_frame):
    """An engine that is built and proved already, in a cache of its own."""
    folder = tmp_path_factory.mktemp('choice')
    (folder / 'frames').mkdir()
    cv2.imwrite(str(folder / 'frames/street.png'), street_frame.image[..., ::-1])
    request = EngineRequest(
        engine='openvino',
        precision='fp32',
        input_size=(64, 64),
        num_threads=1,
        parity_frames=str(folder / 'frames'),
        engine_cache=str(folder / 'cache'),
    )
    open_engine(request).engine.close()
    return request


@pytest.fixture
def parameters(request_):
    return {
        'engine': 'openvino',
        'precision': 'fp32',
        'input_size': '[64, 64]',
        'num_threads': '1',
        'parity_frames': request_.parity_frames,
        'engine_cache': request_.engine_cache,
    }


@pytest.fixture
def refused(request_):
    """The engine's kept verdict, changed to a refusal for as long as a test runs."""

    (file,) = Path(request_.engine_cache).glob('*.json')
    before = file.read_text()
    record = json.loads(before)
    for verdict in record['verdicts'].values():
        verdict.update(agreement=0.42, objection='at least 99.99 % of the labels must be equal')
    file.write_text(json.dumps(record))
    yield
    file.write_text(before)


def test_the_masks_are_torchs_and_the_diagnostics_name_the_engine(
    launch, parameters, request_, street_frame
):
    client = launch(parameters)
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    assert 'building the engine' not in client.target.log
    client.subscribe(Image, 'segmentation/mask')
    client.publisher(Image, 'image').publish(image_message(street_frame.image))
    mask = pixels_of(client.messages('segmentation/mask')[0])
    plain = open_engine(request_._replace(engine='torch')).engine
    expected = Segmenter(plain).segment(street_frame.image).labels
    assert (mask == expected).mean() >= 0.9999 and len(np.unique(mask)) > 2
    values = client.diagnostics(lambda v: 'engine' in v, 'an engine')
    assert (values['engine'], values['precision']) == ('openvino', 'fp32')
    assert '% of the labels equal those of fp32' in values['engine_reason']


def test_a_refused_engine_stops_configure(launch, parameters, refused):
    client = launch(parameters)
    assert not client.change_state(CONFIGURE)
    assert client.state() == 'unconfigured'
    assert 'the engine openvino fp32 is refused: 42.000 % of the labels' in client.target.log


def test_or_is_replaced_by_torch_if_allowed(launch, parameters, refused, street_frame):
    client = launch({**parameters, 'on_engine_failure': 'torch'})
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    client.subscribe(Image, 'segmentation/mask')
    client.publisher(Image, 'image').publish(image_message(street_frame.image))
    client.messages('segmentation/mask')
    values = client.diagnostics(lambda v: 'on torch, since' in v['message'], 'the fallback')
    assert values['engine'] == 'torch' and values['level'] == b'\x01'
    assert 'the engine openvino fp32 is refused: 42.000 %' in values['message']

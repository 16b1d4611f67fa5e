"""Every topic by value: labels, groups, colours, geometry, headers, QoS."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from edgesegnet_ros.msg import ClassMasks
from harness import ACTIVATE, CONFIGURE, LATCHED, image_message, pixels_of
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import LabelInfo

from edgesegnet_ros.data.classes import load_classes
from edgesegnet_ros.data.geometry import compute_placement, to_network
from edgesegnet_ros.engines import open_engine
from edgesegnet_ros.engines.request import EngineRequest
from edgesegnet_ros.engines.segmenter import Segmenter

TOPICS = {
    'mask': Image,
    'confidence': Image,
    'overlay': Image,
    'color': Image,
    'camera_info': CameraInfo,
    'class_masks': ClassMasks,
    'masks/drivable': Image,
    'masks/dynamic': Image,
}


@pytest.fixture(scope='module')
def reference():
    """The same model in this process."""
    return open_engine(EngineRequest(engine='torch', precision='fp32')).engine


def camera_info(height, width):
    info = CameraInfo(height=height, width=width, distortion_model='plumb_bob')
    info.header.frame_id = 'camera'
    info.d = [0.1, 0.0, 0.0, 0.0, 0.0]
    info.k = [400.0, 0.0, (width - 1) / 2, 0.0, 410.0, (height - 1) / 2, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [
        400.0,
        0.0,
        (width - 1) / 2,
        -8.0,
        0.0,
        410.0,
        (height - 1) / 2,
        0.0,
        0.0,
        0.0,
        1.0,
        0.0,
    ]
    return info


def run_frame(client, picture, parameters_changed=(), info=None, message=None):
    """Bring the node up, send one frame, return the newest message of every topic."""
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    for name, type_ in TOPICS.items():
        client.subscribe(type_, f'segmentation/{name}')
    camera = client.publisher(Image, 'image')
    for name, value in parameters_changed:
        assert client.set_parameter(name, value) == ''
    sender = client.publisher(CameraInfo, 'camera_info')
    message = message or image_message(picture, stamp=7, frame_id='front')
    expected = [name for name in TOPICS if info is not None or name != 'camera_info']

    def send():
        # camera_info may come later than the first image, so both are sent until it is there.
        if info is not None:
            sender.publish(info)
        camera.publish(message)

    client.repeat(
        send,
        lambda: all(client.received[f'segmentation/{name}'] for name in expected),
        'all outputs',
    )
    return {name: client.received[f'segmentation/{name}'][-1] for name in expected}


def test_every_topic_by_value(launch, street_frame, reference):
    picture = street_frame.image
    client = launch()
    out = run_frame(client, picture, info=camera_info(360, 480))
    for name, message in out.items():
        assert message.header.stamp.sec == 7 and message.header.stamp.nanosec == 5, name
        assert message.header.frame_id == 'front', name
    result = Segmenter(reference).segment(picture, confidence=True)

    mask = pixels_of(out['mask'])
    assert (out['mask'].encoding, out['mask'].step, mask.shape) == ('mono8', 480, (360, 480))
    # The number of threads may differ, and with it the last bit of a sum.
    assert (mask == result.labels).mean() > 0.9995
    assert (mask == street_frame.labels).mean() > 0.8, 'against the ground truth'

    confidence = pixels_of(out['confidence'])
    assert out['confidence'].encoding == 'mono8'
    assert np.abs(confidence.astype(int) - result.confidence).max() <= 2
    assert confidence.min() >= 255 // 11

    classes = load_classes('camvid11')
    color = pixels_of(out['color'])
    assert out['color'].encoding == 'rgb8'
    assert np.array_equal(color, classes.palette[mask])
    overlay = pixels_of(out['overlay'])
    assert out['overlay'].encoding == 'bgr8'
    blended = (picture.astype(int) + color) / 2
    assert np.abs(overlay[..., ::-1] - blended).max() <= 1

    masks = {m.name: m for m in out['class_masks'].masks}
    assert list(masks) == list(classes.groups)
    for name, ids in classes.groups.items():
        one, expected = masks[name], np.isin(mask, ids)
        assert list(one.class_ids) == list(ids)
        assert one.mask.header == out['class_masks'].header
        assert np.array_equal(pixels_of(one.mask), expected * np.uint8(255))
        assert one.coverage == pytest.approx(expected.mean(), abs=1e-6)
        rows, columns = np.nonzero(expected)
        box = one.bounding_box
        assert (box.x_offset, box.y_offset) == (columns.min(), rows.min())
        assert (box.width, box.height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
    for name in ('drivable', 'dynamic'):
        assert out[f'masks/{name}'].data == masks[name].mask.data
    assert out['camera_info'].k.tolist() == camera_info(360, 480).k.tolist()


def test_network_resolution_with_letterbox(launch, street_frame):
    client = launch({'output_resolution': 'network', 'resize_mode': 'letterbox'})
    info = camera_info(360, 480)
    out = run_frame(client, street_frame.image, info=info)
    mask = pixels_of(out['mask'])
    placement = compute_placement((360, 480), (256, 256), 'letterbox')
    assert mask.shape == (256, 256) and placement.content == (192, 256)
    assert (mask[:32] == 255).all() and (mask[224:] == 255).all() and (mask[32:224] < 11).all()
    assert (pixels_of(out['confidence'])[:32] == 0).all()
    truth = cv2.resize(street_frame.labels, (256, 192), interpolation=cv2.INTER_NEAREST_EXACT)
    assert (mask[32:224] == truth).mean() > 0.75
    padded = to_network(street_frame.image, placement)
    overlay = pixels_of(out['overlay'])[..., ::-1]
    assert np.abs(overlay[:32].astype(int) - padded[:32]).max() <= 1
    # The camera's axis, at the centre of the image, is at the centre of the mask.
    k = out['camera_info'].k
    assert (out['camera_info'].height, out['camera_info'].width) == (256, 256)
    assert (k[2], k[5]) == (127.5, 127.5)
    assert k[0] == pytest.approx(400 * 256 / 480) and k[4] == pytest.approx(410 * 192 / 360)
    assert out['camera_info'].p[3] == pytest.approx(-8 * 256 / 480)
    # A world point's pixel in the image maps onto its pixel in the mask.
    x, y, z = 0.7, -0.4, 3.0
    column = 400 * x / z + 239.5
    assert k[0] * x / z + k[2] == pytest.approx((column + 0.5) * 256 / 480 - 0.5)
    row = 410 * y / z + 179.5
    assert k[4] * y / z + k[5] == pytest.approx((row + 0.5) * 192 / 360 - 0.5 + 32)


def test_qos_is_what_the_contract_offers(launch):
    client = launch({'input_size': '[64, 64]'})
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    namespace = client.target.namespace
    for name in ('mask', 'confidence', 'overlay', 'color', 'class_masks', 'label_info'):
        topic = f'{namespace}/segmentation/{name}'
        client.wait(lambda topic=topic: client.node.count_publishers(topic), topic)
        qos = client.node.get_publishers_info_by_topic(topic)[0].qos_profile
        latched = name == 'label_info'
        assert qos.reliability == ReliabilityPolicy.RELIABLE
        assert qos.durability == (
            DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        )
    topic = f'{namespace}/image'
    client.wait(lambda: client.node.count_subscribers(topic), topic)
    qos = client.node.get_subscriptions_info_by_topic(topic)[0].qos_profile
    assert qos.reliability == ReliabilityPolicy.BEST_EFFORT
    assert qos.durability == DurabilityPolicy.VOLATILE


def test_qos_overrides_win(launch, tmp_path):
    client = launch(
        {
            'input_size': '[64, 64]',
            'qos_overrides./seg/mask.publisher.reliability': 'best_effort',
            'qos_overrides./cam/image.subscription.reliability': 'reliable',
        },
        {'image': '/cam/image', 'segmentation/mask': '/seg/mask'},
    )
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    client.wait(lambda: client.node.count_publishers('/seg/mask'), 'the remapped mask')
    out = client.node.get_publishers_info_by_topic('/seg/mask')[0].qos_profile
    assert out.reliability == ReliabilityPolicy.BEST_EFFORT
    client.wait(lambda: client.node.count_subscribers('/cam/image'), 'the remapped image')
    into = client.node.get_subscriptions_info_by_topic('/cam/image')[0].qos_profile
    assert into.reliability == ReliabilityPolicy.RELIABLE
    # camera_info is the sibling of the resolved image.
    client.wait(lambda: client.node.count_subscribers('/cam/camera_info'), 'its camera_info')
    # A camera that does not fit the override is the usual reason for silence: it is said.
    camera = client.node.create_publisher(
        Image, '/cam/image', QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    said = client.diagnostics(
        lambda v: v['image_publishers'] == '1' and v['level'] == b'\x03', 'silence'
    )
    if 'image_publishers_matched' in said:
        assert said['image_publishers_matched'] == '0'
        assert 'offers a QoS that fits' in said['message']
    assert not camera.get_subscription_count()


def test_compressed_images_follow_the_images_remap(launch, street_frame, reference):
    client = launch({'image_transport': 'compressed'}, {'image': 'front/image'})
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    client.subscribe(Image, 'segmentation/mask')
    camera = client.publisher(CompressedImage, 'front/image/compressed')
    message = CompressedImage(format='png')
    message.header.stamp.sec = 3
    ok, png = cv2.imencode('.png', street_frame.image[..., ::-1])
    message.data.frombytes(png.tobytes())
    camera.publish(message)
    mask = pixels_of(client.messages('segmentation/mask')[0])
    assert (mask == Segmenter(reference).segment(street_frame.image).labels).mean() > 0.9995
    broken = CompressedImage(format='jpeg')
    broken.data.frombytes(b'\xff\xd8 no picture')
    camera.publish(broken)
    client.diagnostics(lambda v: v.get('frames_bad_undecodable') == '1', 'the broken picture')
    camera.publish(message)
    client.messages('segmentation/mask', 2)


def test_a_late_subscriber_gets_label_info_of_camvid32s_shown_classes(launch, tmp_path):
    import torch

    from edgesegnet_ros.network.registry import build_network
    from edgesegnet_ros.network.weights import WeightsInfo, save_weights

    torch.manual_seed(0)
    model = build_network('edgesegnet', 32)
    model.head.bias.data[30] = 100.0  # void would win everywhere
    save_weights(tmp_path / 'm32.safetensors', model, WeightsInfo('camvid32', 32, (64, 64)))
    client = launch(
        {
            'input_size': '[64, 64]',
            'classes': 'camvid32',
            'unlabeled_below': '0.25',
            'model': str(tmp_path / 'm32.safetensors'),
        }
    )
    assert client.change_state(CONFIGURE) and client.change_state(ACTIVATE)
    client.subscribe(LabelInfo, 'segmentation/label_info', LATCHED)
    info = client.messages('segmentation/label_info')[0]
    assert len(info.class_map) == 31 and 30 not in [c.class_id for c in info.class_map]
    assert info.threshold == pytest.approx(0.25)
    client.subscribe(Image, 'segmentation/mask')
    client.subscribe(Image, 'segmentation/confidence')
    camera = client.publisher(Image, 'image')
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    camera.publish(image_message(noise))
    mask = pixels_of(client.messages('segmentation/mask')[0])
    assert not (mask == 30).any()
    confidence = pixels_of(client.messages('segmentation/confidence')[0])
    # 31 classes of random weights share the certainty: nothing reaches a quarter.
    assert (mask == 255).any() and (confidence[mask == 255] == 0).all()

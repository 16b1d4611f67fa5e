"""The rendered street: the same from the same seed, labelled to the pixel, and never empty."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from edgesegnet_ros.data.street import Street, random_scenes
from edgesegnet_ros.data.street import labels as ids
from edgesegnet_ros.data.street.buildings import House
from edgesegnet_ros.data.street.camera import NEAR, PinholeCamera, clip_near
from edgesegnet_ros.data.street.canvas import Canvas, Texture
from edgesegnet_ros.data.street.course import Course, View
from edgesegnet_ros.data.street.furniture import Run
from edgesegnet_ros.data.street.layout import Layout, far_to_near
from edgesegnet_ros.data.street.painter import Painter
from edgesegnet_ros.data.street.people import Bicyclist, Pedestrian
from edgesegnet_ros.data.street.render import START_NS
from edgesegnet_ros.data.street.vehicles import Car
from edgesegnet_ros.data.street.weather import Weather

SIZE = (96, 128)
RARE = {
    'pole': ids.POLE,
    'sign': ids.SIGN,
    'fence': ids.FENCE,
    'pedestrian': ids.PEDESTRIAN,
    'bicyclist': ids.BICYCLIST,
}


def digest(seed: int, index: int) -> str:
    frame = Street(seed, SIZE).frame(index)
    return hashlib.sha256(frame.image.tobytes() + frame.labels.tobytes()).hexdigest()


def test_ids_are_those_of_the_class_file():
    from edgesegnet_ros.data.classes import load_classes

    for one in load_classes('camvid11').classes:
        assert getattr(ids, one.name.upper()) == one.id


def test_a_frame_has_shape_type_and_stamp():
    frame = Street(1, SIZE).frame(7, rate_hz=20.0)
    assert frame.image.shape == (96, 128, 3) and frame.image.dtype == np.uint8
    assert frame.labels.shape == (96, 128) and frame.labels.dtype == np.uint8
    assert frame.labels.max() <= 10
    assert frame.stamp_ns == START_NS + 350_000_000


@pytest.mark.parametrize('size', [(16, 16), (97, 131), (256, 256), (64, 300), (301, 75)])
def test_the_size_asked_for(size):
    frame = Street(2, size).frame(3)
    assert frame.image.shape == (*size, 3) and frame.labels.shape == size


def test_the_road_reaches_the_bottom_of_a_tall_picture():
    below = [Street(seed, (301, 75)).frame(0).labels[-1, 37] for seed in range(5)]
    assert below.count(ids.ROAD) >= 4


@pytest.mark.parametrize(
    'seed, size, words',
    [(-1, SIZE, '0 or more'), (0, (15, 128), 'at least 16x16'), (0, (128, 3), 'at least 16x16')],
)
def test_a_figure_that_cannot_be_drawn_is_refused(seed, size, words):
    with pytest.raises(ValueError, match=words):
        Street(seed, size)


def test_the_seed_decides_all():
    assert digest(3, 5) == digest(3, 5)
    assert digest(3, 5) != digest(4, 5)
    assert digest(3, 5) != digest(3, 6)


def test_frames_do_not_depend_on_those_drawn_before():
    street = Street(3, SIZE)
    np.random.seed(0)
    for index in (0, 40, 2):
        street.frame(index)
    np.testing.assert_array_equal(street.frame(5).image, Street(3, SIZE).frame(5).image)


def test_another_process_draws_the_same():
    code = (
        'import sys; sys.path.insert(0, "test"); import test_street; '
        'print(test_street.digest(3, 5))'
    )
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == digest(3, 5)


@pytest.mark.parametrize('seed', [0, 7, 12, 31])
def test_a_clip_shows_all_classes(seed):
    street = Street(seed)
    counts = sum(
        np.bincount(street.frame(index).labels.ravel(), minlength=11) for index in range(0, 60, 6)
    )
    share = counts / counts.sum()
    assert len(share) == 11 and (share > 0.001).all()
    assert {name: share[i] for name, i in RARE.items() if share[i] < 0.003} == {}
    assert 0.2 < share[ids.ROAD] < 0.5 and share[ids.SKY] > 0.04


def test_successive_frames_are_nearly_the_same():
    street = Street(11)
    frames = [street.frame(index).labels for index in (10, 11, 30)]
    near = (frames[0] == frames[1]).mean()
    assert near > 0.85
    assert near > (frames[0] == frames[2]).mean() + 0.05


def test_random_scenes_do_not_depend_on_the_count():
    three = list(random_scenes(9, 3, SIZE))
    one = next(random_scenes(9, 1, SIZE))
    np.testing.assert_array_equal(three[0].image, one.image)
    assert all(not np.array_equal(three[0].labels, other.labels) for other in three[1:])
    assert not np.array_equal(next(random_scenes(8, 1, SIZE)).image, one.image)


@pytest.fixture
def painter():
    clear = Weather(
        'cloudy', np.array([0.0, 1.0, 0.0]), 0.0, 1.0, (1, 1, 1), (0, 0, 0), 1e9, 0.0, False, 1.0
    )
    camera = PinholeCamera.dash((120, 160))
    view = View(camera, Course(np.random.default_rng(0), 0.0), 0.0, 0.0)
    return Painter(Canvas((120, 160)), view, clear)


def test_image_and_labels_have_the_same_edges(painter):
    canvas = painter.canvas
    canvas.samples[:] = (0, 0, 0, ids.SKY)
    # All in pure green, so that the image tells how much of a pixel a thing covers.
    green = (0, 255, 0)
    square = painter.view.upright(12.0, 0.3, np.array([(-1, 0), (-1, 2.3), (1.7, 2), (1, 0.0)]))
    painter.face(square, green, ids.SIGN)
    painter.limbs(
        painter.view.upright(9.0, -2.0, np.array([(0, 0), (0.4, 3.0)])),
        ((0, 1, 0.3, green),),
        ids.POLE,
    )
    picture = np.zeros((32, 32, 4), np.uint8)
    cv2.circle(picture, (16, 16), 14, (0, 255, 0, 255), -1)
    picture[..., 1] = 255
    painter.billboard(painter.view.point(10.0, 2.5), 2.0, 0.0, 2.0, Texture(picture), ids.TREE)
    painter.wall(
        painter.view.points(np.array([9.0, 30.0]), np.array([4.0, 4.0])),
        0,
        3,
        Texture(picture[4:28, 10:22, :3].copy()),
        ids.BUILDING,
    )
    image, labels = canvas.finish()
    covered = image[..., 1] / 255
    thing = labels != ids.SKY
    assert {ids.SIGN, ids.POLE, ids.TREE, ids.BUILDING} <= set(np.unique(labels))
    assert covered[thing].min() >= 0.49 and covered[~thing].max() <= 0.51
    # Away from edges, the image is the thing's colour and nothing but.
    inside = cv2.erode(thing.astype(np.uint8), np.ones((3, 3))) > 0
    assert inside.sum() > 500 and (covered[inside] > 0.99).all()


@pytest.mark.parametrize(
    'thing, label',
    [
        (lambda d: Car(12.0, d, 1, (200, 0, 0)), ids.CAR),
        (lambda d: Pedestrian(8.0, d, 1.2, 5), ids.PEDESTRIAN),
    ],
)
def test_labels_move_with_the_thing(painter, thing, label):
    def drawn(d):
        painter.canvas.samples[:] = (255, 255, 255, ids.ROAD)
        thing(d).paint(painter, 0.0)
        return painter.canvas.finish()

    middles = []
    for d in (-1.5, 1.5):
        image, labels = drawn(d)
        changed = (image != 255).any(-1)
        mask = labels == label
        assert mask.sum() > 60 and set(np.unique(labels)) == {ids.ROAD, label}
        assert not (mask & ~changed).any()  # no label without paint
        # Paint beyond the label is a rim of pixels that are covered by less than half.
        rim = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))) > 0
        assert not (changed & ~rim).any()
        middles.append(np.nonzero(mask)[1].mean())
    base = painter.view.points(thing(0).s, np.array([-1.5, 1.5]), 0.5)
    np.testing.assert_allclose(middles, painter.view.camera.project(base)[:, 0], atol=2.5)


def test_majority_of_the_samples_is_the_label():
    canvas = Canvas((1, 4))
    canvas.samples[..., 3] = [[5, 2, 1, 1, 3, 4, 7, 7], [2, 2, 1, 9, 6, 4, 8, 8]]
    assert canvas.finish()[1].tolist() == [[2, 1, 4, 7]]


def test_projection_is_that_of_a_pinhole():
    camera = PinholeCamera(480, 360, 400.0, 239.5, 157.9, 1.4)
    np.testing.assert_allclose(camera.project(np.array([1.0, 0.4, 10.0])), [279.5, 197.9])
    np.testing.assert_allclose(camera.depth_of_row(np.array([157.9 + 56.0])), [10.0])


def test_clipping_keeps_what_lies_in_front():
    square = np.array([[0, 0, -1.0], [0, 0, 3.0], [1, 0, 3.0], [1, 0, -1.0]])
    clipped = clip_near(square)
    assert len(clipped) == 4 and clipped[:, 2].min() == pytest.approx(NEAR)
    assert clip_near(square - (0, 0, 5)).shape == (0, 3)
    assert clip_near(square + (0, 0, 5)) is not square and len(clip_near(square + (0, 0, 5))) == 4


def test_the_road_bends_as_its_heading_says():
    course = Course(np.random.default_rng(4), 1.0)
    view = View(PinholeCamera.dash((96, 128)), course, 100.0, 1.5)
    np.testing.assert_allclose(view.points(100.0, 1.5), [0, 0, 0], atol=1e-9)
    s = np.arange(100.0, 250.0)
    line = view.points(s, np.zeros_like(s))
    step = np.diff(line, axis=0)
    np.testing.assert_allclose(np.hypot(step[:, 0], step[:, 2]), 1.0, atol=1e-6)
    np.testing.assert_allclose(
        np.arctan2(step[:, 0], step[:, 2]) + view.yaw,
        course.heading((s[1:] + s[:-1]) / 2),
        atol=1e-3,
    )
    for distance in (104.3, 180.9):
        np.testing.assert_allclose(
            view.point(distance, -3.0, 2.0), view.points(distance, -3.0, 2.0)
        )


def test_people_behind_railings_are_drawn_before_them():
    layout = Layout(0)
    section = layout.section
    rail = Run(101.0, 105.0, section.half_road + 0.25, 1.1, 2)
    behind = Pedestrian(103.5, section.half_road + 1.2, 1.2, 1)
    before = Bicyclist(101.5, section.travel - 0.5, 4.0, 1)
    house = House(98.0, 108.0, section.half_road + section.pavement + 2, 1, 0, 2.0, 1.0)
    far = Pedestrian(160.0, section.half_road + 1.2, 1.2, 1)
    order = far_to_near([before, house, rail, far, behind], 97.0, section)
    assert order == [far, house, behind, rail, before]


def test_a_fence_in_pieces_is_the_fence():
    run = Run(10.0, 27.0, 5.0, 1.1, 2)
    pieces = run.pieces()
    assert [(p.start, p.end) for p in pieces] == [
        (10 + 4.25 * i, 14.25 + 4.25 * i) for i in range(4)
    ]
    assert all((p.d, p.height, p.kind) == (5.0, 1.1, 2) for p in pieces)

"""A known pixel goes through the network's geometry and comes back where it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesegnet_ros.data.geometry import (
    GeometryError,
    blank_padding,
    compute_placement,
    to_network,
    to_source,
)

sizes = st.tuples(st.integers(20, 700), st.integers(20, 700))


def expected_network_pixel(placement, row, column):
    """Where a source pixel's centre lies in the network's input."""
    y = (row + 0.5) * placement.content[0] / placement.source[0] - 0.5 + placement.top
    x = (column + 0.5) * placement.content[1] / placement.source[1] - 0.5 + placement.left
    return y, x


@pytest.mark.parametrize('mode', ['stretch', 'letterbox'])
@pytest.mark.parametrize('source', [(480, 640), (640, 480), (360, 480), (100, 700)])
def test_a_known_square_lands_where_it_should(mode, source):
    image = np.zeros(source + (3,), np.uint8)
    top, left = source[0] // 4, source[1] // 2
    image[top : top + 40, left : left + 40] = 255
    placement = compute_placement(source, (256, 256), mode)
    seen = to_network(image, placement)[..., 0].copy()
    blank_padding(seen, placement, 0)
    rows, columns = np.nonzero(seen > 127)
    centre = expected_network_pixel(placement, top + 19.5, left + 19.5)
    assert rows.mean() == pytest.approx(centre[0], abs=0.6)
    assert columns.mean() == pytest.approx(centre[1], abs=0.6)


@settings(deadline=None, max_examples=60)
@given(sizes, st.sampled_from(['stretch', 'letterbox']), st.randoms())
def test_labels_come_back_by_pixel_centres(source, mode, random):
    placement = compute_placement(source, (64, 96), mode)
    labels = np.random.default_rng(random.randrange(2**32)).integers(0, 11, (64, 96), np.uint8)
    back = to_source(labels, placement)
    assert back.shape == source
    row, column = random.randrange(source[0]), random.randrange(source[1])
    y, x = expected_network_pixel(placement, row, column)
    # A tie between two pixel centres may go either way.
    near = {
        int(labels[int(np.floor(y + 0.5 + dy)), int(np.floor(x + 0.5 + dx))])
        for dy in (-1e-3, 1e-3)
        for dx in (-1e-3, 1e-3)
        if y + 0.5 + dy < 64 and x + 0.5 + dx < 96
    }
    assert int(back[row, column]) in near


def test_letterbox_keeps_the_aspect_and_centres():
    placement = compute_placement((480, 640), (256, 256), 'letterbox')
    assert placement.content == (192, 256)
    assert (placement.top, placement.left) == (32, 0)
    image = np.full((480, 640, 3), 200, np.uint8)
    seen = to_network(image, placement)
    assert (seen[32:224] == 200).all() and (seen[:32] == 114).all() and (seen[224:] == 114).all()
    labels = blank_padding(np.zeros((256, 256), np.uint8), placement, 255)
    assert (labels[:32] == 255).all() and (labels[224:] == 255).all() and not labels[32:224].any()


def test_camvids_own_size_is_padded_not_resized():
    placement = compute_placement((360, 480), (368, 480), 'letterbox')
    assert placement.content == (360, 480) and placement.top == 4
    image = np.random.default_rng(0).integers(0, 255, (360, 480, 3), np.uint8)
    assert np.array_equal(to_network(image, placement)[4:364], image)


def test_buffers_are_written_in_place():
    placement = compute_placement((48, 64), (32, 32), 'stretch')
    out = np.empty((32, 32, 3), np.uint8)
    assert to_network(np.zeros((48, 64, 3), np.uint8), placement, out) is out
    labels = np.empty((48, 64), np.uint8)
    assert to_source(np.ones((32, 32), np.uint8), placement, labels) is labels
    assert (labels == 1).all()


@pytest.mark.parametrize(('source', 'mode'), [((0, 10), 'stretch'), ((10, 10), 'crop')])
def test_nonsense_is_refused(source, mode):
    with pytest.raises(GeometryError):
        compute_placement(source, (32, 32), mode)

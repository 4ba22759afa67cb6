"""Sizes and boxes."""
import numpy as np
import pytest
from PIL import Image

from lib_softinpaint.geometry import Box, Size

AREA = np.zeros((20, 30), bool)
AREA[7:9, 12:20] = True


@pytest.mark.parametrize(("margin", "box"), [
    (0, Box(12, 7, 8, 2)), (1, Box(11, 6, 10, 4)), (2.1, Box(9, 4, 14, 8)),
    (10, Box(2, 0, 28, 19)), (99, Box(0, 0, 30, 20))])
def test_the_box_around_an_area_has_its_margin_and_stays_in_the_image(margin, box):
    assert Box.around(AREA, margin) == box


def test_the_box_around_nothing_is_the_whole_image():
    assert Box.around(np.zeros((3, 5), bool), 2) == Box(0, 0, 5, 3)


def test_an_aligned_box_keeps_its_lower_right_corner():
    assert Box(12, 7, 8, 2).aligned_to(8) == Box(8, 0, 12, 9)
    assert Box(16, 8, 8, 2).aligned_to(8) == Box(16, 8, 8, 2)


def test_a_box_is_scaled_with_its_image():
    assert Box(3, 4, 5, 6).scaled(Size(20, 30), Size(40, 90)) == Box(9, 8, 15, 12)


def test_overlaps_and_margins_stay_inside_both():
    box, other = Box(10, 20, 30, 40), Box(30, 5, 50, 25)
    assert box.overlap(other) == other.overlap(box) == Box(30, 20, 10, 10)
    assert box.overlap(other).seen_from(box) == Box(20, 0, 10, 10)
    assert Box(0, 0, 5, 5).overlap(Box(9, 2, 3, 3))[2:] == (0, 3)
    assert box.grown(15, Size(70, 50)) == Box(0, 5, 50, 65)


@pytest.mark.parametrize(("box", "fits"), [
    (Box(0, 0, 30, 20), True), (Box(29, 19, 1, 1), True), (Box(3, 2, 4, 5), True),
    (Box(-1, 0, 5, 5), False), (Box(0, -1, 5, 5), False),
    (Box(3, 3, 0, 5), False), (Box(3, 3, 5, 0), False), (Box(0, 0, 31, 20), False), (Box(0, 0, 30, 21), False)])
def test_a_box_fits_if_it_has_pixels_and_lies_in_the_image(box, fits):
    assert box.fits(Size(20, 30)) is fits


def test_sizes_and_corners_name_their_sides():
    size, box = Size(20, 30), Box(3, 4, 5, 6)
    assert Size.of(AREA) == Size.of(Image.new("L", (30, 20))) == size
    assert (size.width_height, str(size), Size(23, 30).multiple_of(8)) == ((30, 20), "30x20", Size(16, 24))
    assert (box.size, box.corners, Box.whole(size)) == (Size(6, 5), (3, 4, 8, 10), Box(0, 0, 30, 20))
    assert np.argwhere(np.ones(size)[box.inside]).shape == (30, 2)

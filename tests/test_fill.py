import numpy as np

from lib_softinpaint.method.fill import fill_from_outside


def two_colours():
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :48], image[:, 48:] = (200, 40, 40), (20, 60, 220)
    mask = np.zeros((64, 96), np.float32)
    mask[16:48, 24:72] = 1
    return image, mask


def test_the_outside_stays_and_the_inside_takes_its_neighbours_colours():
    image, mask = two_colours()
    filled = fill_from_outside(image, mask)
    assert filled.dtype == np.uint8
    assert (filled[mask == 0] == image[mask == 0]).all()
    assert np.abs(filled[32, 25].astype(int) - (200, 40, 40)).max() < 40
    assert np.abs(filled[32, 70].astype(int) - (20, 60, 220)).max() < 40


def test_the_inside_has_no_effect_on_the_fill():
    image, mask = two_colours()
    other = image.copy()
    other[mask == 1] = (0, 255, 0)
    assert (fill_from_outside(image, mask) == fill_from_outside(other, mask)).all()


def test_a_fully_masked_image_is_unchanged():
    image, _ = two_colours()
    assert (fill_from_outside(image, np.ones((64, 96))) == image).all()


def test_greys_mix():
    image, mask = two_colours()
    filled = fill_from_outside(image, mask)
    half = fill_from_outside(image, mask / 2)
    assert np.abs(half.astype(int) - (image.astype(int) + filled) / 2).max() < 40
